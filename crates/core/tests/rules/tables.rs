//! The rows between two batches, in maps, and what must always be true of them and of every change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use taskyard_core::counter::Counter;
use taskyard_core::diff::Diff;
use taskyard_core::id::{Fence, OperationId, RunKey, ServerNumber, SlotKey, TaskId, WorkerNumber};
use taskyard_core::lane::{Heads, Lane, LaneKey};
use taskyard_core::minute::{Minute, MinuteKey};
use taskyard_core::name::Name;
use taskyard_core::needs::{Hold, Needs, Pick};
use taskyard_core::operation::Operation;
use taskyard_core::policy::Policy;
use taskyard_core::queue::Queue;
use taskyard_core::retention::Retention;
use taskyard_core::rows::{
    Attempt, Carry, Closed, Ended, Idempotency, IdempotencyKey, Input, LateResult, Lease, Outcome,
    Ready, Relic, Scheduled, Server, Task, Unique, UniqueKey, Worker,
};
use taskyard_core::slot::Place;
use taskyard_core::status::Status;
use taskyard_core::time::Timestamp;
use taskyard_core::view::{Brief, Change, View};

#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) servers: BTreeMap<ServerNumber, Server>,
    lanes: Vec<Arc<LaneKey>>,
    pub(crate) queues: BTreeMap<Name, Queue>,
    pub(crate) operations: BTreeMap<OperationId, Operation>,
    pub(crate) workers: BTreeMap<Name, Worker>,
    pub(crate) tasks: BTreeMap<TaskId, Arc<Task>>,
    pub(crate) scheduled: BTreeMap<SlotKey, Scheduled>,
    pub(crate) ready: BTreeMap<SlotKey, Ready>,
    pub(crate) leases: BTreeMap<SlotKey, Lease>,
    pub(crate) carries: BTreeMap<SlotKey, Carry>,
    pub(crate) outcomes: BTreeMap<TaskId, Arc<Outcome>>,
    pub(crate) uniques: BTreeMap<UniqueKey, Unique>,
    pub(crate) idempotency: BTreeMap<IdempotencyKey, Idempotency>,
    pub(crate) attempts: BTreeMap<RunKey, Attempt>,
    pub(crate) late_results: BTreeMap<RunKey, LateResult>,
    pub(crate) counters: BTreeMap<Lane, Counter>,
    pub(crate) minutes: BTreeMap<MinuteKey, Minute>,
    /// The highest fence that each slot was ever given out with.
    fences: BTreeMap<SlotKey, Fence>,
}

/// Which rows a batch holds until its commit.
#[derive(Default)]
pub(crate) struct Locked {
    workers: BTreeSet<Name>,
    leases: BTreeSet<SlotKey>,
}

