//! An engine around a model whose clock stands still, and the few words that the tests are written in.

use std::sync::Arc;
use std::time::Duration;

use taskyard_core::filter::Filter;
use taskyard_core::id::{Epoch, ServerNumber, TaskId};
use taskyard_core::json::Json;
use taskyard_core::labels::Labels;
use taskyard_core::lane::LaneKey;
use taskyard_core::name::Name;
use taskyard_core::operation::Act;
use taskyard_core::policy::Policy;
use taskyard_core::query::Query;
use taskyard_core::random::Seeded;
use taskyard_core::rows::Worker;
use taskyard_core::status::Status;
use taskyard_core::store::Store;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::claim::{Hand, Run};
use taskyard_core::verbs::expire::Sight;
use taskyard_core::verbs::heartbeat::{Heartbeat, Held};
use taskyard_core::verbs::held::Token;
use taskyard_core::verbs::operate::{Operate, Operated};
use taskyard_core::verbs::register::Register;
use taskyard_core::verbs::report::{Report, ReportedBack, RunResult, Word};
use taskyard_core::verbs::start::Start;
use taskyard_core::verbs::submit::{NewTask, Submit};
use taskyard_core::worker::Profile;
use taskyard_engine::engine::{ClaimCall, Claimed, Engine};
use taskyard_engine::error::Error;
use taskyard_engine::services::sweep::{self, Swept};
use taskyard_store::model::Model;
use tokio_util::sync::CancellationToken;

pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

pub(crate) struct Yard {
    pub(crate) engine: Engine,
    pub(crate) stop: CancellationToken,
}

impl Yard {
    pub(crate) fn new() -> Self {
        Self::around(Arc::new(model()))
    }

    pub(crate) fn around(store: Arc<dyn Store>) -> Self {
        Self::under(Policy::default(), store)
    }

    pub(crate) fn under(policy: Policy, store: Arc<dyn Store>) -> Self {
        let stop = CancellationToken::new();
        let random = Box::new(Seeded::new(2));
        let engine = Engine::start(store, policy, random, stop.clone());
        Self { engine, stop }
    }

    pub(crate) fn task(&self, kind: &str) -> NewTask {
        new_task(self.engine.new_task(), kind)
    }

    pub(crate) async fn submit(&self, kind: &str) -> Result<TaskId, Error> {
        let submitted = self.engine.submit(Submit::of(vec![self.task(kind)])).await;
        submitted.map(|submitted| submitted.ids[0])
    }

    /// So many tasks at once.
    pub(crate) async fn submit_many(&self, kind: &str, count: usize) -> Vec<TaskId> {
        let tasks = (0..count).map(|_| self.task(kind)).collect();
        let submitted = self.engine.submit(Submit::of(tasks)).await.unwrap();
        submitted.ids.to_vec()
    }

    /// An act on what this filter finds.
    pub(crate) async fn operate(&self, act: Act, filter: Filter) -> Operated {
        let operate = Operate {
            id: self.engine.new_operation(),
            act,
            filter: Arc::new(act.narrow(filter).unwrap()),
            once: None,
        };
        self.engine.operate(operate).await.unwrap()
    }

    pub(crate) async fn worker(&self, name: &str, kind: &str) -> Epoch {
        self.worker_of(name, &[kind]).await
    }

    pub(crate) async fn worker_of(&self, name: &str, kinds: &[&str]) -> Epoch {
        self.register(name, kinds, None).await
    }

    /// A worker in the process of this server.
    pub(crate) async fn inner_worker(&self, name: &str, kind: &str, server: ServerNumber) {
        self.register(name, &[kind], Some(server)).await;
    }

    async fn register(&self, name: &str, kinds: &[&str], server: Option<ServerNumber>) -> Epoch {
        let kinds = kinds.iter().map(|kind| Name::path(kind).unwrap());
        let profile = Profile::new(Some(kinds.collect()), None, Labels::default());
        let register = Register {
            name: Name::plain(name).unwrap(),
            server,
            profile: Arc::new(profile),
            capacity: 1,
            if_new: false,
        };
        self.engine.register(register).await.unwrap().epoch
    }

