//! A store under test with a clock that is moved by hand, and the few words that the cases are written in.

mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use taskyard_core::command::{self, Command, Done};
use taskyard_core::id::{Fence, ServerNumber, TaskId};
use taskyard_core::json::Json;
use taskyard_core::name::Name;
use taskyard_core::policy::Policy;
use taskyard_core::query::{List, Listed, Query, TaskView};
use taskyard_core::random::Seeded;
use taskyard_core::refused::Refused;
use taskyard_core::retry::Retry;
use taskyard_core::rows::{Attempt, LateResult, Said};
use taskyard_core::status::Status;
use taskyard_core::store::Store;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::cancel::{Cancel, Cancelled};
use taskyard_core::verbs::claim::{Claim, Claims, Dealt, Hand, Run};
use taskyard_core::verbs::expire::{Expire, Expired, Sight};
use taskyard_core::verbs::heartbeat::{Beaten, Heartbeat, Held};
use taskyard_core::verbs::promote::{Promote, Promoted};
use taskyard_core::verbs::register::{Register, Registered};
use taskyard_core::verbs::report::{ReportedBack, Word};
use taskyard_core::verbs::submit::{NewTask, Submit, Submitted};
use taskyard_core::worker::Profile;
use taskyard_store::Clock;
use taskyard_store::model::Model;
use taskyard_store::postgres::{self, PostgresStore};
use taskyard_store::sqlite::{self, SqliteStore};

pub(crate) use self::words::{
    completed, failed, held, ids, lane, made_up, report, stranger, token,
};
use crate::by_hand::Place;
use crate::database::Database;
use crate::pooler::Pooler;
use crate::together::Together;

/// Noon of some day; tests see no other clock.
pub(crate) const NOON: i64 = 1_790_000_000_000_000;

pub(crate) struct Yard {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) policy: Policy,
    clock: Arc<AtomicI64>,
    made: AtomicI64,
    /// Goes with the yard, after its store.
    pub(crate) place: Place,
    /// In between.
    pooler: Option<Arc<Pooler>>,
}

fn read(clock: &Arc<AtomicI64>) -> Clock {
    let clock = Arc::clone(clock);
    Arc::new(move || Timestamp::from_micros(clock.load(Ordering::SeqCst)))
}

impl Yard {
    pub(crate) async fn on_model() -> Option<Self> {
        let clock = Arc::new(AtomicI64::new(NOON));
        let store = Arc::new(Model::new(1, read(&clock)));
        let place = Place::Model(Arc::clone(&store));
        Some(Self::new(store, clock, place))
    }

    pub(crate) async fn on_sqlite() -> Option<Self> {
        Some(Self::within(tempfile::tempdir().unwrap()))
    }

    /// Over the `taskyard.db` of this folder.
    pub(crate) fn within(folder: tempfile::TempDir) -> Self {
        Self::within_by(folder, Arc::new(AtomicI64::new(NOON)))
    }

    /// The server ends and another one begins, which goes by what the clock shows then.
    pub(crate) fn begun_anew(self) -> Self {
        let Self {
            store,
            policy,
            clock,
            made,
            place,
            pooler: _,
        } = self;
        drop(store);
        let Place::Folder(folder) = place else {
            panic!("only a file is opened again")
        };
        let again = Self::within_by(folder, clock);
        Self {
            policy,
            made,
            ..again
        }
    }

    fn within_by(folder: tempfile::TempDir, clock: Arc<AtomicI64>) -> Self {
        let options = sqlite::Options {
            clock: read(&clock),
            random: Box::new(Seeded::new(1)),
            listens_on: None,
            last_words: || {},
        };
        let store = SqliteStore::open(&folder.path().join("taskyard.db"), options).unwrap();
        Self::new(Arc::new(store), clock, Place::Folder(folder))
    }