impl Tables {
    /// What a store does with needs. Picks bring no inputs along, so that all are read at the commit.
    pub(crate) fn load(&self, needs: &Needs, view: &mut View, locked: &mut Locked) {
        view.asked(needs);
        let is_locked = |hold: Hold| hold == Hold::Lock;
        let workers = needs.workers.iter().filter(|(_, hold)| is_locked(*hold));
        locked.workers.extend(workers.map(|(name, _)| name.clone()));
        let leases = needs.leases.iter().filter(|(_, hold)| is_locked(*hold));
        locked.leases.extend(leases.map(|(slot, _)| *slot));

        if needs.servers {
            found(&self.servers, self.servers.keys(), |key, row| {
                view.servers.loaded(key, row)
            });
        }
        if needs.queues {
            found(&self.queues, self.queues.keys(), |key, row| {
                view.queues.loaded(key, row)
            });
        }
        found(&self.operations, &needs.operations, |key, row| {
            view.operations.loaded(key, row)
        });
        if let Some(max) = needs.open_operations {
            let open = self.operations.values().filter(|row| row.is_running());
            view.found_open_operations(open.take(max).count());
        }
        if needs.paused {
            let paused = self.queues.values().filter(|queue| queue.is_paused);
            view.found_paused(paused.map(|queue| queue.name.clone()));
        }
        if !needs.lanes.is_empty() {
            let numbered = (1..).map(Lane).zip(&self.lanes);
            let wanted = numbered.filter(|(_, key)| needs.lanes.contains(key));
            wanted.for_each(|(lane, key)| view.found_lane(lane, Arc::clone(key)));
            let last = i32::try_from(self.lanes.len()).expect("there are few");
            view.found_last_lane(Lane(last));
        }
        let names = needs.workers.iter().map(|(name, _)| name);
        found(&self.workers, names, |key, row| {
            view.workers.loaded(key, row)
        });
        for key in &needs.scheduled {
            let row = self
                .scheduled
                .get(&key.slot)
                .filter(|row| row.run_at == key.run_at);
            row.into_iter()
                .for_each(|row| view.scheduled.loaded(key.slot, *row));
        }
        for key in &needs.ready {
            let is_there = |row: &&Ready| (row.lane, row.order_key) == (key.lane, key.order_key);
            let row = self.ready.get(&key.slot).filter(is_there);
            row.into_iter()
                .for_each(|row| view.ready.loaded(key.slot, *row));
        }
        let slots = needs.leases.iter().map(|(slot, _)| slot);
        found(&self.leases, slots, |key, row| view.leases.loaded(key, row));
        found(&self.uniques, &needs.uniques, |key, row| {
            view.uniques.loaded(key, row)
        });
        found(&self.idempotency, &needs.idempotency, |key, row| {
            view.idempotency.loaded(key, row)
        });
        found(&self.minutes, &needs.minutes, |key, row| {
            view.minutes.loaded(key, row)
        });
        for task in &needs.relics {
            if let Some(relic) = self.relic(*task) {
                view.relics.loaded(*task, relic);
            }
        }
        found(&self.tasks, &needs.tasks, |key, row| {
            view.tasks.loaded(key, Arc::new(row.without_input()))
        });
        found(&self.carries, &needs.carries, |key, row| {
            view.carries.loaded(key, row.without_error())
        });
        found(&self.outcomes, &needs.outcomes, |key, row| {
            view.outcomes.loaded(key, Closed::from(&*row))
        });
        if needs.last_worker {
            let numbers = self.workers.values().map(|row| row.number);
            view.found_last_worker(numbers.max().unwrap_or(WorkerNumber(0)), 0);
        }
        if let Some(max) = needs.live_workers {
            let live = self.workers.values().filter(|row| !row.is_forgotten);
            view.found_live_workers(live.take(max).count());
        }
        let of_workers = self.leases.values();
        of_workers
            .filter(|lease| needs.leases_of.contains(&lease.worker))
            .for_each(|lease| view.lease_of(lease.clone()));
        for pick in &needs.picks {
            view.picked(pick.clone(), self.pick(pick));
        }
        if let Some(due) = needs.due {
            let rows = self
                .scheduled
                .values()
                .filter(|row| row.run_at <= due.until);
            let mut rows: Vec<Scheduled> = rows.copied().collect();
            rows.sort_by_key(|row| (row.run_at, row.slot));
            let wanted = rows.into_iter().skip(due.skip).take(due.rows);
            view.found_due(wanted.collect());
        }
        if let Some(due) = needs.old_keys {
            let old = self
                .idempotency
                .values()
                .filter(|row| row.created_at <= due.until)
                .skip(due.skip);
            view.found_old_keys(old.take(due.rows).cloned().collect());
        }
    }

    fn relic(&self, task: TaskId) -> Option<Relic> {
        let (outcome, row) = (self.outcomes.get(&task)?, self.tasks.get(&task)?);
        let place = usize::try_from(row.lane.0 - 1).expect("lanes are numbered from 1");
        let ended = Ended {
            task,
            status: outcome.status,
            ended_at: outcome.ended_at,
            queue: self.lanes[place].queue.clone(),
        };
        Some(Relic {
            ended,
            lane: row.lane,
            unique_key: row.unique_key.clone(),
        })
    }

