//! The model: a store of maps around the same `run`. What the others are compared with, and what tests of the rules
//! stand on. Nothing is durable here.

mod reads;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use parking_lot::Mutex;
use taskyard_core::command::Command;
use taskyard_core::diff::Diff;
use taskyard_core::id::{RunKey, ServerNumber, SlotKey, TaskId, WorkerNumber};
use taskyard_core::lane::{Lane, LaneKey, Lanes};
use taskyard_core::name::Name;
use taskyard_core::needs::{Due, Needs, Pick, ReadyKey, ScheduledKey};
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::random::Seeded;
use taskyard_core::rows::{
    Attempt, Carry, Idempotency, IdempotencyKey, LateResult, Lease, Outcome, Ready, Scheduled,
    Server, Task, Worker,
};
use taskyard_core::status::Status;
use taskyard_core::store::{Error, Ran, Store};
use taskyard_core::time::Timestamp;
use taskyard_core::view::{Brief, Change, View};

use crate::run::{self, Memory};
use crate::tx::{Inputs, Tx, Writer};

/// Where the model takes its time from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

pub struct Model {
    tables: Mutex<Tables>,
    random: Mutex<Seeded>,
    memory: Memory,
    clock: Clock,
}

#[derive(Default)]
struct Tables {
    servers: BTreeMap<ServerNumber, Server>,
    workers: BTreeMap<Name, Worker>,
    lanes: Vec<Arc<LaneKey>>,
    tasks: BTreeMap<TaskId, Arc<Task>>,
    scheduled: BTreeMap<ScheduledKey, Scheduled>,
    ready: BTreeMap<ReadyKey, Ready>,
    leases: BTreeMap<SlotKey, Lease>,
    carries: BTreeMap<SlotKey, Carry>,
    outcomes: BTreeMap<TaskId, Arc<Outcome>>,
    attempts: BTreeMap<RunKey, Attempt>,
    late_results: BTreeMap<RunKey, LateResult>,
    idempotency: BTreeMap<IdempotencyKey, Idempotency>,
    counters: BTreeMap<(Lane, Status), i64>,
}

impl Model {
    /// An empty database. The same seed and the same commands give the same rows.
    pub fn new(seed: u64, clock: Clock) -> Self {
        Self {
            tables: Mutex::default(),
            random: Mutex::new(Seeded::new(seed)),
            memory: Memory::default(),
            clock,
        }
    }

    /// What waits for a worker, in the order in which lanes give it out; no query tells as much.
    pub fn ready(&self) -> Vec<Ready> {
        self.tables.lock().ready.values().copied().collect()
    }
}

#[async_trait]
impl Store for Model {
    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, Error> {
        let now = (self.clock)();
        let mut tables = self.tables.lock();
        let mut random = self.random.lock();
        let ran = run::run(
            &mut *tables,
            &self.memory,
            &batch,
            policy,
            now,
            &mut *random,
        );
        ran.now_or_never().expect("maps never wait")
    }

    async fn read(&self, query: Query) -> Result<Answer, Error> {
        Ok(self.tables.lock().read(query))
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn incarnation(&self) -> [u8; 16] {
        *b"the only model's"
    }

    fn lanes(&self) -> Arc<Lanes> {
        self.memory.lanes()
    }

    fn unsure(&self, lane: Option<Lane>) {
        self.memory.unsure(lane);
    }
}

impl Writer for Tables {
    type Tx<'a> = &'a mut Tables;

    async fn begin(&mut self) -> Result<&mut Tables, Error> {
        Ok(self)
    }

    async fn intern(
        &mut self,
        keys: &[Arc<LaneKey>],
        known: i32,
        max: usize,
    ) -> Result<Vec<(Lane, Arc<LaneKey>)>, Error> {
        for key in keys {
            if !self.lanes.contains(key) && self.lanes.len() < max {
                self.lanes.push(Arc::clone(key));
            }
        }
        let numbered = (1..)
            .map(Lane)
            .zip(&self.lanes)
            .filter(|(lane, _)| lane.0 > known);
        Ok(numbered
            .map(|(lane, key)| (lane, Arc::clone(key)))
            .collect())
    }
}

impl Tx for &mut Tables {
    async fn load(&mut self, needs: &Needs, view: &mut View) -> Result<(), Error> {
        if needs.servers {
            self.servers
                .values()
                .for_each(|row| view.servers.loaded(row.number, *row));
        }
        if needs.last_worker {
            let last = self.workers.values().map(|row| row.number).max();
            view.found_last_worker(last.unwrap_or(WorkerNumber(0)));
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
        found(&self.idempotency, &needs.idempotency, |key, row| {
            view.idempotency.loaded(key, row)
        });
        found(&self.tasks, &needs.tasks, |id, row| {
            view.tasks.loaded(id, row)
        });
        found(&self.carries, &needs.carries, |slot, row| {
            view.carries.loaded(slot, row)
        });
        found(&self.outcomes, &needs.outcomes, |id, row| {
            view.outcomes.loaded(id, row)
        });
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
        if let Some((before, rows)) = needs.old_keys {
            let old = self
                .idempotency
                .values()
                .filter(|row| row.created_at < before);
            view.found_old_keys(old.take(rows).cloned().collect());
        }
        Ok(())
    }

    async fn commit(self, diff: Diff) -> Result<Inputs, Error> {
        let inputs = diff
            .inputs
            .iter()
            .map(|id| (*id, self.tasks[id].input.clone()))
            .collect();
        if diff
            .tasks
            .iter()
            .any(|task| self.tasks.contains_key(&task.id))
        {
            return Err(Error::Conflict);
        }
        apply(&mut self.servers, diff.servers, |row| row.number);
        apply(&mut self.workers, diff.workers, |row| row.name.clone());
        apply(&mut self.scheduled, diff.scheduled, |row| ScheduledKey {
            run_at: row.run_at,
            slot: row.slot,
        });
        apply(&mut self.ready, diff.ready, ready_key);
        apply(&mut self.leases, diff.leases, |row| row.slot);
        apply(&mut self.carries, diff.carries, |row| row.slot);
        apply(&mut self.idempotency, diff.idempotency, |row| {
            row.key.clone()
        });
        self.tasks
            .extend(diff.tasks.into_iter().map(|task| (task.id, task)));
        for outcome in diff.outcomes {
            let earlier = self.outcomes.insert(outcome.task, outcome);
            assert!(earlier.is_none(), "a task ends once");
        }
        self.attempts.extend(
            diff.attempts
                .into_iter()
                .map(|attempt| (attempt.run, attempt)),
        );
        self.late_results
            .extend(diff.late_results.into_iter().map(|late| (late.run, late)));
        for run in diff.forgotten {
            self.attempts.remove(&run);
            self.late_results.remove(&run);
        }
        for (lane, status, change) in diff.counters {
            *self.counters.entry((lane, status)).or_default() += change;
        }
        Ok(inputs)
    }
}

fn ready_key(row: &Ready) -> ReadyKey {
    ReadyKey {
        lane: row.lane,
        order_key: row.order_key,
        slot: row.slot,
    }
}

impl Tables {
    fn pick(&self, pick: &Pick) -> Vec<(Ready, Brief)> {
        let mut rows: Vec<Ready> = Vec::new();
        for (lane, _) in &pick.lanes {
            let of_lane = self.ready.values().filter(|row| row.lane == *lane);
            rows.extend(of_lane.take(pick.rows));
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
            input_len: task.input.len(),
            input: None,
        }
    }

    fn due(&self, due: Due) -> Vec<Scheduled> {
        self.scheduled
            .values()
            .filter(|row| row.run_at <= due.until)
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
