//! The rows of one batch: what was loaded, and what the verbs have made of it so far.
//!
//! Each command sees what the ones before it did. What is put in and taken out again within the batch never reaches
//! the store: a submit that meets a waiting claim of its batch goes straight to a lease. Asking for a row that was
//! not loaded is a bug of the verb's `needs`, and panics.

mod found;
mod lanes;
mod learned;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};

pub use self::rows::{Change, Rows};
use crate::counter::Counter;
use crate::diff::Diff;
use crate::id::{Epoch, OperationId, RunKey, ServerNumber, SlotKey, TaskId, WorkerNumber};
use crate::lane::{Lane, LaneKey, Lanes};
use crate::minute::{Minute, MinuteKey};
use crate::name::Name;
use crate::needs::Pick;
use crate::operation::Operation;
use crate::order::Position;
use crate::queue::Queue;
use crate::rows::{
    Attempt, Carry, Closed, Idempotency, IdempotencyKey, Input, LateResult, Lease, Outcome, Ready,
    Relic, Scheduled, Server, Task, Unique, UniqueKey, Worker,
};
use crate::status::Status;
use crate::topic::Topic;

/// What a claim must know of a task besides its place: loaded with the pick.
#[derive(Clone, PartialEq, Debug)]
pub struct Brief {
    pub timeout: Duration,
    pub is_exclusive: bool,
    /// With the pick where it is small; else read at the commit.
    pub input: Input,
}

/// How one pick went.
#[derive(Clone, PartialEq, Debug)]
pub struct Picked {
    pub pick: Pick,
    pub slots: Vec<SlotKey>,
}

impl Picked {
    /// Nothing more was to be had from its lanes.
    pub(crate) fn is_short(&self) -> bool {
        self.slots.len() < self.pick.rows
    }
}

#[derive(Default, Debug)]
pub struct View {
    pub servers: Rows<ServerNumber, Server>,
    lanes: Rows<Arc<LaneKey>, (Lane, Arc<LaneKey>)>,
    pub queues: Rows<Name, Queue>,
    pub operations: Rows<OperationId, Operation>,
    pub workers: Rows<Name, Worker>,
    pub tasks: Rows<TaskId, Arc<Task>>,
    pub scheduled: Rows<SlotKey, Scheduled>,
    pub ready: Rows<SlotKey, Ready>,
    pub leases: Rows<SlotKey, Lease>,
    pub carries: Rows<SlotKey, Carry>,
    pub outcomes: Rows<TaskId, Closed>,
    pub uniques: Rows<UniqueKey, Unique>,
    pub idempotency: Rows<IdempotencyKey, Idempotency>,
    pub minutes: Rows<MinuteKey, Minute>,
    pub relics: Rows<TaskId, Relic>,
    /// The tasks that this batch has ended.
    ended: Vec<Arc<Outcome>>,
    minutes_from: Option<i64>,
    briefs: HashMap<TaskId, Brief>,
    picked: Vec<Picked>,
    /// Where these lanes go on behind the rows that were picked; `None`: nowhere.
    goes_on: HashMap<Lane, Option<Position>>,
    is_torn: bool,
    due: Vec<SlotKey>,
    old_keys: Vec<IdempotencyKey>,
    last_worker: Option<WorkerNumber>,
    workers_from: i32,
    live_workers: Option<usize>,
    open_operations: Option<usize>,
    last_lane: Option<Lane>,
    /// Lanes that this server did not know and that tasks of this batch are in.
    taken_up: Lanes,
    leases_of: HashSet<WorkerNumber>,
    paused: Option<HashSet<Name>>,
    locked_leases: HashSet<SlotKey>,
    locked_workers: HashSet<Name>,
    attempts: Vec<Attempt>,
    late_results: Vec<LateResult>,
    forgotten: Vec<RunKey>,
    counters: HashMap<Lane, Counter>,
    topics: Vec<Topic>,
    inputs_wanted: Vec<TaskId>,
}

