//! Stores that fail, servers that stop, claims that are sent twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use taskyard_core::command::Command;
use taskyard_core::filter::Filter;
use taskyard_core::name::Name;
use taskyard_core::operation::Act;
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, List, Query};
use taskyard_core::refused::Refused;
use taskyard_core::status::Status;
use taskyard_core::store::{self, Ran, Store};
use taskyard_core::verbs::heartbeat::{Heartbeat, Held};
use taskyard_engine::engine::ClaimCall;
use taskyard_engine::error::Error;
use taskyard_engine::services::{Steps, promote};
use taskyard_engine::upkeep::Upkeep;
use taskyard_store::model::Model;

use super::front::{Front, Fronted};
use super::upkeep::keep_up;
use super::yard::{Yard, claim_call, claimed, model, model_whose_time_passes, settle, token};

/// A store whose next answer to a batch is lost after the commit.
pub(super) struct LosesAnAnswer {
    pub(super) model: Model,
    pub(super) armed: AtomicBool,
}

#[async_trait]
impl Front for LosesAnAnswer {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, store::Error> {
        let ran = self.model.run(batch, policy).await?;
        if self.armed.swap(false, Ordering::SeqCst) {
            return Err(store::Error::Unknown("the connection broke".to_owned()));
        }
        Ok(ran)
    }
}

#[tokio::test(start_paused = true)]
async fn a_submit_whose_commit_is_unknown_is_found_and_stored_once() {
    let yard = Yard::around(Arc::new(Fronted(LosesAnAnswer {
        model: model(),
        armed: AtomicBool::new(true),
    })));

    let task = yard.submit("work").await.unwrap();

    let listed = yard
        .engine
        .read(Query::Tasks(List {
            limit: 10,
            ..List::default()
        }))
        .await
        .unwrap()
        .tasks();
    assert_eq!(
        listed
            .items
            .iter()
            .map(|view| view.task.id)
            .collect::<Vec<_>>(),
        [task]
    );
}

#[tokio::test(start_paused = true)]
async fn an_operation_whose_commit_is_unknown_is_found_and_begun_once() {
    let yard = Yard::around(Arc::new(Fronted(LosesAnAnswer {
        model: model(),
        armed: AtomicBool::new(true),
    })));

    let operated = yard.operate(Act::Cancel, Filter::default()).await;

    let open = yard.engine.read(Query::OpenOperations { limit: 10 }).await;
    let open = open.unwrap().operations();
    let open = open.iter().map(|operation| operation.id);
    assert_eq!(open.collect::<Vec<_>>(), [operated.id]);
}

/// A store that says these of its next batches, the last one first, and runs none of them.
struct Fails {
    model: Model,
    errors: Mutex<Vec<store::Error>>,
}

