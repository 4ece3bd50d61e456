//! The services of a running server. Time passes only while everybody waits, and whoever is given nothing within its
//! time was not served.

mod forgetting;
mod promoting;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use taskyard_core::command::Command;
use taskyard_core::id::TaskId;
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::status::Status;
use taskyard_core::store::{self, Ran, Store};
use taskyard_core::time::Timestamp;
use taskyard_engine::error::Error;
use taskyard_engine::upkeep::{Services, Upkeep};
use taskyard_store::model::Model;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::front::{Front, Fronted};
use super::yard::{NOW, Yard, claim_call, claimed, model_whose_time_passes, settle};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// Joins, and starts the services.
pub(super) async fn keep_up(yard: &Yard, upkeep: Upkeep) -> Services {
    let server = yard.engine.join(None, upkeep.alone).await.unwrap();
    upkeep.start(&yard.engine, server)
}

fn yard() -> Yard {
    Yard::around(Arc::new(model_whose_time_passes()))
}

/// Two servers on one database; nobody keeps them up yet.
fn two() -> (Yard, Yard) {
    let store = Arc::new(model_whose_time_passes());
    (Yard::around(store.clone()), Yard::around(store))
}

/// What this worker is given within this time.
async fn gets(yard: &Yard, worker: &str, within: Duration) -> Vec<TaskId> {
    let hand = yard.claim(worker, within).await.unwrap();
    hand.runs.iter().map(|run| run.slot.task).collect()
}

