//! Claims that wait because of a suspect: their workers run one, or empty their hands for one. Nothing that becomes
//! ready is for them meanwhile; what ends that must be told to them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::order::Priority;
use taskyard_core::verbs::claim::{Hand, Named, Run};
use taskyard_core::verbs::patch::Patch;
use taskyard_core::verbs::set_queue::SetQueue;
use taskyard_core::verbs::submit::{Begin, NewTask, Submit};
use taskyard_engine::engine::ClaimCall;
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance};

use super::yard::{Yard, claim_call, claimed, model_whose_time_passes, settle};

const DAY: Duration = Duration::from_hours(24);

fn yard() -> Yard {
    Yard::around(Arc::new(model_whose_time_passes()))
}

/// A task whose lease was lost twice before anything was heard of its run.
async fn suspect(yard: &Yard) -> TaskId {
    suspect_of(yard, "work", 0).await
}

async fn suspect_of(yard: &Yard, kind: &str, priority: i64) -> TaskId {
    let task = NewTask {
        priority: Priority::new(priority).unwrap(),
        ..yard.task(kind)
    };
    let id = task.id;
    let submit = Submit::of(vec![task]);
    yard.engine.submit(submit).await.unwrap();
    for _ in 0..2 {
        dies_with_one_of(yard, kind).await;
        is_found_dead(yard).await;
    }
    id
}

async fn dies_with_one(yard: &Yard) {
    dies_with_one_of(yard, "work").await;
}

async fn dies_with_one_of(yard: &Yard, kind: &str) {
    yard.worker("dies", kind).await;
    yard.claim_one("dies").await;
}

/// A later process of that name tells of the death; nobody's silence has a part in it.
async fn is_found_dead(yard: &Yard) {
    yard.worker("dies", "work").await;
    assert_eq!(yard.sweep(true).await.expired, 1);
}

/// A claim of this worker that has found nothing it may have.
async fn waits(yard: &Yard, worker: &'static str) -> JoinHandle<Hand> {
    let engine = yard.engine.clone();
    let claim =
        tokio::spawn(async move { claimed(&engine, claim_call(worker, 2 * DAY)).await.unwrap() });
    settle().await;
    assert!(!claim.is_finished());
    claim
}

async fn gets(claim: JoinHandle<Hand>) -> Vec<TaskId> {
    let started = Instant::now();
    let hand = claim.await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO, "it was told at once");
    hand.runs.iter().map(|run| run.slot.task).collect()
}

/// The worker "w" runs a suspect, and its claim leaves a task where it is.
async fn runs_a_suspect(yard: &Yard) -> (Run, JoinHandle<Hand>, TaskId) {
    suspect(yard).await;
    yard.worker("w", "work").await;
    let run = yard.claim_one("w").await;
    let task = yard.submit("work").await.unwrap();
    let claim = waits(yard, "w").await;
    (run, claim, task)
}

/// The worker "w" holds a run and is left to end it for a suspect that has waited too long; its claim leaves a task
/// where it is, of a kind that nobody else runs.
async fn is_kept_for_a_suspect(yard: &Yard) -> (Run, TaskId, JoinHandle<Hand>, TaskId) {
    yard.worker_of("w", &["work", "other"]).await;
    yard.submit("work").await.unwrap();
    let run = yard.claim_one("w").await;
    let suspect = suspect(yard).await;
    advance(yard.engine.policy().suspect_patience).await;
    let task = yard.submit("other").await.unwrap();
    let claim = waits(yard, "w").await;
    (run, suspect, claim, task)
}