    fn pick(&self, pick: &Pick) -> Vec<(Ready, Brief)> {
        let in_lanes = |row: &&Ready| pick.lanes.iter().any(|(lane, _)| *lane == row.lane);
        let mut rows: Vec<Ready> = self.ready.values().filter(in_lanes).copied().collect();
        rows.sort_by_key(Ready::position);
        rows.truncate(pick.rows);
        let brief = |row: &Ready| {
            let task = &self.tasks[&row.slot.task];
            Brief {
                timeout: task.timeout,
                is_exclusive: task.is_exclusive,
                input: Input::Left(task.input.bytes()),
            }
        };
        rows.into_iter().map(|row| (row, brief(&row))).collect()
    }

    /// Writes the diff, if it changes only what is there, from what it was, and what the batch holds.
    pub(crate) fn write(&mut self, diff: Diff, locked: &Locked) {
        self.check_fences(&diff);
        for change in &diff.leases {
            let (is_insert, slot) = (matches!(change, Change::Insert(_)), change.row().slot);
            assert!(
                is_insert || locked.leases.contains(&slot),
                "{slot:?} was not held"
            );
        }
        for change in &diff.workers {
            let (is_insert, name) = (matches!(change, Change::Insert(_)), &change.row().name);
            assert!(
                is_insert || locked.workers.contains(name),
                "{name} was not held"
            );
        }
        for (lane, key) in diff.lanes {
            assert!(!self.lanes.contains(&key), "{key:?} has a number");
            self.lanes.push(key);
            assert_eq!(usize::try_from(lane.0).ok(), Some(self.lanes.len()));
        }
        apply(&mut self.servers, diff.servers, |row| row.number);
        apply(&mut self.queues, diff.queues, |row| row.name.clone());
        apply(&mut self.operations, diff.operations, |row| row.id);
        apply(&mut self.workers, diff.workers, |row| row.name.clone());
        apply(&mut self.scheduled, diff.scheduled, |row| row.slot);
        apply(&mut self.ready, diff.ready, |row| row.slot);
        apply(&mut self.leases, diff.leases, |row| row.slot);
        let mut carries = diff.carries;
        for change in &mut carries {
            if let Change::Update { before, after } = change {
                let stands = &self.carries[&before.slot];
                before.complete(stands);
                after.complete(stands);
            }
        }
        apply(&mut self.carries, carries, |row| row.slot);
        apply(&mut self.uniques, diff.uniques, |row| row.key.clone());
        apply(&mut self.idempotency, diff.idempotency, |row| {
            row.key.clone()
        });
        let tasks = diff.tasks.into_iter().map(Change::Insert).collect();
        apply(&mut self.tasks, tasks, |row| row.id);
        let outcomes = diff.outcomes.into_iter().map(Change::Insert).collect();
        apply(&mut self.outcomes, outcomes, |row| row.task);
        for attempt in diff.attempts {
            let earlier = self.attempts.insert(attempt.run, attempt);
            assert!(earlier.is_none(), "a run ends once: {earlier:?}");
        }
        let late = diff.late_results.into_iter().map(|row| (row.run, row));
        self.late_results.extend(late);
        for run in diff.forgotten {
            self.attempts.remove(&run);
            self.late_results.remove(&run);
        }
        for task in diff.discarded {
            let gone = (self.tasks.remove(&task), self.outcomes.remove(&task));
            assert!(matches!(gone, (Some(_), Some(_))), "{task} had not ended");
            self.carries.retain(|slot, _| slot.task != task);
            self.attempts.retain(|run, _| run.slot.task != task);
            self.late_results.retain(|run, _| run.slot.task != task);
        }
        for (lane, change) in diff.counters {
            self.counters.entry(lane).or_default().add(&change);
        }
        apply(&mut self.minutes, diff.minutes, |row| row.key);
        let first = diff.minutes_from.unwrap_or(i64::MIN);
        self.minutes.retain(|key, _| key.minute >= first);
        for task in diff.inputs {
            assert!(
                self.tasks.contains_key(&task),
                "an input is read of a task that exists"
            );
        }
    }

