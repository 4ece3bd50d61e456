//! More commands than the database takes: how many wait, how much they hold, and who is told to come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use taskyard_core::command::Command;
use taskyard_core::json::Json;
use taskyard_core::policy::Policy;
use taskyard_core::store::{self, Ran, Store};
use taskyard_core::verbs::submit::{NewTask, Submit, Submitted};
use taskyard_engine::error::Error;
use taskyard_store::model::Model;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::front::{Front, Fronted};
use super::yard::{Yard, claim_call, model, settle};

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
            model: model(),
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
    let submit = Submit {
        tasks: vec![task],
        once: None,
        again: false,
    };
    let engine = yard.engine.clone();
    let submitting = tokio::spawn(async move { engine.submit(submit).await });
    settle().await;
    submitting
}

/// The claim of "w", which waits, until the loop has had its turn with it. How many runs it got.
async fn claiming(yard: &Yard) -> JoinHandle<usize> {
    let engine = yard.engine.clone();
    let claiming = tokio::spawn(async move {
        engine
            .claim(claim_call("w", MINUTE))
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
    // Four of these and a part of the fifth, and the eighth that is not for submits.
    let policy = Policy {
        commands_bytes_max: (4 * INPUT + INPUT / 2) / 7 * 8,
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
    let small = submitting(&yard, "1").await;

    store.goes_on();
    small.await.unwrap().unwrap();
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
async fn a_sign_of_life_that_found_no_room_is_given_by_the_next_call() {
    let (yard, store) = StandsStill::yard(2);
    store.batches.add_permits(1);
    yard.worker("w", "work").await;
    let heard = || store.heard.load(Ordering::SeqCst);
    let before_it = waiting(&yard).await;
    let _parked = claiming(&yard).await;
    store.goes_on();
    assert!(before_it.await.unwrap());
    settle().await;
    assert_eq!(heard(), 0, "its claim had the last place");

    yard.claim("w", Duration::ZERO).await.unwrap();
    settle().await;

    assert_eq!(heard(), 1);
}