#[async_trait]
impl Front for Fails {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, store::Error> {
        let error = self.errors.lock().pop();
        match error {
            Some(error) => Err(error),
            None => self.model.run(batch, policy).await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_submit_whose_commit_is_unknown_stays_so_where_it_cannot_be_looked_for() {
    let unknown = store::Error::Unknown("the connection broke".to_owned());
    let away = store::Error::Unavailable("nobody answers".into());
    let yard = Yard::around(Arc::new(Fronted(Fails {
        model: model(),
        errors: Mutex::new(vec![away, unknown.clone()]),
    })));

    let submitted = yard.submit("work").await;

    assert!(matches!(submitted, Err(Error::Store(error)) if error == unknown));
}

/// A store on a full disk: it reads, and takes what changes nothing.
pub(super) struct Full {
    pub(super) model: Model,
    pub(super) is_full: AtomicBool,
}

#[async_trait]
impl Front for Full {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, store::Error> {
        let writes = |command: &Command| !matches!(command, Command::Promote(_));
        if self.is_full.load(Ordering::SeqCst) && batch.iter().any(writes) {
            return Err(store::Error::Full);
        }
        self.model.run(batch, policy).await
    }
}

#[tokio::test(start_paused = true)]
async fn trouble_is_told_until_something_was_written() {
    let store = Arc::new(Fronted(Full {
        model: model(),
        is_full: AtomicBool::new(true),
    }));
    let yard = Yard::around(Arc::clone(&store) as Arc<dyn Store>);
    assert_eq!(yard.engine.trouble(), None);
    yard.submit("work").await.unwrap_err();
    assert_eq!(yard.engine.trouble(), Some(store::Error::Full));

    // What has nothing to write goes well all the while.
    tokio::time::advance(Duration::from_secs(20)).await;
    promote::run_once(&yard.engine, &mut Steps::default())
        .await
        .unwrap();
    assert_eq!(yard.engine.trouble(), Some(store::Error::Full));

    store.is_full.store(false, Ordering::SeqCst);
    yard.submit("work").await.unwrap();
    assert_eq!(yard.engine.trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn those_inside_are_told_once_the_database_takes_writes_again() {
    let store = Arc::new(Fronted(Full {
        model: model(),
        is_full: AtomicBool::new(true),
    }));
    let yard = Yard::around(Arc::clone(&store) as Arc<dyn Store>);
    let mut recovered = yard.engine.recovered();
    yard.submit("work").await.unwrap_err();
    assert!(!recovered.has_changed().unwrap());

    store.is_full.store(false, Ordering::SeqCst);
    yard.submit("work").await.unwrap();

    assert!(recovered.has_changed().unwrap());
    recovered.mark_unchanged();
    yard.submit("work").await.unwrap();
    assert!(!recovered.has_changed().unwrap(), "once");
}

#[tokio::test(start_paused = true)]
async fn trouble_of_long_ago_is_not_told_for_ever() {
    let yard = Yard::around(Arc::new(Fronted(Full {
        model: model(),
        is_full: AtomicBool::new(true),
    })));
    yard.submit("work").await.unwrap_err();

    tokio::time::advance(Policy::default().server_ttl).await;

    assert_eq!(yard.engine.trouble(), None);
}

/// A store whose database is away for a while.
struct Away {
    model: Model,
    is_away: AtomicBool,
}

impl Away {
    fn there(&self) -> Result<&Model, store::Error> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(store::Error::Unavailable("it is away".into()));
        }
        Ok(&self.model)
    }
}

#[async_trait]
impl Front for Away {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, store::Error> {
        self.there()?.run(batch, policy).await
    }

    async fn read(&self, query: Query) -> Result<Answer, store::Error> {
        self.there()?.read(query).await
    }
}

#[tokio::test(start_paused = true)]
async fn who_could_not_be_heard_in_an_outage_is_not_silent() {
    let minute = Duration::from_mins(1);
    let store = Arc::new(Fronted(Away {
        model: model_whose_time_passes(),
        is_away: AtomicBool::new(false),
    }));
    let yard = Yard::around(store.clone());
    let _services = keep_up(&yard, Upkeep::default()).await;
    // Silence counts by now.
    tokio::time::sleep(minute).await;
    yard.worker("w", "work").await;
    let task = yard.submit("work").await.unwrap();
    yard.claim_one("w").await;

    store.is_away.store(true, Ordering::SeqCst);
    tokio::time::sleep(minute).await;
    store.is_away.store(false, Ordering::SeqCst);

    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(yard.status(task).await, Status::Assigned);
    // Only who says nothing afterwards either.
    tokio::time::sleep(minute).await;
    assert_eq!(yard.status(task).await, Status::Pending);
}

#[tokio::test(start_paused = true)]
async fn that_the_database_is_well_again_is_found_out_soon_though_nobody_has_anything_to_write() {
    let store = Arc::new(Fronted(Away {
        model: model_whose_time_passes(),
        is_away: AtomicBool::new(false),
    }));
    let yard = Yard::around(store.clone());
    let _services = keep_up(&yard, Upkeep::default()).await;
    let mut recovered = yard.engine.recovered();
    store.is_away.store(true, Ordering::SeqCst);
    yard.submit("work").await.unwrap_err();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(!recovered.has_changed().unwrap());

    store.is_away.store(false, Ordering::SeqCst);
    let within = Duration::from_secs(2);

    let told = tokio::time::timeout(within, recovered.changed()).await;
    assert!(told.is_ok(), "nobody tells");
}

#[tokio::test(start_paused = true)]
async fn who_could_not_be_written_down_on_a_full_disk_is_not_silent() {
    let (minute, second) = (Duration::from_mins(1), Duration::from_secs(1));
    let store = Arc::new(Fronted(Full {
        model: model_whose_time_passes(),
        is_full: AtomicBool::new(false),
    }));
    let yard = Yard::around(store.clone());
    let _services = keep_up(&yard, Upkeep::default()).await;
    // Silence counts by now.
    tokio::time::sleep(minute).await;
    let worker = Name::plain("w").unwrap();
    yard.worker("w", "work").await;
    let task = yard.submit("work").await.unwrap();
    let run = yard.begin_one("w").await;
    let says = async || {
        let heartbeat = Heartbeat {
            worker: worker.clone(),
            epoch: None,
            leaves: false,
            held: vec![Held {
                token: token(&run),
                running: true,
                progress: None,
                checkpoint: None,
            }],
        };
        yard.engine.heartbeat(heartbeat).await
    };

    // Much longer than a lease, and than all is given up after.
    store.is_full.store(true, Ordering::SeqCst);
    for _ in 0..6 * 15 {
        assert!(says().await.is_err());
        tokio::time::sleep(10 * second).await;
    }
    store.is_full.store(false, Ordering::SeqCst);

    tokio::time::sleep(20 * second).await;
    assert_eq!(yard.status(task).await, Status::Running);
    let heard = says().await.unwrap();
    assert_eq!(heard.lost, []);
    tokio::time::sleep(25 * second).await;
    assert_eq!(yard.status(task).await, Status::Running);
    // Only who says nothing afterwards either.
    tokio::time::sleep(minute).await;
    assert_ne!(yard.status(task).await, Status::Running);
}

/// A store that takes no batch with a heartbeat in it.
struct Deaf {
    model: Model,
    is_deaf: AtomicBool,
}

#[async_trait]
impl Front for Deaf {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, store::Error> {
        let is_heartbeat = |command: &Command| matches!(command, Command::Heartbeat(_));
        if self.is_deaf.load(Ordering::SeqCst) && batch.iter().any(is_heartbeat) {
            return Err(store::Error::Unavailable("it is away".into()));
        }
        self.model.run(batch, policy).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_words_the_database_did_not_take_loses_nothing_by_it() {
    let minute = Duration::from_mins(1);
    let store = Arc::new(Fronted(Deaf {
        model: model_whose_time_passes(),
        is_deaf: AtomicBool::new(false),
    }));
    let yard = Yard::around(store.clone());
    let _services = keep_up(&yard, Upkeep::default()).await;
    // Silence counts by now.
    tokio::time::sleep(minute).await;
    yard.worker("w", "work").await;
    let task = yard.submit("work").await.unwrap();
    yard.claim_one("w").await;
    let says = || async {
        let heartbeat = Heartbeat {
            worker: Name::plain("w").unwrap(),
            epoch: None,
            held: Vec::new(),
            leaves: false,
        };
        yard.engine.heartbeat(heartbeat).await
    };

    store.is_deaf.store(true, Ordering::SeqCst);
    // Never in one batch with a sweep, which would doubt by itself.
    tokio::time::sleep(Upkeep::default().sweep / 2).await;
    for _ in 0..6 {
        assert!(says().await.is_err());
        tokio::time::sleep(minute / 6).await;
    }

    assert_eq!(yard.status(task).await, Status::Assigned);
    // Only who says nothing afterwards either.
    tokio::time::sleep(minute).await;
    assert_eq!(yard.status(task).await, Status::Pending);
}

#[tokio::test(start_paused = true)]
async fn a_claim_sent_again_gets_the_same_runs() {
    let yard = Yard::new();
    yard.worker("w", "work").await;
    yard.submit("work").await.unwrap();
    let call = ClaimCall {
        seq: 1,
        ..claim_call("w", Duration::ZERO)
    };
    let first = claimed(&yard.engine, call.clone()).await.unwrap();

    let again = claimed(&yard.engine, call.clone()).await.unwrap();
    let next = claimed(&yard.engine, ClaimCall { seq: 2, ..call })
        .await
        .unwrap();

    assert_eq!(again.runs, first.runs);
    assert!(next.runs.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stopping_server_lets_parked_claims_go_and_takes_nothing_new() {
    let yard = Yard::new();
    yard.worker("w", "work").await;
    let engine = yard.engine.clone();
    let claim =
        tokio::spawn(
            async move { claimed(&engine, claim_call("w", Duration::from_mins(1))).await },
        );
    settle().await;

    yard.stop.cancel();

    assert!(claim.await.unwrap().unwrap().runs.is_empty());
    assert!(matches!(yard.submit("work").await, Err(Error::Stopping)));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_finishes_lets_those_go_who_wait_and_gives_no_work_but_takes_all_else() {
    let yard = Yard::new();
    yard.worker("w", "work").await;
    yard.submit("work").await.unwrap();
    let run = yard.claim_one("w").await;
    let began = tokio::time::Instant::now();
    let (engine, task) = (yard.engine.clone(), run.slot.task);
    let claim =
        tokio::spawn(
            async move { claimed(&engine, claim_call("w", Duration::from_mins(1))).await },
        );
    let engine = yard.engine.clone();
    let look = tokio::spawn(async move { engine.task(task, Duration::from_mins(1)).await });
    settle().await;

    yard.engine.finish();

    assert!(claim.await.unwrap().unwrap().runs.is_empty());
    assert_eq!(look.await.unwrap().unwrap().status(), Status::Assigned);
    assert_eq!(began.elapsed(), Duration::ZERO);
    let waits = yard.submit("work").await.unwrap();
    yard.complete(&run).await.unwrap();
    assert_eq!(yard.status(task).await, Status::Completed);
    let claim = yard.claim("w", Duration::ZERO).await;
    assert!(matches!(claim, Err(Error::Stopping)), "{claim:?}");
    assert_eq!(yard.status(waits).await, Status::Pending);
    yard.stop.cancel();
    yard.engine.ended().await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_worker_is_told_so() {
    let yard = Yard::new();

    let claimed = yard.claim("nobody", Duration::ZERO).await;

    assert!(matches!(
        claimed,
        Err(Error::Refused(Refused::NoSuchWorker))
    ));
}