    /// A slot is given out with a higher fence each time, and keeps it while it is held.
    fn check_fences(&mut self, diff: &Diff) {
        for change in &diff.leases {
            let (before, after) = match change {
                Change::Insert(after) => (None, after),
                Change::Update { before, after } => (Some(before.fence), after),
                Change::Delete(_) => continue,
            };
            let highest = self.fences.insert(after.slot, after.fence);
            let keeps = before == Some(after.fence) && highest == before;
            assert!(
                keeps || highest < Some(after.fence),
                "{after:?} after {highest:?}"
            );
        }
    }

    /// What goes has ended, as long ago as its queue or the policy says, and nobody can ask for it by a key. Its queue said
    /// so before the batch, or was `set` in it.
    pub(crate) fn check_kept_enough(
        &self,
        task: TaskId,
        now: Timestamp,
        policy: &Policy,
        set: &[Option<Retention>],
    ) {
        let relic = self.relic(task).expect("what goes is there and has ended");
        let queue = self.queues.get(&relic.ended.queue);
        let said = set.iter().copied();
        let mut said = said.chain([queue.and_then(|queue| queue.retention)]);
        let is_enough = |retention: Option<Retention>| {
            let life = retention.unwrap_or(policy.retention).of(relic.ended.status);
            life.is_some_and(|life| relic.ended.ended_at + life <= now)
        };
        assert!(said.any(is_enough), "{relic:?} is kept longer");
        assert!(
            relic.ended.ended_at + policy.key_life < now,
            "{relic:?} may be asked for"
        );
        let known = self
            .idempotency
            .values()
            // A key that came later was answered with a task that had ended long ago.
            .filter(|row| row.created_at <= relic.ended.ended_at)
            .filter(|row| row.created_at + policy.key_life > now);
        let by_key = known
            .flat_map(|row| row.made.iter())
            .any(|known| *known == task);
        assert!(!by_key, "{relic:?} is known by a key");
    }

    pub(crate) fn check(&self, heads: &Heads) {
        let mut counted: BTreeMap<Lane, Counter> = BTreeMap::new();
        for task in self.tasks.values() {
            let (lane, status) = self.check_task(task);
            assert_eq!(lane, task.lane, "a task stays in its lane");
            counted.entry(lane).or_default()[status] += 1;
        }
        let known = self.tasks.len();
        let places = self.scheduled.len() + self.ready.len() + self.leases.len();
        assert_eq!(
            places + self.outcomes.len(),
            known,
            "each task stands in one place"
        );
        let counters = self.counters.iter().map(|(lane, tasks)| (*lane, *tasks));
        let counters = counters.filter(|(_, tasks)| *tasks != Counter::default());
        let counters: BTreeMap<Lane, Counter> = counters.collect();
        assert_eq!(counters, counted, "the counters are exact");
        let keeps = |row: &&Unique| self.tasks.contains_key(&row.task);
        let kept = self.uniques.values().filter(keeps).count();
        assert_eq!(kept, self.uniques.len(), "no key is of a task that is gone");
        let open = |task: &&Arc<Task>| !self.outcomes.contains_key(&task.id);
        let held = self.tasks.values().filter(open);
        let mut keys: Vec<_> = held.filter_map(|task| task.unique_key.clone()).collect();
        let with_keys = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), with_keys, "a unique key stands once");
        for lease in self.leases.values() {
            assert_eq!(
                lease.is_exclusive,
                self.tasks[&lease.slot.task].is_exclusive
            );
        }
        for row in self.ready.values() {
            let first = heads.first(row.lane);
            let is_promised = first.is_some_and(|first| first <= row.position());
            assert!(
                is_promised,
                "{row:?} is before what its lane promises: {first:?}"
            );
        }
        for attempt in self.attempts.values() {
            assert_eq!(attempt.number.is_some(), attempt.started_at.is_some());
        }
    }

    /// Its lane and status, if all that is known of it agrees.
    fn check_task(&self, task: &Task) -> (Lane, Status) {
        let slot = SlotKey::only(task.id);
        let carry = self.carries.get(&slot);
        let counts = Carry::counts(carry);
        if let Some(outcome) = self.outcomes.get(&task.id) {
            check_end(outcome, task);
            return (outcome.lane, outcome.status);
        }
        assert!(
            counts.failures < task.limits.max_attempts,
            "it should have ended: {counts:?}"
        );
        assert!(
            counts.losses < task.limits.max_losses,
            "it should have ended: {counts:?}"
        );
        let (run_at, order_key) = carry.map_or((task.run_at, task.order_key), |carry| {
            (carry.run_at, carry.order_key)
        });
        if let Some(row) = self.scheduled.get(&slot) {
            assert_eq!(
                (row.run_at, row.order_key),
                (run_at, order_key),
                "its key is computed"
            );
            assert_eq!(row.has_carry, carry.is_some(), "{row:?}");
            return (row.lane, Place::Scheduled.status());
        }
        if let Some(row) = self.ready.get(&slot) {
            assert_eq!(row.order_key, order_key, "its key is computed");
            assert_eq!(row.has_carry, carry.is_some(), "{row:?}");
            assert_eq!(
                row.is_suspect(),
                counts.is_suspect(),
                "suspects wait in the twin"
            );
            return (row.lane.plain(), row.place().status());
        }
        let lease = self.leases.get(&slot).expect("a task stands somewhere");
        assert_eq!(lease.has_carry, carry.is_some(), "{lease:?}");
        assert_eq!(
            lease.started_at.is_some(),
            lease.deadline.is_some(),
            "{lease:?}"
        );
        assert!(
            carry.is_none_or(|carry| carry.fence < lease.fence),
            "{lease:?}"
        );
        (lease.lane, lease.place().status())
    }
}

