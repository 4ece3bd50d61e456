//! The fence: finds the lease that a worker's message speaks for, or says why there is none.

use crate::id::{Fence, SlotKey};
use crate::needs::{Hold, Needs};
use crate::refused::Refused;
use crate::rows::Lease;
use crate::view::View;

/// What a lease token names: a slot, which of its claims, and the secret of that claim. Tokens of another
/// incarnation of the database never get this far.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Token {
    pub slot: SlotKey,
    pub fence: Fence,
    pub secret: i64,
}

/// The current lease, if this token is its token.
pub(super) fn lease(token: &Token, view: &View) -> Result<Lease, Refused> {
    match view.leases.get(&token.slot) {
        Some(lease) if lease.fence == token.fence && lease.secret == token.secret => {
            Ok(lease.clone())
        }
        Some(_) => Err(Refused::StaleLease),
        None => Err(missing(token, view)),
    }
}

/// Nobody holds the slot: it ended, waits again, or never was. What a command of this batch took away may be known by
/// no more than that.
fn missing(token: &Token, view: &View) -> Refused {
    let task = token.slot.task;
    if let Some(outcome) = view.outcomes.peek(&task) {
        return Refused::AlreadyEnded(outcome.status);
    }
    if view.tasks.knows(&task) && view.tasks.get(&task).is_none() {
        Refused::NoSuchTask
    } else {
        Refused::StaleLease
    }
}

/// What tells the refusals apart: asked for only where there is no lease.
pub(super) fn more(token: &Token, view: &View, needs: &mut Needs) {
    let task = token.slot.task;
    if view.leases.get(&token.slot).is_none()
        && !(view.outcomes.knows(&task) && view.carries.knows(&token.slot))
    {
        needs.tasks.push(task);
        needs.outcomes.push(task);
        needs.carries.push(token.slot);
    }
}

pub(super) fn needs(token: &Token, hold: Hold, needs: &mut Needs) {
    needs.leases.push((token.slot, hold));
}
