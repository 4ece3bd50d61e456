//! What a batch changes: rows in table and key order, as a store writes them, all or none.

use std::sync::Arc;

use crate::counter::Counter;
use crate::id::{RunKey, TaskId};
use crate::lane::{Lane, LaneKey};
use crate::minute::Minute;
use crate::operation::Operation;
use crate::queue::Queue;
use crate::rows::{
    Attempt, Carry, Idempotency, LateResult, Lease, Outcome, Ready, Scheduled, Server, Task,
    Unique, Worker,
};
use crate::view::Change;

/// A scheduled or ready row that moved is an `Update` whose keys differ: stores delete the one and insert the other.
#[derive(Default, PartialEq, Debug)]
pub struct Diff {
    /// Never taken out.
    pub servers: Vec<Change<Server>>,
    /// Numbers that are given for the first time.
    pub lanes: Vec<(Lane, Arc<LaneKey>)>,
    /// Never taken out.
    pub queues: Vec<Change<Queue>>,
    pub operations: Vec<Change<Operation>>,
    /// Never taken out.
    pub workers: Vec<Change<Worker>>,
    pub tasks: Vec<Arc<Task>>,
    pub scheduled: Vec<Change<Scheduled>>,
    pub ready: Vec<Change<Ready>>,
    pub leases: Vec<Change<Lease>>,
    /// Never taken out.
    pub carries: Vec<Change<Carry>>,
    pub outcomes: Vec<Arc<Outcome>>,
    pub uniques: Vec<Change<Unique>>,
    pub idempotency: Vec<Change<Idempotency>>,
    /// Of this server's own. None is taken out by itself.
    pub minutes: Vec<Change<Minute>>,
    /// Minutes before this one may go, those of other servers too.
    pub minutes_from: Option<i64>,
    pub attempts: Vec<Attempt>,
    /// Each takes the place of an earlier one of the same run.
    pub late_results: Vec<LateResult>,
    /// Rows of `attempt` and `late_result` that may go, if they are there.
    pub forgotten: Vec<RunKey>,
    /// Tasks that go with all their rows, those of this batch too: `task`, `outcome`, `carry`, `attempt`, `late_result`.
    pub discarded: Vec<TaskId>,
    /// By how much the lanes' counters change.
    pub counters: Vec<(Lane, Counter)>,
    /// Not a change: tasks whose inputs the commit reads on its way.
    pub inputs: Vec<TaskId>,
}

impl Diff {
    /// Nothing to write; there may still be inputs to read.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
            && self.lanes.is_empty()
            && self.queues.is_empty()
            && self.operations.is_empty()
            && self.workers.is_empty()
            && self.tasks.is_empty()
            && self.scheduled.is_empty()
            && self.ready.is_empty()
            && self.leases.is_empty()
            && self.carries.is_empty()
            && self.outcomes.is_empty()
            && self.uniques.is_empty()
            && self.idempotency.is_empty()
            && self.minutes.is_empty()
            && self.minutes_from.is_none()
            && self.attempts.is_empty()
            && self.late_results.is_empty()
            && self.forgotten.is_empty()
            && self.discarded.is_empty()
            && self.counters.is_empty()
    }

    /// By key, so that neighbouring pages are written together and two servers that put in the same rows do not wait for
    /// each other crosswise. Where rows are wide and many, their keys are sorted in their place.
    pub(crate) fn sort(&mut self) {
        self.servers
            .sort_unstable_by_key(|change| change.row().number);
        self.lanes.sort_unstable_by_key(|(lane, _)| *lane);
        self.queues
            .sort_unstable_by(|one, other| one.row().name.cmp(&other.row().name));
        self.operations
            .sort_unstable_by_key(|change| change.row().id);
        self.workers
            .sort_unstable_by(|one, other| one.row().name.cmp(&other.row().name));
        self.tasks.sort_unstable_by_key(|task| task.id);
        self.scheduled
            .sort_by_cached_key(|change| (change.row().run_at, change.row().slot));
        self.ready.sort_by_cached_key(|change| {
            let row = change.row();
            (row.lane, row.order_key, row.slot)
        });
        self.leases.sort_by_cached_key(|change| change.row().slot);
        self.carries.sort_by_cached_key(|change| change.row().slot);
        self.outcomes.sort_unstable_by_key(|outcome| outcome.task);
        self.uniques
            .sort_unstable_by(|one, other| one.row().key.cmp(&other.row().key));
        self.idempotency
            .sort_unstable_by(|one, other| one.row().key.cmp(&other.row().key));
        self.minutes.sort_unstable_by_key(|change| change.row().key);
        self.attempts.sort_unstable_by_key(|attempt| attempt.run);
        self.late_results.sort_unstable_by_key(|late| late.run);
        self.forgotten.sort_unstable();
        self.discarded.sort_unstable();
        self.counters.sort_unstable_by_key(|(lane, _)| *lane);
        self.inputs.sort_unstable();
    }
}
