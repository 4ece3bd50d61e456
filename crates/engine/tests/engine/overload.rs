//! More commands than the database takes: how many wait, how much they hold, and who is told to come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use taskyard_core::command::Command;
use taskyard_core::json::Json;
use taskyard_core::name::Name;
use taskyard_core::policy::Policy;
use taskyard_core::query::Standing;
use taskyard_core::status::Status;
use taskyard_core::store::{self, Ran, Store};
use taskyard_core::verbs::claim::Run;
use taskyard_core::verbs::heartbeat::{Beaten, Heartbeat, Held};
use taskyard_core::verbs::submit::{NewTask, Submit, Submitted};
use taskyard_engine::error::Error;
use taskyard_engine::upkeep::Upkeep;
use taskyard_store::model::Model;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::front::{Front, Fronted};
use super::upkeep::keep_up;
use super::yard::{Yard, claim_call, claimed, model_whose_time_passes, settle, token};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// A store that begins no batch before it is let.
struct StandsStill {
    model: Model,
    batches: Semaphore,
    /// How many heartbeats it was given.
    heard: AtomicUsize,
}

impl StandsStill {
    /// A yard around it, in which so many commands may wait.
    fn yard(commands_max: usize) -> (Yard, Arc<Fronted<Self>>) {
        let policy = Policy {
            commands_max,
            ..Policy::default()
        };
        Self::yard_under(policy)
    }

    fn yard_under(policy: Policy) -> (Yard, Arc<Fronted<Self>>) {
        let store = Arc::new(Fronted(Self {
            model: model_whose_time_passes(),
            batches: Semaphore::new(0),
            heard: AtomicUsize::new(0),
        }));
        (Yard::under(policy, store.clone()), store)
    }

    fn goes_on(&self) {
        self.batches.close();
    }
}

#[async_trait]
impl Front for StandsStill {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, store::Error> {
        let heartbeats = batch
            .iter()
            .filter(|command| matches!(command, Command::Heartbeat(_)));
        self.heard.fetch_add(heartbeats.count(), Ordering::SeqCst);
        if let Ok(batch) = self.batches.acquire().await {
            batch.forget();
        }
        self.model.run(batch, policy).await
    }
}

/// What this worker is told that has this run, and perhaps a checkpoint of it.
fn beating(
    yard: &Yard,
    run: &Run,
    brings_news: bool,
) -> impl Future<Output = Result<Beaten, Error>> + use<> {
    let held = Held {
        token: token(run),
        running: false,
        progress: None,
        checkpoint: brings_news.then(|| Json::stored("1")),
    };
    let heartbeat = Heartbeat {
        worker: Name::plain("w").unwrap(),
        epoch: None,
        held: vec![held],
        leaves: false,
    };
    let engine = yard.engine.clone();
    async move { engine.heartbeat(heartbeat).await }
}

/// A command that waits, until the loop has had its turn with it.
async fn waiting(yard: &Yard) -> JoinHandle<bool> {
    let (engine, task) = (yard.engine.clone(), yard.engine.new_task());
    let waiting = tokio::spawn(async move {
        let cancelled = engine.cancel(task).await;
        matches!(cancelled, Err(Error::Refused(_)))
    });
    settle().await;
    waiting
}

/// The submit of a task with this input, until the loop has had its turn with it.
async fn submitting(yard: &Yard, input: &str) -> JoinHandle<Result<Submitted, Error>> {
    let task = NewTask {
        input: Json::stored(input),
        ..yard.task("work")
    };
    let engine = yard.engine.clone();
    let submitting = tokio::spawn(async move { engine.submit(Submit::of(vec![task])).await });
    settle().await;
    submitting
}

/// The claim of "w", which waits, until the loop has had its turn with it. How many runs it got.
async fn claiming(yard: &Yard) -> JoinHandle<usize> {
    let engine = yard.engine.clone();
    let claiming = tokio::spawn(async move {
        claimed(&engine, claim_call("w", MINUTE))
            .await
            .unwrap()
            .runs
            .len()
    });
    settle().await;
    claiming
}

fn is_told_to_come_back(yard: &Yard) -> bool {
    let cancelled = yard.engine.cancel(yard.engine.new_task()).now_or_never();
    matches!(cancelled, Some(Err(Error::Busy)))
}