#[tokio::test(start_paused = true)]
async fn what_a_silent_worker_held_goes_to_another() {
    let yard = yard();
    let _services = keep_up(&yard, Upkeep::default()).await;
    yard.worker("silent", "work").await;
    yard.worker("other", "work").await;
    let task = yard.submit("work").await.unwrap();
    yard.claim_one("silent").await;

    assert_eq!(gets(&yard, "other", 10 * MINUTE).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn in_grace_nobody_is_silent() {
    let yard = yard();
    let upkeep = Upkeep {
        grace: 10 * MINUTE,
        ..Upkeep::default()
    };
    let _services = keep_up(&yard, upkeep).await;
    yard.worker("silent", "work").await;
    yard.worker("other", "work").await;
    let task = yard.submit("work").await.unwrap();
    yard.claim_one("silent").await;

    assert_eq!(gets(&yard, "other", 9 * MINUTE).await, []);
    assert_eq!(gets(&yard, "other", 2 * MINUTE).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_ends_no_run() {
    let (started, ahead) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let set_forward = Arc::clone(&ahead);
    let clock = move || {
        let hours = u64::try_from(ahead.load(Ordering::SeqCst)).unwrap();
        NOW + started.elapsed() + Duration::from_hours(hours)
    };
    let yard = Yard::around(Arc::new(Model::new(1, Arc::new(clock))));
    let _services = keep_up(&yard, Upkeep::default()).await;
    yard.worker("w", "work").await;
    let task = yard.submit("work").await.unwrap();
    let run = yard.begin_one("w").await;
    let beat = async |minutes: u64| {
        for _ in 0..6 * minutes {
            yard.heartbeat("w", &run).await;
            tokio::time::sleep(10 * SECOND).await;
        }
        yard.status(task).await
    };
    assert_eq!(beat(5).await, Status::Running);

    set_forward.store(1, Ordering::SeqCst);

    // It may take half an hour.
    assert_eq!(beat(24).await, Status::Running);
    assert_ne!(beat(2).await, Status::Running);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_alone_passes_on_at_once_what_workers_inside_the_last_one_held() {
    let (before, yard) = two();
    let server = before.engine.join(None, true).await.unwrap();
    before.inner_worker("worker-1", "work", server.number).await;
    let task = before.submit("work").await.unwrap();
    before.claim_one("worker-1").await;
    tokio::time::advance(SECOND).await;

    let upkeep = Upkeep {
        alone: true,
        grace: 10 * MINUTE,
        ..Upkeep::default()
    };
    let _services = keep_up(&yard, upkeep).await;
    yard.worker("other", "work").await;

    assert_eq!(gets(&yard, "other", 5 * SECOND).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn readers_that_wait_cost_one_question_for_all_of_them() {
    let store = Arc::new(Fronted(Counting::default()));
    let yard = Yard::around(store.clone());
    let _services = keep_up(&yard, Upkeep::default()).await;
    let mut readers = JoinSet::new();
    for _ in 0..50 {
        let (engine, task) = (yard.engine.clone(), yard.submit("work").await.unwrap());
        readers.spawn(async move { engine.task(task, MINUTE).await });
    }
    settle().await;
    let (looks, questions) = (&store.looks, &store.questions);
    let before = questions.load(Ordering::SeqCst);

    tokio::time::sleep(10 * SECOND).await;

    assert_eq!(looks.load(Ordering::SeqCst), 50, "each looks once");
    let asked = questions.load(Ordering::SeqCst) - before;
    assert!((9..=11).contains(&asked), "{asked} questions in 10 s");
}

#[tokio::test(start_paused = true)]
async fn a_claim_gets_what_another_server_made_ready() {
    let (here, there) = two();
    let _services = keep_up(&here, Upkeep::default()).await;
    here.worker("w", "work").await;
    let engine = here.engine.clone();
    let claim = tokio::spawn(async move { claimed(&engine, claim_call("w", MINUTE)).await });
    settle().await;

    let task = there.submit("work").await.unwrap();

    let runs = claim.await.unwrap().unwrap().runs;
    assert_eq!(
        runs.iter().map(|run| run.slot.task).collect::<Vec<_>>(),
        [task]
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_hears_of_an_end_at_another_server() {
    let (here, there) = two();
    let _services = keep_up(&here, Upkeep::default()).await;
    there.worker("w", "work").await;
    let task = there.submit("work").await.unwrap();
    let run = there.claim_one("w").await;
    let engine = here.engine.clone();
    let reader = tokio::spawn(async move { engine.task(task, 10 * MINUTE).await });
    settle().await;

    there.complete(&run).await.unwrap();

    let view = timeout(MINUTE, reader)
        .await
        .expect("it was told long before its time is up");
    assert_eq!(view.unwrap().unwrap().status(), Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_server_goes_on_saying_that_it_is_up() {
    let (here, there) = two();
    let _services = keep_up(&here, Upkeep::default()).await;
    let taken = here.engine.join(None, false).await.unwrap();
    tokio::time::sleep(3 * here.engine.policy().server_ttl).await;

    let other = there.engine.join(None, false).await.unwrap();

    assert_eq!(other.number, taken.number, "the one that nobody kept");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_in_order_is_up_no_more() {
    let (here, there) = two();
    let mut services = keep_up(&here, Upkeep::default()).await;
    let joined = here.engine.joined();
    let left = joined.borrow().unwrap();

    here.stop.cancel();
    while services.next_ended().await.is_some() {}
    here.engine.ended().await;

    let other = there.engine.join(None, false).await.unwrap();
    assert_eq!(other.number, left.number);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_is_asked_for_comes_at_once_and_tells_what_it_did() {
    let yard = yard();
    let rarely = Upkeep {
        sweep: Duration::from_hours(1),
        grace: MINUTE,
        ..Upkeep::default()
    };
    let _services = keep_up(&yard, rarely).await;
    let task = yard.submit("work").await.unwrap();
    yard.worker("gone", "work").await;
    gets(&yard, "gone", SECOND).await;
    tokio::time::advance(Policy::default().heartbeat_ttl).await;

    let in_grace = yard.engine.sweep().await.unwrap();

    assert_eq!((in_grace.expired, in_grace.grace), (0, true));
    tokio::time::advance(MINUTE).await;
    let (one, other) = tokio::join!(yard.engine.sweep(), yard.engine.sweep());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!((one.expired, one.grace), (1, false));
    assert_eq!(one, other, "both asked for one sweep");
    assert_eq!(yard.status(task).await, Status::Pending);

    yard.stop.cancel();
    assert!(matches!(yard.engine.sweep().await, Err(Error::Stopping)));
}

#[tokio::test(start_paused = true)]
async fn the_services_end_with_their_engine() {
    let yard = yard();
    let mut services = keep_up(&yard, Upkeep::default()).await;
    settle().await;

    yard.stop.cancel();

    let mut ended = 0;
    while services.next_ended().await.is_some() {
        ended += 1;
    }
    assert_eq!(ended, 9);
}

/// A store that counts how often it is asked some things.
struct Counting {
    model: Model,
    /// What it says, though no promotion gets any of it: another server has it.
    something_is_due: bool,
    promotions: AtomicUsize,
    /// At one task.
    looks: AtomicUsize,
    /// Which of many tasks have ended.
    questions: AtomicUsize,
    /// Who a worker is.
    lookups: AtomicUsize,
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            model: model_whose_time_passes(),
            something_is_due: false,
            promotions: AtomicUsize::default(),
            looks: AtomicUsize::default(),
            questions: AtomicUsize::default(),
            lookups: AtomicUsize::default(),
        }
    }
}

#[async_trait]
impl Front for Counting {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, store::Error> {
        let is_promotion = |command: &&Command| matches!(command, Command::Promote(_));
        let promotions = batch.iter().filter(is_promotion).count();
        self.promotions.fetch_add(promotions, Ordering::SeqCst);
        self.model.run(batch, policy).await
    }

    async fn read(&self, query: Query) -> Result<Answer, store::Error> {
        match query {
            Query::NextDue { .. } if self.something_is_due => {
                return Ok(Answer::NextDue(Some(Timestamp::default())));
            }
            Query::Task(_) => _ = self.looks.fetch_add(1, Ordering::SeqCst),
            Query::Worker(_) => _ = self.lookups.fetch_add(1, Ordering::SeqCst),
            Query::Ended(_) => _ = self.questions.fetch_add(1, Ordering::SeqCst),
            _ => {}
        }
        self.model.read(query).await
    }
}
