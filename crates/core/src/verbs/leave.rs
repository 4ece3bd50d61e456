//! Leave: a server that stops in order is up no more from that moment on. Its number is free at once, and whoever must
//! not begin beside another server need not wait until its word has grown old. Its counters stay as they are, under its
//! number, as those of one that died do.

use crate::command::Env;
use crate::needs::Needs;
use crate::refused::Refused;
use crate::rows::Server;
use crate::view::View;

#[derive(Clone, Copy, Debug)]
pub struct Leave {
    /// What it joined as last.
    pub server: Server,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Left {
    /// False where another server has its number by now, or its time was up already.
    pub was_up: bool,
}

impl Leave {
    #[expect(clippy::unused_self, reason = "every verb has one")]
    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        needs.servers = true;
    }

    #[expect(clippy::unused_self, reason = "every verb has one")]
    pub(crate) fn more(&self, _view: &View, _needs: &mut Needs, _env: &Env<'_>) {}

    #[expect(clippy::unnecessary_wraps, reason = "every verb answers alike")]
    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Left, Refused> {
        let number = self.server.number;
        let own = (view.servers.iter())
            .find(|row| row.number == number && row.started_at == self.server.started_at)
            .filter(|row| row.expires_at > env.now)
            .copied();
        if let Some(own) = own {
            let expires_at = env.now;
            view.servers.put(number, Server { expires_at, ..own });
        }
        Ok(Left {
            was_up: own.is_some(),
        })
    }
}