/// What verbs ask and say.
impl View {
    pub(crate) fn picks(&self) -> &[Picked] {
        &self.picked
    }

    pub(crate) fn knows_leases_of(&self, worker: WorkerNumber) -> bool {
        self.leases_of.contains(&worker)
    }

    /// Whether nobody else can change this lease until the commit.
    pub(crate) fn holds_lease(&self, slot: SlotKey) -> bool {
        self.locked_leases.contains(&slot)
    }

    /// Whether nobody else can change this worker's row until the commit.
    pub(crate) fn holds_worker(&self, name: &Name) -> bool {
        self.locked_workers.contains(name)
    }

    pub(crate) fn due(&self) -> &[SlotKey] {
        &self.due
    }

    pub(crate) fn old_keys(&self) -> &[IdempotencyKey] {
        &self.old_keys
    }

    /// The highest worker number that was ever given out, if it was asked for.
    pub(crate) fn last_worker(&self) -> Option<WorkerNumber> {
        self.last_worker
    }

    /// The queues that were paused when this batch was loaded, if that was asked for.
    pub fn paused(&self) -> Option<&HashSet<Name>> {
        self.paused.as_ref()
    }

    /// Whether nothing of the queue may be given out.
    ///
    /// # Panics
    /// If nobody asked for it.
    pub(crate) fn is_paused(&self, queue: &Name) -> bool {
        // What this batch has set counts, and what it has taken away with all that was set.
        if self.queues.knows(queue) {
            let row = self.queues.peek(queue);
            return row.is_some_and(|row| row.is_paused);
        }
        let paused = self
            .paused
            .as_ref()
            .expect("the paused queues were asked for");
        paused.contains(queue)
    }

    /// How many workers are not forgotten, if they were to be counted.
    pub fn live_workers(&self) -> Option<usize> {
        self.live_workers
    }

    /// Takes room for one more worker, if there are fewer than so many. Where they were not counted there is some.
    pub(crate) fn take_room_for_worker(&mut self, max: usize) -> bool {
        let Some(live) = &mut self.live_workers else {
            return true;
        };
        let has_room = *live < max;
        *live += usize::from(has_room);
        has_room
    }

    /// Takes room for one more operation, if fewer than so many have not ended.
    ///
    /// # Panics
    /// If nobody asked how many there are.
    pub(crate) fn take_room_for_operation(&mut self, max: usize) -> bool {
        let open = self.open_operations.as_mut();
        let open = open.expect("the open operations were counted");
        let has_room = *open < max;
        *open += usize::from(has_room);
        has_room
    }

    /// A number for a new worker, and its first epoch: none that a process of before the database was emptied may have.
    pub(crate) fn next_worker(&mut self) -> (WorkerNumber, Epoch) {
        let last = self
            .last_worker
            .expect("the last worker's number was asked for");
        let next = WorkerNumber(last.0 + 1);
        self.last_worker = Some(next);
        (next, Epoch(self.workers_from + 1))
    }

    /// The leases that the worker held at the load and still holds, and those it was given since.
    pub(crate) fn leases_of(&self, worker: WorkerNumber) -> impl Iterator<Item = &Lease> {
        assert!(
            self.knows_leases_of(worker),
            "the leases of {worker:?} were not loaded"
        );
        self.leases
            .iter()
            .filter(move |lease| lease.worker == worker)
    }

    /// What a slot brings along, as far as its place says that it does.
    ///
    /// # Panics
    /// If it does and nobody asked for it.
    pub(crate) fn carry_of(&self, slot: SlotKey, has_carry: bool) -> Option<&Carry> {
        has_carry.then(|| self.carries.get(&slot)).flatten()
    }

    /// Whether [`View::brief`] can tell: the task was picked, or its row asked for.
    pub(crate) fn knows_brief(&self, task: TaskId) -> bool {
        self.briefs.contains_key(&task) || self.tasks.knows(&task)
    }