/// Whether it says what its task's limits and its status ask for.
fn check_end(outcome: &Outcome, task: &Task) {
    let (counts, limits) = (outcome.counts, task.limits);
    let is_completed = outcome.status == Status::Completed;
    assert_eq!(is_completed, outcome.output.is_some(), "{outcome:?}");
    assert_eq!(
        outcome.worker.is_some(),
        outcome.claimed_at.is_some(),
        "{outcome:?}"
    );
    assert!(counts.failures <= limits.max_attempts, "{outcome:?}");
    assert!(counts.losses <= limits.max_losses, "{outcome:?}");
    let is_lost = outcome
        .error
        .as_ref()
        .is_some_and(|error| &*error.code == "worker_lost");
    if outcome.status == Status::Failed && is_lost {
        assert_eq!(
            counts.losses, limits.max_losses,
            "it had more to lose: {outcome:?}"
        );
    }
    if outcome.status == Status::Timeout {
        assert_eq!(
            counts.failures, limits.max_attempts,
            "it had more tries: {outcome:?}"
        );
    }
}

fn found<'a, K: Ord + Clone + 'a, R: Clone>(
    table: &BTreeMap<K, R>,
    keys: impl IntoIterator<Item = &'a K>,
    mut tell: impl FnMut(K, R),
) {
    for key in keys {
        if let Some(row) = table.get(key) {
            tell(key.clone(), row.clone());
        }
    }
}

fn apply<K: Ord, R: PartialEq + Debug>(
    table: &mut BTreeMap<K, R>,
    changes: Vec<Change<R>>,
    key: impl Fn(&R) -> K,
) {
    for change in changes {
        let (before, after) = match change {
            Change::Insert(after) => (None, Some(after)),
            Change::Update { before, after } => (Some(before), Some(after)),
            Change::Delete(before) => (Some(before), None),
        };
        let stands = before.as_ref().map(|row| table.remove(&key(row)));
        assert_eq!(stands.flatten(), before, "a row is changed from what it is");
        if let Some(after) = after {
            let earlier = table.insert(key(&after), after);
            assert_eq!(earlier, None, "a row is put where none is");
        }
    }
}