    /// The model and SQLite side by side, compared after each batch.
    pub(crate) async fn on_both() -> Option<Self> {
        let clock = Arc::new(AtomicI64::new(NOON));
        let together = Arc::new(Together::without_postgres(&read(&clock)));
        let place = Place::Together(Arc::clone(&together));
        Some(Self::new(together, clock, place))
    }

    /// All three side by side, compared after each batch; `None` where there is no server.
    pub(crate) async fn on_all() -> Option<Self> {
        let clock = Arc::new(AtomicI64::new(NOON));
        let together = Arc::new(Together::with_postgres(&read(&clock)).await?);
        let place = Place::Together(Arc::clone(&together));
        Some(Self::new(together, clock, place))
    }

    /// `None` where there is no server to try it on.
    pub(crate) async fn on_postgres() -> Option<Self> {
        let database = Arc::new(Database::migrated().await?);
        Some(Self::over(&database, &database.url()).await)
    }

    /// By way of a pooler in transaction mode, which everybody shares few connections of. `None` where there is no server,
    /// or no pooler.
    pub(crate) async fn on_pooled() -> Option<Self> {
        let database = Arc::new(Database::migrated().await?);
        let pooler = Arc::new(Pooler::before(database.server())?);
        let clock = Arc::new(AtomicI64::new(NOON));
        let options = postgres::Options {
            clock: Some(read(&clock)),
            hints: true,
            pooled: true,
            random: Box::new(Seeded::new(1)),
            within: postgres::WITHIN,
        };
        let url = pooler.url(database.name());
        let store = PostgresStore::connect(&url, options).await.unwrap();
        let place = Place::Database(database);
        let mut yard = Self::new(Arc::new(store), clock, place);
        yard.pooler = Some(pooler);
        Some(yard)
    }

    /// What is looked at once the case is through.
    pub(crate) fn left(&self) -> Option<(Arc<Pooler>, Arc<Database>)> {
        match (&self.pooler, &self.place) {
            (Some(pooler), Place::Database(database)) => {
                Some((Arc::clone(pooler), Arc::clone(database)))
            }
            _ => None,
        }
    }

    /// One server of those that share this database, at this address of it. Each has a clock of its own.
    pub(crate) async fn over(database: &Arc<Database>, url: &str) -> Self {
        let clock = Arc::new(AtomicI64::new(NOON));
        let by_hand = Some(read(&clock));
        Self::sharing(database, url, clock, by_hand).await
    }

    /// One that judges by the database's clock; its own is for ids alone.
    pub(crate) async fn by_the_clock_of(database: &Arc<Database>) -> Self {
        let clock = Arc::new(AtomicI64::new(NOON));
        Self::sharing(database, &database.url(), clock, None).await
    }

    async fn sharing(
        database: &Arc<Database>,
        url: &str,
        clock: Arc<AtomicI64>,
        by_hand: Option<Clock>,
    ) -> Self {
        let options = postgres::Options {
            clock: by_hand,
            hints: true,
            pooled: false,
            random: Box::new(Seeded::new(1)),
            within: taskyard_store::postgres::WITHIN,
        };
        let store = PostgresStore::connect(url, options).await.unwrap();
        let place = Place::Database(Arc::clone(database));
        Self::new(Arc::new(store), clock, place)
    }

    /// Makes ids that a yard which counts from elsewhere does not make.
    pub(crate) fn counting_from(self, first: i64) -> Self {
        self.made.store(first, Ordering::SeqCst);
        self
    }

