//! The model: a store of maps around the same `run`. What the others are compared with, and what tests of the rules
//! stand on. Nothing is durable here.

pub mod weak;

mod counts;
mod logs;
mod queues;
mod reads;
mod tables;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use parking_lot::Mutex;
use taskyard_core::command::Command;
use taskyard_core::id::{Fence, TaskId};
use taskyard_core::json::Json;
use taskyard_core::lane::{Lane, Lanes};
use taskyard_core::log::Logs;
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::random::Seeded;
use taskyard_core::refused::Refused;
use taskyard_core::rows::{Failure, Idempotency, Input, LastError, Outcome, Ready, Server};
use taskyard_core::slot::Counts;
use taskyard_core::status::Status;
use taskyard_core::store::{Error, Ran, Store};
use taskyard_core::time::Timestamp;

use self::logs::ModelLogs;
use self::tables::Tables;
use crate::run::{self, Memory};
use crate::{Clock, incarnation};

pub struct Model {
    tables: Mutex<Tables>,
    random: Mutex<Seeded>,
    memory: Memory,
    clock: Clock,
    logs: ModelLogs,
    incarnation: Mutex<[u8; 16]>,
}

impl Model {
    /// An empty database. The same seed and the same commands give the same rows.
    pub fn new(seed: u64, clock: Clock) -> Self {
        Self {
            tables: Mutex::default(),
            random: Mutex::new(Seeded::new(seed)),
            memory: Memory::default(),
            clock,
            logs: ModelLogs::default(),
            incarnation: Mutex::new(*b"the only model's"),
        }
    }

    /// A database that holds these rows.
    #[cfg(test)]
    pub(crate) fn holding(diff: taskyard_core::diff::Diff, seed: u64, clock: Clock) -> Self {
        let model = Self::new(seed, clock);
        model.tables.lock().write(diff);
        model
    }

    /// What waits for a worker, in the order in which lanes give it out; no query tells as much.
    pub fn ready(&self) -> Vec<Ready> {
        self.tables.lock().ready.values().copied().collect()
    }

    /// What callers may send again; no query tells.
    pub fn keys(&self) -> Vec<Idempotency> {
        self.tables.lock().idempotency.values().cloned().collect()
    }

    /// Every server that ever was up, as it said last; no query tells.
    pub fn servers(&self) -> Vec<Server> {
        self.tables.lock().servers.values().copied().collect()
    }

    /// From now on neither this task, a lease of it nor its being ready can be put in, nor can it be taken away, as if that
    /// broke a constraint.
    pub fn refuse(&self, task: TaskId) {
        self.tables.lock().refused.insert(task);
    }

    /// From now on no question can read this task, as if its row held what nobody wrote. Decisions go on without.
    pub fn blot(&self, task: TaskId) {
        self.tables.lock().unreadable.insert(task);
    }

    /// What the task's labels are cannot be told any more: damage.
    pub fn mislabel(&self, task: TaskId) {
        if let Some(row) = self.tables.lock().tasks.get_mut(&task) {
            Arc::make_mut(row).labels = None;
        }
    }

    /// What the task works on and what it left behind is no JSON any more, nor any text, nor are its labels: damage.
    pub fn spoil(&self, task: TaskId) {
        let mut tables = self.tables.lock();
        let detail = |error: &mut Failure| error.detail = Some(Json::unreadable());
        if let Some(row) = tables.tasks.get_mut(&task) {
            let row = Arc::make_mut(row);
            row.input = Input::Here(Json::unreadable());
            row.labels = None;
        }
        if let Some(outcome) = tables.outcomes.get_mut(&task).map(Arc::make_mut) {
            outcome.output = outcome.output.as_ref().map(|_| Json::unreadable());
            outcome.error.iter_mut().for_each(detail);
        }
        let carries = tables.carries.iter_mut();
        for (_, carry) in carries.filter(|(slot, _)| slot.task == task) {
            if let LastError::Here(error) = &mut carry.error {
                detail(error);
            }
        }
    }

    /// Puts in an end beside whatever the task has, as no rule does: damage.
    pub fn end(&self, task: TaskId) {
        let mut tables = self.tables.lock();
        let lane = tables.tasks[&task].lane;
        let outcome = Outcome {
            task,
            lane,
            status: Status::Cancelled,
            output: None,
            error: None,
            claimed_at: None,
            started_at: None,
            ended_at: Timestamp::default(),
            worker: None,
            counts: Counts::default(),
            fence: Fence(0),
            reported: None,
        };
        tables.outcomes.insert(task, Arc::new(outcome));
    }

    /// Takes the task's row away and leaves the others, as no rule does: damage.
    pub fn lose(&self, task: TaskId) {
        self.tables.lock().tasks.remove(&task);
    }

    /// Takes away where the task stands, as no rule does: it neither waits nor runs, and has not ended. Damage.
    pub fn uproot(&self, task: TaskId) {
        let mut tables = self.tables.lock();
        tables.scheduled.retain(|_, row| row.slot.task != task);
        tables.ready.retain(|_, row| row.slot.task != task);
        tables.leases.retain(|slot, _| slot.task != task);
    }
}

#[async_trait]
impl Store for Model {
    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, Error> {
        let now = self.now();
        let time = || now;
        let mut tables = self.tables.lock();
        let mut random = self.random.lock();
        let ran = run::run(
            &mut *tables,
            &self.memory,
            &batch,
            policy,
            &time,
            &mut *random,
        );
        ran.now_or_never().expect("maps never wait")
    }

    async fn read(&self, query: Query) -> Result<Answer, Error> {
        let tables = self.tables.lock();
        let blotted = tables.blotted(&query);
        blotted.map_or_else(|| Ok(tables.read(query)), Err)
    }

    async fn reset(&self) -> Result<Result<(), Refused>, Error> {
        self.tables.lock().reset();
        self.logs.forget_all();
        self.memory.emptied();
        *self.incarnation.lock() = incarnation(&mut *self.random.lock());
        Ok(Ok(()))
    }

    fn logs(&self) -> &dyn Logs {
        &self.logs
    }

    fn now(&self) -> Timestamp {
        (self.clock)().max(self.memory.latest())
    }

    fn incarnation(&self) -> [u8; 16] {
        *self.incarnation.lock()
    }

    fn lanes(&self) -> Arc<Lanes> {
        self.memory.lanes()
    }

    fn unsure(&self, lane: Option<Lane>) {
        self.memory.unsure(lane);
    }
}
