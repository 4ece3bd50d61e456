//! The model's tables, and how rows get out of them and into them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use taskyard_core::counter::Counter;
use taskyard_core::diff::Diff;
use taskyard_core::id::{OperationId, RunKey, ServerNumber, SlotKey, TaskId, WorkerNumber};
use taskyard_core::lane::{Lane, LaneKey};
use taskyard_core::minute::{Minute, MinuteKey};
use taskyard_core::name::Name;
use taskyard_core::needs::{Due, Needs, Pick, ReadyKey, ScheduledKey};
use taskyard_core::operation::Operation;
use taskyard_core::queue::Queue;
use taskyard_core::rows::{
    Attempt, Carry, Closed, Ended, Idempotency, IdempotencyKey, Input, LateResult, Lease, Outcome,
    Ready, Relic, Scheduled, Server, Task, Unique, UniqueKey, Worker,
};
use taskyard_core::store::Error;
use taskyard_core::time::Timestamp;
use taskyard_core::view::{Brief, Change, View};

use crate::tx::{Inputs, Tx, Undone, Writer};

#[derive(Default, Clone)]
pub(super) struct Tables {
    pub(super) servers: BTreeMap<ServerNumber, Server>,
    pub(super) queues: BTreeMap<Name, Queue>,
    pub(super) operations: BTreeMap<OperationId, Operation>,
    pub(super) workers: BTreeMap<Name, Worker>,
    pub(super) lanes: Vec<Arc<LaneKey>>,
    pub(super) tasks: BTreeMap<TaskId, Arc<Task>>,
    pub(super) scheduled: BTreeMap<ScheduledKey, Scheduled>,
    pub(super) ready: BTreeMap<ReadyKey, Ready>,
    pub(super) leases: BTreeMap<SlotKey, Lease>,
    pub(super) carries: BTreeMap<SlotKey, Carry>,
    pub(super) outcomes: BTreeMap<TaskId, Arc<Outcome>>,
    pub(super) attempts: BTreeMap<RunKey, Attempt>,
    pub(super) late_results: BTreeMap<RunKey, LateResult>,
    pub(super) uniques: BTreeMap<UniqueKey, Unique>,
    pub(super) idempotency: BTreeMap<IdempotencyKey, Idempotency>,
    pub(super) counters: BTreeMap<Lane, Counter>,
    pub(super) minutes: BTreeMap<MinuteKey, Minute>,
    /// Numbers and epochs of workers up to this one were given out before the tables were emptied.
    pub(super) given_before: i32,
    /// See [`super::Model::refuse`].
    pub(super) refused: BTreeSet<TaskId>,
    /// See [`super::Model::blot`].
    pub(super) unreadable: BTreeSet<TaskId>,
}

impl Tables {
    /// What the stores take away when they are emptied.
    pub(super) fn reset(&mut self) {
        let numbers = self.workers.values();
        let numbers = numbers.map(|row| row.number.0.max(row.epoch.0));
        *self = Self {
            servers: std::mem::take(&mut self.servers),
            lanes: std::mem::take(&mut self.lanes),
            given_before: numbers.max().unwrap_or(0).max(self.given_before),
            ..Self::default()
        };
    }
}

impl Writer for Tables {
    type Tx<'a> = &'a mut Tables;

    async fn begin(&mut self) -> Result<&mut Tables, Error> {
        Ok(self)
    }

    async fn open_among(&mut self, lanes: &[Lane]) -> Result<Vec<Lane>, Error> {
        Ok(self.open_lanes(lanes))
    }
}