#[tokio::test(start_paused = true)]
async fn as_many_commands_wait_as_may_and_no_more() {
    const MAX: usize = 10;
    let (yard, store) = StandsStill::yard(MAX);
    let mut all = Vec::new();
    for _ in 0..MAX {
        all.push(waiting(&yard).await);
    }
    assert!(all.iter().all(|waiting| !waiting.is_finished()));

    assert!(is_told_to_come_back(&yard));

    store.goes_on();
    for waiting in all {
        assert!(waiting.await.unwrap(), "it was answered");
    }
    assert!(!is_told_to_come_back(&yard));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_leaves_its_command_which_counts() {
    let (yard, store) = StandsStill::yard(2);
    for _ in 0..2 {
        waiting(&yard).await.abort();
        settle().await;
    }

    assert!(is_told_to_come_back(&yard));

    store.goes_on();
    settle().await;
    assert!(!is_told_to_come_back(&yard));
}

#[tokio::test(start_paused = true)]
async fn submits_leave_room_for_what_workers_say() {
    let (yard, store) = StandsStill::yard(8);
    let mut submits = Vec::new();
    for _ in 0..7 {
        submits.push(submitting(&yard, "1").await);
    }

    assert!(matches!(yard.submit("work").await, Err(Error::Busy)));
    let cancel = waiting(&yard).await;
    assert!(is_told_to_come_back(&yard));

    store.goes_on();
    assert!(cancel.await.unwrap());
    for submit in submits {
        submit.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_bytes_that_wait_are_bounded_also_where_nobody_waits_for_them() {
    const INPUT: usize = 100_000;
    // Three of these and a part of the fourth, which is taken whole, and the eighth that is not for submits.
    let policy = Policy {
        commands_bytes_max: (3 * INPUT + INPUT / 2) / 7 * 8,
        ..Policy::default()
    };
    let (yard, store) = StandsStill::yard_under(policy);
    let input = "1".repeat(INPUT);
    for _ in 0..4 {
        submitting(&yard, &input).await.abort();
        settle().await;
    }

    let fifth = submitting(&yard, &input).await;
    assert!(matches!(fifth.await.unwrap(), Err(Error::Busy)));

    store.goes_on();
    settle().await;
    submitting(&yard, &input).await.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_waits_for_work_takes_no_room_and_one_for_the_database_does() {
    let (yard, store) = StandsStill::yard(1);
    store.batches.add_permits(2);
    yard.worker("w", "work").await;
    let parked = claiming(&yard).await;
    assert_eq!(store.batches.available_permits(), 0, "it has looked");

    let task = submitting(&yard, "1").await;
    assert!(is_told_to_come_back(&yard));
    let told = yard.claim("w", MINUTE).now_or_never();
    assert!(matches!(told, Some(Err(Error::Busy))));

    store.goes_on();
    task.await.unwrap().unwrap();
    assert_eq!(parked.await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_does_by_itself_is_not_told_to_come_back() {
    let (yard, store) = StandsStill::yard(1);
    let _full = waiting(&yard).await;
    assert!(is_told_to_come_back(&yard));
    let engine = yard.engine.clone();
    let joins = tokio::spawn(async move { engine.join(None, false).await });
    settle().await;
    assert!(!joins.is_finished());

    store.goes_on();

    joins.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_waits_for_long_adds_no_sign_of_life_to_the_one_that_waits_and_no_room_is_taken()
 {
    let (yard, store) = StandsStill::yard(2);
    store.batches.add_permits(1);
    yard.worker("w", "work").await;
    let _open = claiming(&yard).await;

    tokio::time::sleep(MINUTE / 2).await;

    let beside_it = waiting(&yard).await;
    assert!(is_told_to_come_back(&yard));
    store.goes_on();
    assert!(beside_it.await.unwrap());
    settle().await;
    assert_eq!(store.heard.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_calls_a_server_without_room_loses_nothing_however_long_it_has_none() {
    let (yard, store) = StandsStill::yard(1);
    store.batches.add_permits(1_000);
    let _services = keep_up(&yard, Upkeep::default()).await;
    // Silence counts by now.
    tokio::time::sleep(MINUTE).await;
    yard.worker("w", "work").await;
    let task = yard.submit("work").await.unwrap();
    let run = yard.claim_one("w").await;
    store.batches.forget_permits(1_000);
    let full = waiting(&yard).await;

    // Longer than its lease.
    let first = tokio::spawn(beating(&yard, &run, false));
    for _ in 0..9 {
        tokio::time::sleep(10 * SECOND).await;
        let told = beating(&yard, &run, false).now_or_never();
        assert!(
            matches!(told, Some(Err(Error::Busy))),
            "the first one waits"
        );
    }
    assert!(is_told_to_come_back(&yard));
    store.goes_on();

    assert!(full.await.unwrap());
    assert_eq!(first.await.unwrap().unwrap().lost, []);
    tokio::time::sleep(Upkeep::default().sweep * 3).await;
    assert_eq!(yard.status(task).await, Status::Assigned);
}

#[tokio::test(start_paused = true)]
async fn news_that_find_no_room_are_told_to_come_back_and_the_lease_is_renewed() {
    let (yard, store) = StandsStill::yard(1);
    store.batches.add_permits(3);
    yard.worker("w", "work").await;
    let task = yard.submit("work").await.unwrap();
    let run = yard.claim_one("w").await;
    store.batches.forget_permits(1);
    let _full = waiting(&yard).await;
    tokio::time::advance(30 * SECOND).await;
    let news = tokio::spawn(beating(&yard, &run, true));
    settle().await;
    assert!(!news.is_finished());

    store.goes_on();

    assert!(matches!(news.await.unwrap(), Err(Error::Busy)));
    let view = yard.engine.task(task, Duration::ZERO).await.unwrap();
    let Standing::Leased(lease) = &view.standing else {
        panic!("it is running")
    };
    let policy = yard.engine.policy();
    assert_eq!(lease.expires_at, yard.engine.store().now() + policy.lease);
    assert!(lease.checkpoint.is_none());
}
