//! Cancel: the task ends now, wherever it stands; its worker learns of it at its next sign of life.

use crate::command::Env;
use crate::id::{SlotKey, TaskId};
use crate::moves;
use crate::needs::Needs;
use crate::refused::Refused;
use crate::standing::{self, Standing};
use crate::view::View;

#[derive(Clone, Copy, Debug)]
pub struct Cancel {
    pub task: TaskId,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cancelled;

impl Cancel {
    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        standing::needs(SlotKey::only(self.task), needs);
    }

    pub(crate) fn more(&self, view: &View, needs: &mut Needs, _env: &Env<'_>) {
        standing::more(SlotKey::only(self.task), view, needs);
    }

    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Cancelled, Refused> {
        end(standing::of(SlotKey::only(self.task), view), view, env)
    }
}

/// Ends the task that stands there.
pub(super) fn end(
    standing: Standing,
    view: &mut View,
    env: &Env<'_>,
) -> Result<Cancelled, Refused> {
    match standing {
        Standing::Unknown => return Err(Refused::NoSuchTask),
        Standing::Ended(outcome) => return Err(Refused::AlreadyEnded(outcome.status)),
        Standing::Scheduled(row) => moves::cancel_scheduled(view, &row, env.now),
        Standing::Ready(row) => {
            if row.is_suspect() {
                moves::let_go_of(view, &row);
            }
            moves::cancel_ready(view, &row, env.now);
        }
        Standing::Leased(lease) => moves::cancel_run(view, &lease, env.now),
    }
    Ok(Cancelled)
}