    pub(crate) async fn status(&self, task: TaskId) -> Status {
        let view = self.engine.task(task, Duration::ZERO).await;
        view.unwrap().status()
    }

    pub(crate) async fn worker_row(&self, name: &str) -> Worker {
        let query = Query::Worker(Name::plain(name).unwrap());
        let row = self.engine.read(query).await.unwrap().worker();
        *row.expect("it is registered")
    }

    pub(crate) async fn claim(&self, worker: &str, wait: Duration) -> Result<Hand, Error> {
        claimed(&self.engine, claim_call(worker, wait)).await
    }

    /// Takes away the runs of workers that are gone.
    pub(crate) async fn sweep(&self, grace: bool) -> Swept {
        let sight = Sight {
            grace,
            ..Sight::clear(self.engine.store().now())
        };
        sweep::run_once(&self.engine, sight).await.unwrap()
    }

    /// The only run that is there for this worker.
    pub(crate) async fn claim_one(&self, worker: &str) -> Run {
        self.claim_exactly(claim_call(worker, Duration::ZERO)).await
    }

    /// The same, and it begins.
    pub(crate) async fn begin_one(&self, worker: &str) -> Run {
        let begin = true;
        let call = claim_call(worker, Duration::ZERO);
        self.claim_exactly(ClaimCall { begin, ..call }).await
    }

    async fn claim_exactly(&self, call: ClaimCall) -> Run {
        let mut runs = claimed(&self.engine, call).await.unwrap().runs;
        assert_eq!(runs.len(), 1);
        runs.remove(0)
    }

    /// The worker lives, and has this run.
    pub(crate) async fn heartbeat(&self, worker: &str, run: &Run) {
        let held = Held {
            token: token(run),
            running: true,
            progress: None,
            checkpoint: None,
        };
        let heartbeat = Heartbeat {
            worker: Name::plain(worker).unwrap(),
            epoch: None,
            held: vec![held],
            leaves: false,
        };
        self.engine.heartbeat(heartbeat).await.unwrap();
    }

    /// The worker says nothing but that this run began.
    pub(crate) async fn start(&self, run: &Run) {
        let start = Start {
            token: token(run),
            started_at: None,
        };
        self.engine.start_run(start).await.unwrap();
    }

    pub(crate) async fn complete(&self, run: &Run) -> Result<ReportedBack, Error> {
        let word = Word::Completed {
            output: Json::null(),
        };
        let results = vec![RunResult::new(token(run), word, None)];
        self.engine
            .report(Report {
                worker: None,
                results: results.into(),
            })
            .await
    }
}

/// Nothing is said of it but its kind.
pub(crate) fn new_task(id: TaskId, kind: &str) -> NewTask {
    NewTask::new(
        id,
        LaneKey::of(Name::path("default").unwrap(), Name::path(kind).unwrap()),
        Json::null(),
    )
}

pub(crate) fn token(run: &Run) -> Token {
    Token {
        slot: run.slot,
        fence: run.fence,
        secret: run.secret,
    }
}

/// What this claim gets, whose worker is told.
pub(crate) async fn claimed(engine: &Engine, call: ClaimCall) -> Result<Hand, Error> {
    engine.claim(call).await.map(Claimed::tell)
}

pub(crate) fn model() -> Model {
    Model::new(1, Arc::new(|| NOW))
}

pub(crate) fn claim_call(worker: &str, wait: Duration) -> ClaimCall {
    let worker = Name::plain(worker).unwrap();
    ClaimCall {
        worker,
        epoch: None,
        task: None,
        limit: 10,
        wait,
        begin: false,
        seq: 0,
        again: false,
    }
}

/// One whose clock goes with tokio's.
pub(crate) fn model_whose_time_passes() -> Model {
    let started = tokio::time::Instant::now();
    Model::new(1, Arc::new(move || NOW + started.elapsed()))
}

/// Lets every task that can go on do so, until all of them wait.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Lets what is in no hurry be done as well.
pub(crate) async fn take_time() {
    settle().await;
    tokio::time::advance(Duration::from_millis(20)).await;
    settle().await;
}