impl Tx for &mut Tables {
    async fn load(&mut self, needs: &Needs, view: &mut View) -> Result<(), Error> {
        if needs.servers {
            self.servers
                .values()
                .for_each(|row| view.servers.loaded(row.number, *row));
        }
        if needs.queues {
            let rows = self.queues.values().cloned();
            rows.for_each(|row| view.queues.loaded(row.name.clone(), row));
        }
        if needs.paused {
            view.found_paused(self.paused());
        }
        found(&self.operations, &needs.operations, |id, row| {
            view.operations.loaded(id, row)
        });
        if let Some(max) = needs.open_operations {
            view.found_open_operations(self.open_operations().take(max).count());
        }
        self.load_lanes(&needs.lanes, view);
        if needs.last_worker {
            let last = self.workers.values().map(|row| row.number).max();
            view.found_last_worker(last.unwrap_or(WorkerNumber(0)), self.given_before);
        }
        found(
            &self.workers,
            needs.workers.iter().map(|(name, _)| name),
            |name, row| view.workers.loaded(name, row),
        );
        found(&self.scheduled, &needs.scheduled, |key, row| {
            view.scheduled.loaded(key.slot, row)
        });
        found(&self.ready, &needs.ready, |key, row| {
            view.ready.loaded(key.slot, row)
        });
        found(
            &self.leases,
            needs.leases.iter().map(|(slot, _)| slot),
            |slot, row| view.leases.loaded(slot, row),
        );
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
        found(&self.tasks, &needs.tasks, |id, row| {
            view.tasks.loaded(id, Arc::new(row.without_input()))
        });
        found(&self.carries, &needs.carries, |slot, row| {
            view.carries.loaded(slot, row.without_error())
        });
        found(&self.outcomes, &needs.outcomes, |id, row| {
            view.outcomes.loaded(id, Closed::from(&*row))
        });
        if let Some(max) = needs.live_workers {
            view.found_live_workers(self.remembered().take(max).count());
        }
        let wanted = self
            .leases
            .values()
            .filter(|lease| needs.leases_of.contains(&lease.worker));
        wanted.for_each(|lease| view.lease_of(lease.clone()));
        for pick in &needs.picks {
            view.picked(pick.clone(), self.pick(pick));
        }
        if let Some(due) = needs.due {
            view.found_due(self.due(due));
        }
        if let Some(due) = needs.old_keys {
            let old = self.old_keys(due.until).into_iter().skip(due.skip);
            view.found_old_keys(old.take(due.rows).cloned().collect());
        }
        Ok(())
    }

    async fn commit(self, diff: Diff) -> Result<Inputs, Undone> {
        if self.has_row_of(&diff) {
            // Nobody else writes here, so it stood there before.
            return Err(Error::Failed("a row stands there".to_owned()).into());
        }
        if self.refuses(&diff) {
            return Err(Error::Failed("it is refused here".to_owned()).into());
        }
        Ok(self.write(diff))
    }
}

pub(super) fn scheduled_key(row: &Scheduled) -> ScheduledKey {
    ScheduledKey {
        run_at: row.run_at,
        slot: row.slot,
    }
}

pub(super) fn ready_key(row: &Ready) -> ReadyKey {
    ReadyKey {
        lane: row.lane,
        order_key: row.order_key,
        slot: row.slot,
    }
}

impl Tables {
    /// The lanes numbered above `known`.
    pub(super) fn lanes_above(&self, known: i32) -> Vec<(Lane, Arc<LaneKey>)> {
        let numbered = (1..).map(Lane).zip(&self.lanes);
        numbered
            .filter(|(lane, _)| lane.0 > known)
            .map(|(lane, key)| (lane, Arc::clone(key)))
            .collect()
    }

    pub(super) fn load_lanes(&self, wanted: &[Arc<LaneKey>], view: &mut View) {
        if wanted.is_empty() {
            return;
        }
        for (lane, key) in self.lanes_above(0) {
            if wanted.contains(&key) {
                view.found_lane(lane, key);
            }
        }
        view.found_last_lane(self.last_lane());
    }

    pub(super) fn paused(&self) -> Vec<Name> {
        let paused = self.queues.values().filter(|queue| queue.is_paused);
        paused.map(|queue| queue.name.clone()).collect()
    }