    /// What a claim must know of a task; none if there is no such task.
    ///
    /// # Panics
    /// If it was neither picked nor asked for.
    pub(crate) fn brief(&self, task: TaskId) -> Option<Brief> {
        if let Some(brief) = self.briefs.get(&task) {
            return Some(brief.clone());
        }
        let task = self.tasks.get(&task)?;
        Some(Brief {
            timeout: task.timeout,
            is_exclusive: task.is_exclusive,
            input: task.input.clone(),
        })
    }

    /// Reads the input with the commit.
    pub(crate) fn want_input(&mut self, task: TaskId) {
        self.inputs_wanted.push(task);
    }

    /// The task's end: once, and for good.
    pub(crate) fn end(&mut self, outcome: Arc<Outcome>) {
        self.outcomes.insert(outcome.task, Closed::from(&*outcome));
        self.ended.push(outcome);
    }

    pub(crate) fn record(&mut self, attempt: Attempt) {
        self.attempts.push(attempt);
    }

    /// Kept to be seen; a second one of the same run takes the place of the first.
    pub(crate) fn record_late(&mut self, late: LateResult) {
        self.late_results.retain(|other| other.run != late.run);
        self.late_results.push(late);
    }

    /// What is kept of this run, if anything, may go.
    pub(crate) fn forget(&mut self, run: RunKey) {
        self.forgotten.push(run);
    }

    /// Takes away a task that has ended, with all its rows. For what comes behind it in this batch it never was.
    ///
    /// # Panics
    /// If its relic was not asked for, or is not there.
    pub(crate) fn discard(&mut self, task: TaskId) {
        let relic = self.relics.remove(&task);
        assert!(relic.is_some(), "{task} is not there to be taken away");
        self.tasks.asked([&task]);
        self.outcomes.asked([&task]);
        self.carries.asked([&SlotKey::only(task)]);
    }

    /// Minutes before this one may go.
    pub(crate) fn forget_minutes(&mut self, before: i64) {
        self.minutes_from = Some(before);
    }

    /// Lanes are counted with their twins.
    pub(crate) fn count(&mut self, lane: Lane, status: Status, change: i64) {
        self.counters.entry(lane.plain()).or_default()[status] += change;
    }

    pub(crate) fn announce(&mut self, topic: Topic) {
        self.topics.push(topic);
    }

    /// What changed, for the store to write, and what others should hear of once it is written.
    pub fn into_diff(self) -> (Diff, Vec<Topic>) {
        let mut diff = Diff {
            servers: self.servers.kept(),
            lanes: self.lanes.inserted(),
            queues: self.queues.changes(),
            operations: self.operations.changes(),
            workers: self.workers.kept(),
            tasks: self.tasks.inserted(),
            scheduled: self.scheduled.changes(),
            ready: self.ready.changes(),
            leases: self.leases.changes(),
            carries: self.carries.kept(),
            outcomes: self.ended,
            uniques: self.uniques.changes(),
            idempotency: self.idempotency.changes(),
            minutes: self.minutes.kept(),
            minutes_from: self.minutes_from,
            attempts: self.attempts,
            late_results: self.late_results,
            forgotten: self.forgotten,
            discarded: self
                .relics
                .taken_out()
                .map(|relic| relic.ended.task)
                .collect(),
            counters: self
                .counters
                .into_iter()
                .filter(|(_, change)| *change != Counter::default())
                .collect(),
            inputs: self.inputs_wanted,
        };
        diff.sort();
        let mut topics = self.topics;
        topics.extend(arrivals(&diff.ready).map(|row| Topic::Ready(row.lane)));
        topics.extend(arrivals(&diff.scheduled).map(|row| Topic::Scheduled(row.run_at)));
        (diff, topics)
    }
}

/// The rows that stand where they did not stand before the batch.
fn arrivals<R>(changes: &[Change<R>]) -> impl Iterator<Item = &R> {
    changes.iter().filter_map(Change::after)
}
