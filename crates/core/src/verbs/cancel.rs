//! Cancel: the task ends now, wherever it stands; its worker learns of it at its next sign of life.

use crate::command::Env;
use crate::id::{Fence, SlotKey, TaskId};
use crate::moves;
use crate::needs::Needs;
use crate::refused::Refused;
use crate::rows::{Lease, Outcome};
use crate::slot::{self, Counts, Event, Limits, Place, Slot};
use crate::standing::{self, Standing};
use crate::status::Status;
use crate::view::View;

#[derive(Clone, Copy, Debug)]
pub struct Cancel {
    pub task: TaskId,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cancelled {
    /// Where it stood.
    pub was: Status,
}

impl Cancel {
    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        standing::needs(SlotKey::only(self.task), needs);
    }

    pub(crate) fn more(&self, view: &View, needs: &mut Needs, _env: &Env<'_>) {
        standing::more(SlotKey::only(self.task), view, needs);
    }

    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Cancelled, Refused> {
        let key = SlotKey::only(self.task);
        let carry = if view.tasks.get(&self.task).is_some() {
            view.carries.get(&key)
        } else {
            None
        };
        let counts = carry.map_or_else(Counts::default, |carry| carry.counts);
        let fence = carry.map_or(Fence(0), |carry| carry.fence);
        let (lane, place) = match standing::of(key, view) {
            Standing::Unknown => return Err(Refused::NoSuchTask),
            Standing::Ended(outcome) => return Err(Refused::AlreadyEnded(outcome.status)),
            Standing::Leased(lease) => return Self::take_away(&lease, view, env),
            Standing::Ready(row) => {
                let place = if row.lane.is_twin() {
                    moves::let_go_of(view, &row);
                    Place::Suspect
                } else {
                    Place::Ready
                };
                view.ready.remove(&key);
                (row.lane.plain(), place)
            }
            Standing::Scheduled(row) => {
                view.scheduled.remove(&key);
                (row.lane, Place::Scheduled)
            }
        };
        let after = cancelled(Slot { place, counts })?;
        view.count(lane, place.status(), -1);
        let outcome = Outcome {
            lane,
            fence,
            ..Outcome::without_a_run(self.task, Status::Cancelled, after.counts, env.now)
        };
        moves::end(view, outcome);
        Ok(Cancelled {
            was: place.status(),
        })
    }

    /// The lease goes as well: its report will find none and be refused.
    fn take_away(lease: &Lease, view: &mut View, env: &Env<'_>) -> Result<Cancelled, Refused> {
        let before = moves::slot_of(view, lease);
        let after = cancelled(before)?;
        view.leases.remove(&lease.slot);
        view.count(lease.lane, before.place.status(), -1);
        let outcome = Outcome {
            lane: lease.lane,
            fence: lease.fence,
            claimed_at: Some(lease.claimed_at),
            started_at: lease.started_at,
            worker: Some(lease.worker),
            ..Outcome::without_a_run(lease.slot.task, Status::Cancelled, after.counts, env.now)
        };
        moves::end(view, outcome);
        Ok(Cancelled {
            was: before.place.status(),
        })
    }
}

fn cancelled(slot: Slot) -> Result<Slot, Refused> {
    // A cancel looks at no limit.
    slot::step(
        slot,
        Event::Cancelled,
        Limits {
            max_attempts: 1,
            max_losses: 1,
        },
    )
}
