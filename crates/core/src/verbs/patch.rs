//! Patch: another priority or another time for a task that waits. What a worker has, or what has ended, stays as it is.

use crate::command::Env;
use crate::id::{SlotKey, TaskId};
use crate::moves::{self, Wish};
use crate::needs::Needs;
use crate::order::Priority;
use crate::refused::Refused;
use crate::standing::{self, Standing};
use crate::time::Timestamp;
use crate::verbs::submit::Begin;
use crate::view::View;

/// `None` is as it was.
#[derive(Clone, Copy, Debug)]
pub struct Patch {
    pub task: TaskId,
    pub priority: Option<Priority>,
    pub begin: Option<Begin>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patched;

impl Patch {
    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        standing::needs(SlotKey::only(self.task), needs);
    }

    pub(crate) fn more(&self, view: &View, needs: &mut Needs, _env: &Env<'_>) {
        standing::more(SlotKey::only(self.task), view, needs);
    }

    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Patched, Refused> {
        let slot = SlotKey::only(self.task);
        let standing = standing::of(slot, view);
        match &standing {
            Standing::Unknown => return Err(Refused::NoSuchTask),
            Standing::Ended(outcome) => return Err(Refused::AlreadyEnded(outcome.status)),
            Standing::Leased(_) => return Err(Refused::NotWaiting),
            Standing::Scheduled(_) | Standing::Ready(_) => {}
        }
        let (run_at, priority) = now(slot, view);
        let wish = self.wish(run_at, priority, env);
        if (wish.run_at, wish.priority) == (run_at, priority) {
            return Ok(Patched);
        }
        match standing {
            Standing::Scheduled(row) => moves::move_scheduled(view, &row, wish, env),
            Standing::Ready(row) => moves::move_ready(view, &row, wish, env),
            Standing::Unknown | Standing::Leased(_) | Standing::Ended(_) => {}
        }
        Ok(Patched)
    }

    fn wish(&self, run_at: Timestamp, priority: Priority, env: &Env<'_>) -> Wish {
        let named = self.begin.map(|begin| begin.at(env.now));
        Wish {
            // A time that is over means now, and what waits for a worker already keeps its place.
            run_at: match named {
                Some(named) if named > env.now => named,
                Some(_) => run_at.min(env.now),
                None => run_at,
            },
            priority: self.priority.unwrap_or(priority),
            is_timed: named.is_some(),
        }
    }
}

/// What stands of the slot until it is changed.
fn now(slot: SlotKey, view: &View) -> (Timestamp, Priority) {
    if let Some(carry) = view.carries.get(&slot) {
        return (carry.run_at, carry.priority);
    }
    let task = view.tasks.get(&slot.task);
    let task = task.expect("a task that waits exists");
    (task.run_at, task.priority)
}