    fn new(store: Arc<dyn Store>, clock: Arc<AtomicI64>, place: Place) -> Self {
        let retry = Retry {
            jitter: 0.0,
            ..Retry::default()
        };
        Self {
            store,
            policy: Policy {
                retry,
                ..Policy::default()
            },
            clock,
            made: AtomicI64::new(0),
            place,
            pooler: None,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.load(Ordering::SeqCst))
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock
            .fetch_add(i64::try_from(time.as_micros()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn turn_back(&self, time: Duration) {
        self.clock
            .fetch_sub(i64::try_from(time.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// What became of each command.
    pub(crate) async fn answers(&self, commands: Vec<Command>) -> Vec<command::Answer> {
        self.store
            .run(commands, &self.policy)
            .await
            .unwrap()
            .replies
    }

    /// What the rules say, where nothing fails.
    pub(crate) async fn batch(&self, commands: Vec<Command>) -> Vec<Result<Done, Refused>> {
        let answers = self.answers(commands).await.into_iter();
        answers.map(Result::unwrap).collect()
    }

    pub(crate) async fn run<D: TryFrom<Done>>(
        &self,
        command: impl Into<Command>,
    ) -> Result<D, Refused> {
        let reply = self.batch(vec![command.into()]).await.remove(0);
        reply.map(|done| {
            D::try_from(done)
                .ok()
                .expect("a verb answers with its own kind of reply")
        })
    }
}

/// Submitting.
impl Yard {
    /// A task of kind `work` that has the next id.
    pub(crate) fn task(&self) -> NewTask {
        let serial = self.made.fetch_add(1, Ordering::SeqCst);
        // The serial stands in the first random bits, so ids of one millisecond keep their order.
        let id = TaskId::new(self.now(), u128::from(serial.unsigned_abs()) << 40);
        let input = Json::stored(format!("{{\"n\":{serial}}}"));
        NewTask::new(id, lane("default", "work", None), input)
    }

    pub(crate) async fn submit(&self, task: NewTask) -> Result<TaskId, Refused> {
        self.submit_all(vec![task])
            .await
            .map(|submitted| submitted.ids[0])
    }

    pub(crate) async fn submit_all(&self, tasks: Vec<NewTask>) -> Result<Submitted, Refused> {
        self.run(Submit::of(tasks)).await
    }

    pub(crate) async fn new_task(&self) -> TaskId {
        self.submit(self.task()).await.unwrap()
    }
}

/// Working.
impl Yard {
    /// A worker of this name that runs everything.
    pub(crate) async fn worker(&self, name: &str) -> Claim {
        self.worker_with(name, Profile::default()).await
    }

    pub(crate) async fn worker_with(&self, name: &str, profile: Profile) -> Claim {
        self.register(name, profile, None).await
    }

    pub(crate) async fn internal_worker(&self, name: &str, server: ServerNumber) -> Claim {
        self.register(name, Profile::default(), Some(server)).await
    }

    async fn register(&self, name: &str, profile: Profile, server: Option<ServerNumber>) -> Claim {
        self.try_register(name, profile, server).await.unwrap()
    }

    pub(crate) async fn try_register(
        &self,
        name: &str,
        profile: Profile,
        server: Option<ServerNumber>,
    ) -> Result<Claim, Refused> {
        let (name, profile) = (Name::plain(name).unwrap(), Arc::new(profile));
        let register = Register {
            name: name.clone(),
            server,
            profile: Arc::clone(&profile),
            capacity: 1,
            if_new: false,
        };
        let Registered { number, epoch } = self.run(register).await?;
        Ok(Claim {
            worker: name,
            number,
            epoch,
            profile,
            limit: 1,
            begin: false,
            seq: 0,
            maybe_again: false,
            task: None,
        })
    }

    pub(crate) async fn deal(&self, claims: Vec<Claim>) -> Vec<Result<Hand, Refused>> {
        let dealt: Dealt = self.run(Claims { claims }).await.unwrap();
        dealt.hands.into_iter().map(Result::unwrap).collect()
    }

    pub(crate) async fn hand(&self, worker: &Claim, limit: usize) -> Result<Hand, Refused> {
        self.deal(vec![Claim {
            limit,
            ..worker.clone()
        }])
        .await
        .remove(0)
    }

    pub(crate) async fn claim(&self, worker: &Claim, limit: usize) -> Vec<Run> {
        self.hand(worker, limit).await.unwrap().runs
    }

    pub(crate) async fn claim_one(&self, worker: &Claim) -> Run {
        let mut runs = self.claim(worker, 1).await;
        assert_eq!(runs.len(), 1, "there is something to claim");
        runs.remove(0)
    }

    pub(crate) async fn report(&self, run: &Run, word: Word) -> Result<Status, Refused> {
        self.run::<ReportedBack>(report(run, word))
            .await
            .unwrap()
            .results
            .remove(0)
    }

    pub(crate) async fn complete(&self, run: &Run) -> Result<Status, Refused> {
        self.report(run, completed()).await
    }

    pub(crate) async fn heartbeat(
        &self,
        worker: &Claim,
        held: Vec<Held>,
    ) -> Result<Beaten, Refused> {
        self.run(Heartbeat {
            worker: worker.worker.clone(),
            epoch: Some(worker.epoch),
            held,
            leaves: false,
        })
        .await
    }

    pub(crate) async fn leave(&self, worker: &Claim) -> Result<Beaten, Refused> {
        self.run(Heartbeat {
            worker: worker.worker.clone(),
            epoch: Some(worker.epoch),
            held: Vec::new(),
            leaves: true,
        })
        .await
    }

    pub(crate) async fn cancel(&self, task: TaskId) -> Result<Cancelled, Refused> {
        self.run(Cancel { task }).await
    }

    /// What the services do: read candidates, then send ordinary commands.
    pub(crate) async fn sweep(&self, grace: bool) -> Vec<TaskId> {
        let sight = Sight {
            grace,
            ..Sight::clear(self.now())
        };
        self.sweep_with(sight).await
    }

    pub(crate) async fn sweep_with(&self, sight: Sight) -> Vec<TaskId> {
        // As if it were no grace, and now: the rules have to spare by themselves.
        let seeing = Sight {
            at: self.now(),
            grace: false,
            ..sight
        };
        let candidates = Query::lost(&self.policy, seeing, 1000);
        let runs = self.store.read(candidates).await.unwrap().lost();
        let expired = self.run::<Expired>(Expire { runs, sight }).await;
        expired.unwrap().tasks
    }

    pub(crate) async fn promote(&self) -> usize {
        self.run::<Promoted>(Promote {
            limit: 100,
            skip: 0,
        })
        .await
        .unwrap()
        .count
    }
}

/// Looking.
impl Yard {
    pub(crate) async fn view(&self, task: TaskId) -> TaskView {
        let view = self.store.read(Query::Task(task)).await.unwrap().task();
        *view.unwrap_or_else(|| panic!("task {task} is not there"))
    }

    pub(crate) async fn status(&self, task: TaskId) -> Status {
        self.view(task).await.status()
    }

    pub(crate) async fn attempts(&self, task: TaskId) -> (Vec<Attempt>, Vec<LateResult>) {
        self.attempts_up_to(task, usize::MAX).await
    }

    /// Without longer details.
    pub(crate) async fn attempts_up_to(
        &self,
        task: TaskId,
        detail_max: usize,
    ) -> (Vec<Attempt>, Vec<LateResult>) {
        let query = Query::Attempts { task, detail_max };
        let found = self.store.read(query).await.unwrap().attempts();
        let ended = found.ended.into_iter().map(|(attempt, _)| attempt);
        (ended.collect(), found.late)
    }

    /// Which runs' results were refused and kept, and what they said.
    pub(crate) async fn late(&self, task: TaskId) -> Vec<(Fence, Said)> {
        let (_, late) = self.attempts(task).await;
        let late = late.iter().map(|late| (late.run.fence, late.said));
        late.collect()
    }

    /// How many tasks there are, of which there are few.
    pub(crate) async fn count(&self) -> usize {
        let list = List {
            limit: 100,
            ..List::default()
        };
        self.list(list).await.items.len()
    }

    pub(crate) async fn list(&self, list: List) -> Listed {
        self.store.read(Query::Tasks(list)).await.unwrap().tasks()
    }
}
