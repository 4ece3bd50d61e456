//! Drain: a worker gets nothing more. It hears of that at its next call, finishes what it holds and leaves. So it stays,
//! whichever server it calls, until a process registers under its name.

use crate::command::Env;
use crate::name::Name;
use crate::needs::{Hold, Needs};
use crate::refused::Refused;
use crate::topic::Topic;
use crate::verbs::caller;
use crate::view::View;

#[derive(Clone, Debug)]
pub struct Drain {
    pub worker: Name,
}

/// Again of one that drains already.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drained;

impl Drain {
    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        needs.worker(&self.worker, Hold::Lock);
    }

    #[expect(clippy::unused_self, reason = "every verb has one")]
    pub(crate) fn more(&self, _view: &View, _needs: &mut Needs, _env: &Env<'_>) {}

    pub(crate) fn decide(&self, view: &mut View, _env: &mut Env<'_>) -> Result<Drained, Refused> {
        let worker = caller::listed(&self.worker, view)?;
        if !worker.is_draining {
            let told = Topic::Told(worker.number);
            view.workers
                .update(&self.worker, |row| row.is_draining = true);
            view.announce(told);
        }
        Ok(Drained)
    }
}
