//! Join: a server takes a small number, and keeps it by saying so again.

use std::time::Duration;

use crate::command::Env;
use crate::id::ServerNumber;
use crate::needs::Needs;
use crate::refused::Refused;
use crate::rows::Server;
use crate::view::View;

#[derive(Clone, Copy, Debug)]
pub struct Join {
    /// The number that this server has already; the same is given again unless another server took it meanwhile.
    pub held: Option<Server>,
    /// No other server can be up: whatever their rows say, the lowest number is free.
    pub alone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Joined {
    pub server: Server,
    /// At least so far the clock was ahead that wrote what servers said before; zero where it was not.
    pub ahead: Duration,
}

impl Join {
    #[expect(clippy::unused_self, reason = "every verb has one")]
    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        needs.servers = true;
    }

    #[expect(clippy::unused_self, reason = "every verb has one")]
    pub(crate) fn more(&self, _view: &View, _needs: &mut Needs, _env: &Env<'_>) {}

    #[expect(clippy::unnecessary_wraps, reason = "every verb answers alike")]
    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Joined, Refused> {
        let expires_at = env.now + env.policy.server_ttl;
        let still_held = self.held.filter(|held| {
            view.servers.knows(&held.number)
                && view
                    .servers
                    .get(&held.number)
                    .is_some_and(|row| row.started_at == held.started_at)
        });
        let rows = view.servers.iter();
        let ahead = rows.map(|row| row.expires_at.since(expires_at)).max();
        let server = match still_held {
            Some(held) => Server { expires_at, ..held },
            None => Server {
                number: self.free_number(view, env),
                started_at: env.now,
                expires_at,
            },
        };
        if view.servers.knows(&server.number) {
            view.servers.put(server.number, server);
        } else {
            view.servers.insert(server.number, server);
        }
        Ok(Joined {
            server,
            ahead: ahead.unwrap_or_default(),
        })
    }

    /// The lowest number that no live server has.
    fn free_number(&self, view: &View, env: &Env<'_>) -> ServerNumber {
        let live = |number: &ServerNumber| {
            let mut rows = view.servers.iter();
            !self.alone && rows.any(|row| row.number == *number && row.expires_at > env.now)
        };
        let free = (1..).map(ServerNumber).find(|number| !live(number));
        free.expect("there are more numbers than servers")
    }
}
