//! Where a task stands, found from its id alone: its lease, its place row by computed key, or its outcome.

use crate::id::SlotKey;
use crate::needs::{Hold, Needs, ReadyKey, ScheduledKey};
use crate::rows::{Carry, Closed, Lease, Ready, Scheduled};
use crate::slot::Place;
use crate::status::Status;
use crate::view::View;

pub(crate) enum Standing {
    Unknown,
    Scheduled(Scheduled),
    Ready(Ready),
    Leased(Lease),
    Ended(Closed),
}

impl Standing {
    /// None of a task that is not known.
    pub(crate) fn status(&self) -> Option<Status> {
        match self {
            Self::Unknown => None,
            Self::Scheduled(_) => Some(Place::Scheduled.status()),
            Self::Ready(row) => Some(row.place().status()),
            Self::Leased(lease) => Some(lease.place().status()),
            Self::Ended(closed) => Some(closed.status),
        }
    }
}

/// The first look: a lease or an outcome is found by the id; for the rest the task and its carry tell the key.
pub(crate) fn needs(slot: SlotKey, needs: &mut Needs) {
    needs.leases.push((slot, Hold::Lock));
    needs.tasks.push(slot.task);
    needs.carries.push(slot);
    needs.outcomes.push(slot.task);
}

/// The second look. A task changes table with each step, so under several servers it can slip between two looks: as
/// long as it stands nowhere, it is looked for again.
pub(crate) fn more(slot: SlotKey, view: &View, needs: &mut Needs) {
    let Some(task) = view.tasks.get(&slot.task) else {
        return;
    };
    if view.leases.get(&slot).is_some() || view.outcomes.get(&slot.task).is_some() {
        return;
    }
    if view.ready.peek(&slot).is_some() || view.scheduled.peek(&slot).is_some() {
        return;
    }
    if view.ready.knows(&slot) {
        self::needs(slot, needs);
    }
    let carry = view.carries.get(&slot);
    let (run_at, order_key) = carry.map_or((task.run_at, task.order_key), |carry| {
        (carry.run_at, carry.order_key)
    });
    let lane = Ready::lane_of(task.lane, Carry::counts(carry).waiting());
    needs.ready.push(ReadyKey {
        lane,
        order_key,
        slot,
    });
    needs.scheduled.push(ScheduledKey { run_at, slot });
    // Read again behind the place's lock: it may have left that place and come back since the first look.
    needs.carries.push(slot);
}

pub(crate) fn of(slot: SlotKey, view: &View) -> Standing {
    if view.tasks.get(&slot.task).is_none() {
        return Standing::Unknown;
    }
    if let Some(outcome) = view.outcomes.get(&slot.task) {
        return Standing::Ended(*outcome);
    }
    if let Some(lease) = view.leases.get(&slot) {
        return Standing::Leased(lease.clone());
    }
    if let Some(row) = view.ready.peek(&slot) {
        return Standing::Ready(*row);
    }
    view.scheduled
        .peek(&slot)
        .map_or(Standing::Unknown, |row| Standing::Scheduled(*row))
}