#[tokio::test(start_paused = true)]
async fn a_claim_goes_on_once_the_suspect_is_reported_by_whichever_route() {
    let yard = yard();
    let (run, claim, task) = runs_a_suspect(&yard).await;

    yard.complete(&run).await.unwrap();

    assert_eq!(gets(claim).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn a_claim_goes_on_once_the_suspect_that_runs_is_cancelled() {
    let yard = yard();
    let (run, claim, task) = runs_a_suspect(&yard).await;

    yard.engine.cancel(run.slot.task).await.unwrap();

    assert_eq!(gets(claim).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn a_claim_goes_on_once_the_suspect_took_too_long() {
    let yard = yard();
    let (_, claim, task) = runs_a_suspect(&yard).await;
    advance(DAY).await;

    assert_eq!(yard.sweep(true).await.expired, 1);

    assert_eq!(gets(claim).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_kept_for_a_suspect_gets_it_once_its_hand_is_empty() {
    let yard = yard();
    let (run, suspect, claim, _) = is_kept_for_a_suspect(&yard).await;

    yard.complete(&run).await.unwrap();

    assert_eq!(gets(claim).await, [suspect]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_kept_for_a_suspect_is_free_once_that_is_cancelled() {
    let yard = yard();
    let (_, suspect, claim, task) = is_kept_for_a_suspect(&yard).await;

    yard.engine.cancel(suspect).await.unwrap();

    assert_eq!(gets(claim).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_kept_for_a_suspect_is_free_once_another_takes_that() {
    let yard = yard();
    let (_, suspect, claim, task) = is_kept_for_a_suspect(&yard).await;
    yard.worker("other", "work").await;

    assert_eq!(yard.claim_one("other").await.slot.task, suspect);

    assert_eq!(gets(claim).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_dealt_to_wakes_its_workers_others_though_it_came_across_a_suspect() {
    let yard = yard();
    yard.worker_of("w", &["work", "first", "other"]).await;
    yard.submit("work").await.unwrap();
    yard.claim_one("w").await;
    suspect(&yard).await;
    advance(yard.engine.policy().suspect_patience).await;
    let mut tasks = BTreeSet::new();
    for _ in 0..3 {
        tasks.insert(yard.submit("other").await.unwrap());
    }
    let kept = [waits(&yard, "w").await, waits(&yard, "w").await];
    // It stands before the one that the worker is kept for, which a claim that looks alone does not see behind it.
    suspect_of(&yard, "first", 1).await;
    settle().await;
    assert!(kept.iter().all(|claim| !claim.is_finished()));

    let alone = ClaimCall {
        limit: 1,
        ..claim_call("w", Duration::ZERO)
    };
    let hand = claimed(&yard.engine, alone).await.unwrap();

    let mut got: BTreeSet<TaskId> = hand.runs.iter().map(|run| run.slot.task).collect();
    assert_eq!(got.len(), 1);
    for claim in kept {
        got.extend(gets(claim).await);
    }
    assert_eq!(got, tasks);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_kept_for_a_suspect_is_free_once_that_is_put_off() {
    let yard = yard();
    let (_, suspect, claim, task) = is_kept_for_a_suspect(&yard).await;

    let later = Patch {
        task: suspect,
        priority: None,
        begin: Some(Begin::After(DAY)),
    };
    yard.engine.patch(later).await.unwrap();

    assert_eq!(gets(claim).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_kept_for_a_suspect_is_free_once_another_names_that() {
    let yard = yard();
    let (_, suspect, claim, task) = is_kept_for_a_suspect(&yard).await;
    yard.worker("other", "work").await;
    let lane = yard.engine.task(suspect, Duration::ZERO).await;
    let named = ClaimCall {
        task: Some(Named {
            task: suspect,
            lane: lane.unwrap().lane,
        }),
        ..claim_call("other", Duration::ZERO)
    };

    let hand = claimed(&yard.engine, named).await.unwrap();

    assert_eq!(hand.runs[0].slot.task, suspect);
    assert_eq!(gets(claim).await, [task]);
}

/// Whose hand is empty is not known where it is told that the queue goes on.
#[tokio::test(start_paused = true)]
async fn an_idle_worker_gets_a_suspect_once_its_queue_goes_on() {
    let yard = yard();
    let pause = |paused| SetQueue {
        paused: Some(paused),
        ..SetQueue::of(Name::path("default").unwrap())
    };
    yard.worker("busy", "work").await;
    yard.submit("work").await.unwrap();
    yard.claim_one("busy").await;
    let suspect = suspect(&yard).await;
    yard.engine.set_queue(pause(true)).await.unwrap();
    let task = yard.submit("work").await.unwrap();
    let busy = waits(&yard, "busy").await;
    yard.worker("idle", "work").await;
    let idle = waits(&yard, "idle").await;

    yard.engine.set_queue(pause(false)).await.unwrap();

    assert_eq!(gets(idle).await, [suspect]);
    assert_eq!(gets(busy).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_gets_a_suspect_though_a_busy_one_has_waited_longer() {
    let yard = yard();
    yard.worker("busy", "work").await;
    yard.submit("work").await.unwrap();
    yard.claim_one("busy").await;
    let suspect = yard.submit("work").await.unwrap();
    dies_with_one(&yard).await;
    is_found_dead(&yard).await;
    dies_with_one(&yard).await;
    let busy = waits(&yard, "busy").await;
    yard.worker("idle", "work").await;
    let idle = waits(&yard, "idle").await;

    is_found_dead(&yard).await;

    assert_eq!(gets(idle).await, [suspect]);
    assert!(!busy.is_finished());
}
