//! Batches under way on a store that runs the next before it answers the last.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use taskyard_core::command::Command;
use taskyard_core::hints::Hints;
use taskyard_core::id::TaskId;
use taskyard_core::minute::What;
use taskyard_core::policy::Policy;
use taskyard_core::refused::Refused;
use taskyard_core::status::Status;
use taskyard_core::store::{self, Close, Ran, Store};
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::submit::Submit;
use taskyard_engine::engine::ClaimCall;
use taskyard_engine::error::Error;
use taskyard_engine::services::tally;
use taskyard_store::model::Model;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::front::{Front, Fronted};
use super::tallying::happened;
use super::yard::{Yard, claim_call, claimed, model, settle};

const MINUTE: Duration = Duration::from_mins(1);

/// A store that runs two batches at once at most, and keeps each answer until the test lets it go.
struct Holds {
    model: Model,
    answers: Semaphore,
    ran: AtomicUsize,
}

impl Holds {
    fn new() -> Arc<Fronted<Self>> {
        Arc::new(Fronted(Self {
            model: model(),
            answers: Semaphore::new(0),
            ran: AtomicUsize::new(0),
        }))
    }

    fn let_go(&self, answers: usize) {
        self.answers.add_permits(answers);
    }

    fn ran(&self) -> usize {
        self.ran.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Front for Holds {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, store::Error> {
        let ran = self.model.run(batch, policy).await;
        self.ran.fetch_add(1, Ordering::SeqCst);
        self.answers.acquire().await.unwrap().forget();
        ran
    }

    fn batches_max(&self) -> usize {
        2
    }
}

/// An engine with the worker "w" on a store that holds the answers from here on.
async fn yard_with_worker(store: &Arc<Fronted<Holds>>) -> Yard {
    let yard = Yard::around(store.clone());
    // Its registration, and the renewal of its row that its first claim brings along.
    store.let_go(1);
    yard.worker("w", "work").await;
    store.let_go(2);
    yard.claim("w", Duration::ZERO).await.unwrap();
    store.answers.forget_permits(1);
    yard
}

fn claiming(yard: &Yard, wait: Duration) -> tokio::task::JoinHandle<usize> {
    claiming_by(yard, claim_call("w", wait))
}

fn claiming_as(yard: &Yard, seq: i64) -> tokio::task::JoinHandle<usize> {
    let call = claim_call("w", MINUTE);
    claiming_by(yard, ClaimCall { seq, ..call })
}

fn claiming_by(yard: &Yard, call: ClaimCall) -> tokio::task::JoinHandle<usize> {
    let engine = yard.engine.clone();
    tokio::spawn(async move { claimed(&engine, call).await.unwrap().runs.len() })
}

fn submitting(yard: &Yard) -> tokio::task::JoinHandle<bool> {
    let (engine, task) = (yard.engine.clone(), yard.task("work"));
    tokio::spawn(async move { engine.submit(Submit::of(vec![task])).await.is_ok() })
}

#[tokio::test(start_paused = true)]
async fn the_next_batch_runs_before_the_last_is_answered_and_no_third() {
    let store = Holds::new();
    let yard = Yard::around(store.clone());

    let mut submits = Vec::new();
    for _ in 0..4 {
        submits.push(submitting(&yard));
        settle().await;
    }

    assert_eq!(store.ran(), 2);
    assert!(submits.iter().all(|submit| !submit.is_finished()));
    store.let_go(1);
    settle().await;
    assert!(submits[0].is_finished() && !submits[1].is_finished());
    // What waited is one batch.
    store.let_go(2);
    for submit in submits {
        assert!(submit.await.unwrap());
    }
    assert_eq!(store.ran(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_claim_under_way_gets_what_the_batch_behind_it_submits() {
    let store = Holds::new();
    let yard = yard_with_worker(&store).await;
    let started = Instant::now();
    let claim = claiming(&yard, MINUTE);
    settle().await;
    let submit = submitting(&yard);
    settle().await;

    store.let_go(3);

    assert_eq!(claim.await.unwrap(), 1);
    assert!(submit.await.unwrap());
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_claim_under_way_looks_again_after_word_from_outside() {
    for named in [false, true] {
        let store = Holds::new();
        let yard = yard_with_worker(&store).await;
        let started = Instant::now();
        let claim = claiming(&yard, MINUTE);
        settle().await;
        let task = yard.task("work");
        let lane = task.lane.clone();
        let submit = Submit::of(vec![task]).into();
        let elsewhere = store.model.run(vec![submit], yard.engine.policy());
        elsewhere.await.unwrap();

        let lane = store.lanes().number(&lane).expect("it has a number");
        if named {
            let ready = Hints {
                ready: [(lane, 1)].into_iter().collect(),
                ..Hints::default()
            };
            yard.engine.hear(ready).await.unwrap();
        } else {
            yard.engine.look_again().await.unwrap();
        }
        settle().await;
        store.let_go(2);

        assert_eq!(claim.await.unwrap(), 1, "with the lane named: {named}");
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn runs_that_were_claimed_for_nobody_go_back() {
    let store = Holds::new();
    let yard = yard_with_worker(&store).await;
    store.let_go(1);
    assert!(submitting(&yard).await.unwrap());
    let gone = claiming(&yard, MINUTE);
    settle().await;
    let here = claiming(&yard, MINUTE);
    settle().await;
    gone.abort();

    // The claim that nobody hears, the one that found nothing, the release, and the claim again.
    store.let_go(4);

    assert_eq!(here.await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn runs_of_a_claim_that_was_sent_again_stay_with_the_repetition() {
    let store = Holds::new();
    let yard = yard_with_worker(&store).await;
    store.let_go(1);
    let task = yard.submit("work").await.unwrap();
    let gone = claiming_as(&yard, 1);
    settle().await;
    gone.abort();
    let again = claiming_as(&yard, 1);
    settle().await;

    // The claim that nobody hears, the one that is answered the same, and whatever comes of it.
    store.let_go(4);

    assert_eq!(again.await.unwrap(), 1);
    settle().await;
    assert_eq!(yard.status(task).await, Status::Assigned);
}

/// As where a server stops soon after its start: nobody knows yet which of the worker's claims were answered before.
#[tokio::test(start_paused = true)]
async fn runs_of_a_claim_that_nobody_hears_go_back_though_its_worker_claims_on() {
    let store = Holds::new();
    let yard = yard_with_worker(&store).await;
    store.let_go(1);
    assert!(submitting(&yard).await.unwrap());
    let gone = claiming_as(&yard, 1);
    settle().await;
    gone.abort();
    let next = claiming_as(&yard, 2);
    settle().await;

    // The claim that nobody hears, the one that found nothing, the release, and the claim again.
    store.let_go(4);

    assert_eq!(next.await.unwrap(), 1);
}

/// As where a connection broke behind the claim, which came again over another one and was faster there.
#[tokio::test(start_paused = true)]
async fn runs_that_their_worker_was_told_of_stay_when_nobody_hears_a_later_sending() {
    let yard = Yard::new();
    yard.worker("w", "work").await;
    let task = yard.submit("work").await.unwrap();
    let claim = || {
        let call = ClaimCall {
            seq: 1,
            ..claim_call("w", Duration::ZERO)
        };
        yard.engine.claim(call)
    };
    let first = claim().await.unwrap();
    let late = claim().await.unwrap();
    assert_eq!(late.hand().runs, first.hand().runs);
    let told = first.tell();

    drop(late);
    settle().await;

    assert_eq!(yard.status(task).await, Status::Assigned);
    yard.complete(&told.runs[0]).await.unwrap();
    assert_eq!(yard.status(task).await, Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn runs_that_were_claimed_go_back_unless_their_worker_is_told() {
    for is_told in [true, false] {
        let yard = Yard::new();
        yard.worker("w", "work").await;
        let task = yard.submit("work").await.unwrap();

        let claimed = yard.engine.claim(claim_call("w", Duration::ZERO)).await;
        let claimed = claimed.unwrap();
        if is_told {
            assert_eq!(claimed.tell().runs.len(), 1);
        } else {
            drop(claimed);
        }
        settle().await;

        let expected = [Status::Pending, Status::Assigned][usize::from(is_told)];
        assert_eq!(yard.status(task).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopping_server_answers_what_is_under_way() {
    let store = Holds::new();
    let yard = Yard::around(store.clone());
    let submits = [submitting(&yard), submitting(&yard)];
    settle().await;
    let waits_behind = submitting(&yard);
    settle().await;

    yard.stop.cancel();
    settle().await;
    store.let_go(3);

    for submit in submits.into_iter().chain([waits_behind]) {
        assert!(submit.await.unwrap());
    }
}

/// A store before which batches wait until the test lets them begin, one after the other.
struct Waits {
    model: Model,
    begin: Semaphore,
    sizes: Mutex<Vec<usize>>,
}

#[async_trait]
impl Front for Waits {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run_open(&self, close: Close, policy: &Policy) -> Result<Ran, store::Error> {
        self.begin.acquire().await.unwrap().forget();
        let batch = close();
        self.sizes.lock().push(batch.len());
        self.model.run(batch, policy).await
    }

    fn batches_max(&self) -> usize {
        2
    }
}

#[tokio::test(start_paused = true)]
async fn what_arrives_before_the_last_batch_begins_joins_it() {
    let store = Arc::new(Fronted(Waits {
        model: model(),
        begin: Semaphore::new(3),
        sizes: Mutex::default(),
    }));
    let yard = Yard::around(store.clone());
    yard.worker("w", "work").await;
    yard.claim("w", Duration::ZERO).await.unwrap();
    settle().await;
    store.begin.forget_permits(usize::MAX);
    store.sizes.lock().clear();

    let mut submits = vec![submitting(&yard)];
    settle().await;
    let claim = claiming(&yard, MINUTE);
    settle().await;
    let refused = {
        let engine = yard.engine.clone();
        let nowhere = TaskId::new(Timestamp::default(), 7);
        tokio::spawn(async move { engine.cancel(nowhere).await })
    };
    settle().await;
    for _ in 0..2 {
        submits.push(submitting(&yard));
        settle().await;
    }
    assert!(submits.iter().all(|submit| !submit.is_finished()));
    store.begin.add_permits(2);

    for submit in submits {
        assert!(submit.await.unwrap());
    }
    assert_eq!(claim.await.unwrap(), 3);
    let refused = refused.await.unwrap();
    assert!(matches!(refused, Err(Error::Refused(Refused::NoSuchTask))));
    assert_eq!(*store.sizes.lock(), [5]);
    // Those that joined it as well.
    tally::run_once(&yard.engine).await.unwrap();
    assert_eq!(happened(&yard, What::Submitted).await, 3);
}