    pub(super) fn open_operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.values().filter(|row| row.is_running())
    }

    pub(super) fn open_lanes(&self, among: &[Lane]) -> Vec<Lane> {
        let lanes = among.iter().copied();
        let open = |lane: &Lane| {
            self.counters
                .get(lane)
                .is_some_and(|tasks| tasks.open() > 0)
        };
        lanes.filter(open).collect()
    }

    /// Whether the number or the key is taken.
    pub(super) fn has_lane(&self, lane: Lane, key: &LaneKey) -> bool {
        lane <= self.last_lane() || self.lanes.iter().any(|known| **known == *key)
    }

    pub(super) fn last_lane(&self) -> Lane {
        Lane(i32::try_from(self.lanes.len()).expect("lanes have small numbers"))
    }

    /// Of those that no rule looks for before it puts one in.
    fn has_row_of(&self, diff: &Diff) -> bool {
        let mut tasks = diff.tasks.iter();
        let mut ended = diff.outcomes.iter();
        tasks.any(|row| self.tasks.contains_key(&row.id))
            || ended.any(|row| self.outcomes.contains_key(&row.task))
    }

    fn refuses(&self, diff: &Diff) -> bool {
        let leased = diff.leases.iter().map(|change| change.row().slot.task);
        let made_ready = diff.ready.iter().filter_map(|change| match change {
            Change::Insert(row) | Change::Update { after: row, .. } => Some(row.slot.task),
            Change::Delete(_) => None,
        });
        let put_in = diff.tasks.iter().map(|task| task.id).chain(leased);
        put_in
            .chain(made_ready)
            .chain(diff.discarded.iter().copied())
            .any(|task| self.refused.contains(&task))
    }

    /// Puts in what the rows that are written leave as it stands.
    pub(super) fn complete(&self, diff: &mut Diff) {
        for change in &mut diff.carries {
            if let Change::Update { before, after } = change {
                let stands = &self.carries[&before.slot];
                before.complete(stands);
                after.complete(stands);
            }
        }
    }

    /// Writes the difference and reads the inputs on its way.
    ///
    /// # Panics
    /// If a row is put over another, or taken that is not there.
    pub(super) fn write(&mut self, mut diff: Diff) -> Inputs {
        self.complete(&mut diff);
        let inputs = diff.inputs.iter();
        let inputs = inputs
            .filter_map(|id| Some((*id, self.tasks[id].input.here()?.clone())))
            .collect();
        apply(&mut self.servers, diff.servers, |row| row.number);
        for (lane, key) in diff.lanes {
            assert!(!self.lanes.contains(&key), "a lane was numbered twice");
            self.lanes.push(key);
            assert_eq!(lane, self.last_lane());
        }
        apply(&mut self.queues, diff.queues, |row| row.name.clone());
        apply(&mut self.operations, diff.operations, |row| row.id);
        apply(&mut self.workers, diff.workers, |row| row.name.clone());
        apply(&mut self.scheduled, diff.scheduled, scheduled_key);
        apply(&mut self.ready, diff.ready, ready_key);
        apply(&mut self.leases, diff.leases, |row| row.slot);
        apply(&mut self.carries, diff.carries, |row| row.slot);
        apply(&mut self.uniques, diff.uniques, |row| row.key.clone());
        apply(&mut self.idempotency, diff.idempotency, |row| {
            row.key.clone()
        });
        let tasks = diff.tasks.into_iter();
        self.tasks.extend(tasks.map(|task| (task.id, task)));
        for outcome in diff.outcomes {
            let earlier = self.outcomes.insert(outcome.task, outcome);
            assert!(earlier.is_none(), "a task ends once");
        }
        let attempts = diff.attempts.into_iter();
        self.attempts
            .extend(attempts.map(|attempt| (attempt.run, attempt)));
        let late_results = diff.late_results.into_iter();
        self.late_results
            .extend(late_results.map(|late| (late.run, late)));
        for run in diff.forgotten {
            self.attempts.remove(&run);
            self.late_results.remove(&run);
        }
        for task in diff.discarded {
            self.discard(task);
        }
        for (lane, change) in diff.counters {
            self.counters.entry(lane).or_default().add(&change);
        }
        apply(&mut self.minutes, diff.minutes, |row| row.key);
        if let Some(first) = diff.minutes_from {
            self.minutes.retain(|key, _| key.minute >= first);
        }
        inputs
    }

    pub(super) fn ended(&self, task: TaskId) -> Option<Ended> {
        let outcome = self.outcomes.get(&task)?;
        let place = usize::try_from(outcome.lane.0 - 1).expect("lanes are numbered from 1");
        Some(Ended {
            task,
            status: outcome.status,
            ended_at: outcome.ended_at,
            queue: self.lanes[place].queue.clone(),
        })
    }

    pub(super) fn relic(&self, task: TaskId) -> Option<Relic> {
        let ended = self.ended(task)?;
        let row = self.tasks.get(&task)?;
        Some(Relic {
            ended,
            lane: row.lane,
            unique_key: row.unique_key.clone(),
        })
    }

    fn discard(&mut self, task: TaskId) {
        let gone = (self.tasks.remove(&task), self.outcomes.remove(&task));
        assert!(
            matches!(gone, (Some(_), Some(_))),
            "a task was taken away that was not there, or had not ended"
        );
        self.carries.retain(|slot, _| slot.task != task);
        self.attempts.retain(|run, _| run.slot.task != task);
        self.late_results.retain(|run, _| run.slot.task != task);
    }

    fn pick(&self, pick: &Pick) -> Vec<(Ready, Brief)> {
        self.pick_where(pick, |_| true)
    }

    /// The first rows of the pick's lanes that are `free`.
    pub(super) fn pick_where(
        &self,
        pick: &Pick,
        mut free: impl FnMut(&Ready) -> bool,
    ) -> Vec<(Ready, Brief)> {
        let mut rows: Vec<Ready> = Vec::new();
        for (lane, _) in &pick.lanes {
            let of_lane = self.ready.values().filter(|row| row.lane == *lane);
            rows.extend(of_lane.filter(|row| free(row)).take(pick.rows));
        }
        rows.sort_by_key(|row| (row.order_key, row.slot));
        rows.truncate(pick.rows);
        rows.into_iter()
            .map(|row| (row, self.brief(row.slot.task)))
            .collect()
    }

    /// Always without the input, so that reading it at the commit is tried in every test.
    fn brief(&self, task: TaskId) -> Brief {
        let task = &self.tasks[&task];
        Brief {
            timeout: task.timeout,
            is_exclusive: task.is_exclusive,
            input: Input::Left(task.input.bytes()),
        }
    }

    /// Those made by then, the oldest first.
    pub(super) fn old_keys(&self, until: Timestamp) -> Vec<&Idempotency> {
        let rows = self.idempotency.values();
        let mut old: Vec<_> = rows.filter(|row| row.created_at <= until).collect();
        old.sort_by_key(|row| row.created_at);
        old
    }

    fn due(&self, due: Due) -> Vec<Scheduled> {
        self.scheduled
            .values()
            .filter(|row| row.run_at <= due.until)
            .skip(due.skip)
            .take(due.rows)
            .copied()
            .collect()
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

fn apply<K: Ord, R>(table: &mut BTreeMap<K, R>, changes: Vec<Change<R>>, key: impl Fn(&R) -> K) {
    for change in changes {
        match change {
            Change::Insert(row) => {
                let earlier = table.insert(key(&row), row);
                assert!(earlier.is_none(), "a row was inserted over another");
            }
            Change::Update { before, after } => {
                let earlier = table.remove(&key(&before));
                assert!(earlier.is_some(), "a row was changed that was not there");
                table.insert(key(&after), after);
            }
            Change::Delete(row) => {
                let earlier = table.remove(&key(&row));
                assert!(earlier.is_some(), "a row was deleted that was not there");
            }
        }
    }
}
