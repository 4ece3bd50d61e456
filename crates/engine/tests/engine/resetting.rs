//! Everything is taken away while some work, and others wait.

use std::time::Duration;

use taskyard_core::minute::What;
use taskyard_core::query::Query;
use taskyard_core::refused::Refused;
use taskyard_core::status::Status;
use taskyard_engine::error::Error;
use taskyard_engine::services::tally;

use super::yard::{Yard, claim_call, claimed, settle};

const MINUTE: Duration = Duration::from_mins(1);

fn is_refused<T: std::fmt::Debug>(answer: &Result<T, Error>, why: &Refused) -> bool {
    matches!(answer, Err(Error::Refused(refused)) if refused == why)
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_told_that_there_is_nothing_any_more() {
    let yard = Yard::new();
    yard.worker("w", "work").await;
    let task = yard.submit("for-nobody").await.unwrap();
    let started = tokio::time::Instant::now();
    let engine = yard.engine.clone();
    let claim = tokio::spawn(async move { claimed(&engine, claim_call("w", MINUTE)).await });
    let engine = yard.engine.clone();
    let wait = tokio::spawn(async move { engine.task(task, MINUTE).await });
    settle().await;

    yard.engine.reset().await.unwrap();

    let (claim, wait) = (claim.await.unwrap(), wait.await.unwrap());
    assert!(is_refused(&claim, &Refused::NoSuchWorker), "{claim:?}");
    assert!(is_refused(&wait, &Refused::NoSuchTask), "{wait:?}");
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(yard.engine.load().waits, 0);
}

#[tokio::test(start_paused = true)]
async fn workers_register_again_and_what_they_had_is_refused() {
    let yard = Yard::new();
    let before = yard.worker("w", "work").await;
    yard.submit("work").await.unwrap();
    let run = yard.claim_one("w").await;

    yard.engine.reset().await.unwrap();

    let unknown = yard.claim("w", Duration::ZERO).await;
    assert!(is_refused(&unknown, &Refused::NoSuchWorker), "{unknown:?}");
    let late = yard.complete(&run).await.unwrap();
    assert_eq!(late.results, [Err(Refused::NoSuchTask)]);
    assert!(yard.worker("w", "work").await > before);
    let task = yard.submit("work").await.unwrap();
    let run = yard.claim_one("w").await;
    yard.complete(&run).await.unwrap();
    assert_eq!(yard.status(task).await, Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn what_happened_before_is_in_no_rate_of_after() {
    let yard = Yard::new();
    yard.submit("work").await.unwrap();

    yard.engine.reset().await.unwrap();

    tally::run_once(&yard.engine).await.unwrap();
    let minutes = || async {
        yard.engine
            .read(Query::Minutes { from: 0 })
            .await
            .unwrap()
            .minutes()
            .minutes
    };
    assert!(minutes().await.is_empty());
    yard.submit("work").await.unwrap();
    tally::run_once(&yard.engine).await.unwrap();
    let after = minutes().await;
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].events.counts[What::Submitted as usize], 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_beside_it_is_done_before_or_after_it() {
    let yard = Yard::new();
    let (first, reset, second) = tokio::join!(
        yard.submit("work"),
        yard.engine.reset(),
        yard.submit("work")
    );
    reset.unwrap();
    for task in [first.unwrap(), second.unwrap()] {
        let view = yard.engine.task(task, Duration::ZERO).await;
        let is_there = view.is_ok() || is_refused(&view, &Refused::NoSuchTask);
        assert!(is_there, "{view:?}");
    }
    let (one, other) = tokio::join!(yard.engine.reset(), yard.engine.reset());
    one.unwrap();
    other.unwrap();

    yard.stop.cancel();
    let stopping = yard.engine.reset().await;
    assert!(matches!(stopping, Err(Error::Stopping)), "{stopping:?}");
}
