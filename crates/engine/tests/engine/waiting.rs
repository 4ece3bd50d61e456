//! Claims and readers that wait, and what ends their waiting.

use std::sync::Arc;
use std::time::Duration;

use taskyard_core::query::Query;
use taskyard_core::status::Status;
use tokio::time::Instant;

use super::front::HoldsBack;
use super::yard::{Yard, claim_call, claimed, model, model_whose_time_passes, settle};

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test(start_paused = true)]
async fn a_parked_claim_is_given_what_is_submitted() {
    let yard = Yard::new();
    yard.worker("w", "work").await;
    let engine = yard.engine.clone();
    let claim = tokio::spawn(async move { claimed(&engine, claim_call("w", MINUTE)).await });
    settle().await;

    let task = yard.submit("work").await.unwrap();

    let hand = claim.await.unwrap().unwrap();
    assert_eq!(
        hand.runs
            .iter()
            .map(|run| run.slot.task)
            .collect::<Vec<_>>(),
        [task]
    );
    assert_eq!(
        yard.engine
            .task(task, Duration::ZERO)
            .await
            .unwrap()
            .status(),
        Status::Assigned
    );
}

#[tokio::test(start_paused = true)]
async fn a_submit_of_another_kind_wakes_nobody() {
    let yard = Yard::new();
    yard.worker("w", "work").await;
    let engine = yard.engine.clone();
    let started = Instant::now();
    let claim = tokio::spawn(async move { claimed(&engine, claim_call("w", MINUTE)).await });
    settle().await;

    yard.submit("other").await.unwrap();

    assert!(claim.await.unwrap().unwrap().runs.is_empty());
    assert_eq!(started.elapsed(), MINUTE);
}

#[tokio::test(start_paused = true)]
async fn each_of_many_parked_claims_gets_its_share_in_turn() {
    let yard = Yard::new();
    let mut claims = Vec::new();
    for name in ["a", "b", "c"] {
        yard.worker(name, "work").await;
        let engine = yard.engine.clone();
        claims.push(tokio::spawn(async move {
            claimed(&engine, claim_call(name, MINUTE)).await
        }));
        settle().await;
    }

    let mut submitted = Vec::new();
    for _ in 0..3 {
        submitted.push(yard.submit("work").await.unwrap());
    }

    let mut got = Vec::new();
    for claim in claims {
        got.extend(
            claim
                .await
                .unwrap()
                .unwrap()
                .runs
                .into_iter()
                .map(|run| run.slot.task),
        );
    }
    assert_eq!(got, submitted);
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_caller_went_away_costs_nobody_a_task() {
    let yard = Yard::new();
    yard.worker("gone", "work").await;
    yard.worker("here", "work").await;
    let engine = yard.engine.clone();
    let gone = tokio::spawn(async move { claimed(&engine, claim_call("gone", MINUTE)).await });
    settle().await;
    gone.abort();
    settle().await;

    let task = yard.submit("work").await.unwrap();

    let hand = yard.claim("here", MINUTE).await.unwrap();
    assert_eq!(hand.runs[0].slot.task, task);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_waits_hears_of_the_end_at_once() {
    let yard = Yard::new();
    yard.worker("w", "work").await;
    let task = yard.submit("work").await.unwrap();
    let engine = yard.engine.clone();
    let started = Instant::now();
    let reader = tokio::spawn(async move { engine.task(task, MINUTE).await });
    let run = yard.claim_one("w").await;
    settle().await;
    assert!(!reader.is_finished());

    yard.complete(&run).await.unwrap();

    assert_eq!(reader.await.unwrap().unwrap().status(), Status::Completed);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_reader_does_not_miss_an_end_that_comes_while_it_looks() {
    let store = HoldsBack::around(model(), |query| matches!(query, Query::Task(_)));
    let yard = Yard::around(store.clone());
    yard.worker("w", "work").await;
    let task = yard.submit("work").await.unwrap();
    let run = yard.claim_one("w").await;
    let engine = yard.engine.clone();
    let started = Instant::now();
    let reader = tokio::spawn(async move { engine.task(task, MINUTE).await });
    store.looked.notified().await;

    yard.complete(&run).await.unwrap();
    store.let_go.notify_one();

    assert_eq!(reader.await.unwrap().unwrap().status(), Status::Completed);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_reader_waits_no_longer_than_it_asked_to() {
    let yard = Yard::new();
    let task = yard.submit("work").await.unwrap();
    let started = Instant::now();

    let view = yard.engine.task(task, MINUTE).await.unwrap();

    assert_eq!(
        (view.status(), started.elapsed()),
        (Status::Pending, MINUTE)
    );
}

#[tokio::test(start_paused = true)]
async fn an_open_claim_is_a_sign_of_life() {
    let yard = Yard::around(Arc::new(model_whose_time_passes()));
    yard.worker("w", "work").await;

    let hand = yard.claim("w", MINUTE).await.unwrap();

    assert!(hand.runs.is_empty());
    let worker = yard.worker_row("w").await;
    assert!(worker.expires_at > yard.engine.store().now());
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_worker_drains_turns_no_wheel() {
    const AT_LEAST: Duration = Duration::from_secs(1);
    let yard = Yard::new();
    yard.worker("w", "work").await;
    let claims = || {
        let engine = yard.engine.clone();
        tokio::spawn(async move { claimed(&engine, claim_call("w", MINUTE)).await })
    };
    let waits = claims();
    settle().await;
    tokio::time::advance(AT_LEAST).await;
    let drained = Instant::now();
    let worker = claim_call("w", MINUTE).worker;
    yard.engine.drain(worker).await.unwrap();
    assert!(waits.await.unwrap().unwrap().drain);
    assert_eq!(drained.elapsed(), Duration::ZERO, "it hears of it at once");

    for (wait, held) in [
        (MINUTE, AT_LEAST),
        (AT_LEAST / 2, AT_LEAST / 2),
        (Duration::ZERO, Duration::ZERO),
    ] {
        let began = Instant::now();
        assert!(yard.claim("w", wait).await.unwrap().drain);
        assert_eq!(began.elapsed(), held, "it could wait for {wait:?}");
    }

    let began = Instant::now();
    let held = claims();
    settle().await;
    assert!(!held.is_finished());
    yard.stop.cancel();
    assert!(held.await.unwrap().unwrap().drain);
    assert_eq!(began.elapsed(), Duration::ZERO, "nothing waits for a stop");
}

#[tokio::test(start_paused = true)]
async fn those_inside_are_told_of_a_cancel_only_of_what_a_worker_has() {
    let yard = Yard::new();
    yard.worker("w", "work").await;
    let held = yard.submit("work").await.unwrap();
    yard.claim_one("w").await;
    let waits = yard.submit("work").await.unwrap();
    let cancelled = yard.engine.cancelled();

    yard.engine.cancel(waits).await.unwrap();
    assert!(!cancelled.has_changed().unwrap());
    yard.engine.cancel(held).await.unwrap();

    assert!(cancelled.has_changed().unwrap());
}
