//! Which rows a batch needs. Said by the verbs, fetched by a store, found in the view.

use std::sync::Arc;

use hashbrown::HashSet;

use crate::id::{OperationId, SlotKey, TaskId, WorkerNumber};
use crate::lane::{Lane, LaneKey};
use crate::minute::MinuteKey;
use crate::name::Name;
use crate::order::{OrderKey, Position};
use crate::rows::{IdempotencyKey, UniqueKey};
use crate::time::Timestamp;

/// Whether a row is only looked at, or held until the commit so that no other server can change it meanwhile.
/// Where both are asked of one row it is held.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Hold {
    Read,
    Lock,
}

/// A row of `ready`, by its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ReadyKey {
    pub lane: Lane,
    pub order_key: OrderKey,
    pub slot: SlotKey,
}

/// A row of `scheduled`, by its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ScheduledKey {
    pub run_at: Timestamp,
    pub slot: SlotKey,
}

/// The first rows of some lanes in one common order, locked, those that another server holds left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pick {
    /// With the lowest position that the lane can have something at; lowest first.
    pub lanes: Vec<(Lane, Position)>,
    pub rows: usize,
}

/// The rows whose time has come by then, earliest first, locked, those that another server holds left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    pub until: Timestamp,
    pub rows: usize,
    /// Behind so many of them, which are not read.
    pub skip: usize,
}

/// What to load, in the order in which a store locks: servers, new lanes, queues, operations, workers, place rows, keys,
/// minutes, then relics and picks, each by key. The order
/// holds within one load only: what is asked for besides is locked behind it, so two servers can wait for each other
/// until their database ends one of the two batches, which is then run again.
#[derive(Default, Debug)]
pub struct Needs {
    /// Every row of `server`, locked.
    pub servers: bool,
    /// Lanes whose numbers this server does not know, and the highest number that was given out: held, so that nobody
    /// else gives one meanwhile.
    pub lanes: Vec<Arc<LaneKey>>,
    /// Every row of `queue`, locked.
    pub queues: bool,
    /// Held.
    pub operations: Vec<OperationId>,
    /// How many operations have not ended, counted up to so many.
    pub open_operations: Option<usize>,
    pub workers: Vec<(Name, Hold)>,
    pub scheduled: Vec<ScheduledKey>,
    pub ready: Vec<ReadyKey>,
    pub leases: Vec<(SlotKey, Hold)>,
    pub uniques: Vec<UniqueKey>,
    pub idempotency: Vec<IdempotencyKey>,
    /// Tasks that have ended, by their outcomes, locked; those that another server holds are left out.
    pub relics: Vec<TaskId>,
    /// Of this server's own.
    pub minutes: Vec<MinuteKey>,
    /// Only read: they never change, or only together with a place row.
    pub tasks: Vec<TaskId>,
    pub carries: Vec<SlotKey>,
    pub outcomes: Vec<TaskId>,
    /// The highest worker number that was ever given out.
    pub last_worker: bool,
    /// How many workers are not forgotten, counted up to so many.
    pub live_workers: Option<usize>,
    /// Every lease of these workers, read.
    pub leases_of: Vec<WorkerNumber>,
    /// The names of the queues that are paused, read.
    pub paused: bool,
    pub picks: Vec<Pick>,
    /// Scheduled rows.
    pub due: Option<Due>,
    /// Idempotency keys, by when they were made.
    pub old_keys: Option<Due>,
}

impl Needs {
    pub fn is_empty(&self) -> bool {
        !self.servers
            && !self.queues
            && !self.paused
            && !self.last_worker
            && self.live_workers.is_none()
            && self.open_operations.is_none()
            && self.operations.is_empty()
            && self.lanes.is_empty()
            && self.workers.is_empty()
            && self.scheduled.is_empty()
            && self.ready.is_empty()
            && self.leases.is_empty()
            && self.uniques.is_empty()
            && self.idempotency.is_empty()
            && self.minutes.is_empty()
            && self.relics.is_empty()
            && self.tasks.is_empty()
            && self.carries.is_empty()
            && self.outcomes.is_empty()
            && self.leases_of.is_empty()
            && self.picks.is_empty()
            && self.due.is_none()
            && self.old_keys.is_none()
    }

    pub fn worker(&mut self, name: &Name, hold: Hold) {
        self.workers.push((name.clone(), hold));
    }

    /// Each key once and in order, held if anybody wants it held. Lanes are held together, so they need no order.
    pub fn tidy(&mut self) {
        let mut seen = HashSet::new();
        self.lanes.retain(|key| seen.insert(Arc::clone(key)));
        tidy_held(&mut self.workers);
        tidy_held(&mut self.leases);
        tidy(&mut self.operations);
        tidy(&mut self.scheduled);
        tidy(&mut self.ready);
        tidy(&mut self.uniques);
        tidy(&mut self.idempotency);
        tidy(&mut self.minutes);
        tidy(&mut self.relics);
        tidy(&mut self.tasks);
        tidy(&mut self.carries);
        tidy(&mut self.outcomes);
        tidy(&mut self.leases_of);
    }
}

fn tidy<K: Ord>(keys: &mut Vec<K>) {
    keys.sort_unstable();
    keys.dedup();
}

fn tidy_held<K: Ord>(keys: &mut Vec<(K, Hold)>) {
    // Lock sorts after read; turned round, the first of equal keys is the strongest.
    keys.sort_unstable_by(|(one, hold), (other, other_hold)| {
        one.cmp(other).then(other_hold.cmp(hold))
    });
    keys.dedup_by(|later, first| later.0 == first.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_one_reads_and_one_locks_is_locked_once() {
        let (one, two) = (Name::plain("one").unwrap(), Name::plain("two").unwrap());
        let mut needs = Needs::default();
        needs.worker(&two, Hold::Read);
        needs.worker(&one, Hold::Read);
        needs.worker(&one, Hold::Lock);

        needs.tidy();

        assert_eq!(needs.workers, [(one, Hold::Lock), (two, Hold::Read)]);
    }
}
