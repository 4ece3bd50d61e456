//! `/health` and `/ready`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use taskyard_core::store::{Cause, Error};

use crate::trouble::{Broken, Stuck};
use crate::yard::{Clock, Yard};

#[tokio::test]
async fn health_tells_of_the_database_and_the_workers() {
    let yard = Yard::new();
    yard.worker("gone").await;
    yard.pass(Duration::from_secs(31));
    yard.worker("here").await;

    insta::assert_json_snapshot!(yard.get("/health").await.ok());
}

#[tokio::test]
async fn a_server_is_ready_from_when_it_has_started_until_it_stops() {
    let yard = Yard::new();

    let before = yard.get("/ready").await;
    yard.app.started();
    let started = yard.get("/ready").await;
    yard.stop.cancel();
    let stopping = yard.get("/ready").await;

    let told = |reply: &crate::yard::Reply| (reply.status.as_u16(), reply.json().to_string());
    let waits = |what: &str| (503, format!(r#"{{"message":"{what}","ready":false}}"#));
    assert_eq!(told(&before), waits("starting"));
    assert_eq!(
        told(&started),
        (200, r#"{"message":null,"ready":true}"#.to_owned())
    );
    assert_eq!(told(&stopping), waits("stopping"));
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_neither_well_nor_ready() {
    let (yard, _) = Broken::yard(|| taskyard_core::store::Error::Full);
    yard.app.started();

    let health = yard.get("/health").await;
    let ready = yard.get("/ready").await;

    assert_eq!((health.status.as_u16(), ready.status.as_u16()), (503, 503));
    let database = &health.json()["database"];
    assert_eq!(
        database["message"],
        "the disk that holds the database is full"
    );
    assert_eq!(ready.json()["message"], database["message"]);
}

#[tokio::test]
async fn what_keeps_the_database_away_is_told_without_naming_it() {
    for (how, said) in [
        (
            (|| away(Cause::Moved)) as fn() -> Error,
            "moved, deleted or replaced",
        ),
        (|| away(Cause::Unreachable), "cannot be reached"),
        (|| away(Cause::Crowded), "no room"),
        (|| away(Cause::Held), "holds a lock"),
        (|| away(Cause::ReadOnly), "takes no writes"),
        (|| away(Cause::Silent), "does not answer"),
        (|| away(Cause::Superseded), "an old primary"),
        (|| away(Cause::Newer), "a newer version of Taskyard"),
        (|| away(Cause::Other), "is not available"),
    ] {
        let (yard, _) = Broken::yard(how);
        yard.app.started();

        let ready = yard.get("/ready").await;

        assert_eq!(ready.status.as_u16(), 503);
        let told = ready.json()["message"].to_string();
        assert!(told.contains(said) && !told.contains("10.0.0.7"), "{told}");
        let workers = &yard.get("/health").await.json()["workers"];
        assert_eq!(*workers, json!({"online": null, "offline": null}));
    }
}

fn away(cause: Cause) -> Error {
    Error::Unavailable(cause.with("postgres://ann:s3cret@10.0.0.7/"))
}

#[tokio::test(start_paused = true)]
async fn a_write_that_failed_a_moment_ago_makes_a_server_unready_though_the_database_looks_well() {
    let yard = Broken::readable_yard(|| taskyard_core::store::Error::Full);
    yard.app.started();
    let ready = async || yard.get("/ready").await.status.as_u16();
    assert_eq!(ready().await, 200);

    yard.post("/api/v1/tasks", &json!({"kind": "echo", "input": 1}))
        .await
        .refused(507, "disk_full");
    assert_eq!(
        (ready().await, yard.get("/health").await.status.as_u16()),
        (503, 503),
        "what was found before is out of date"
    );
    tokio::time::advance(Duration::from_secs(10)).await;
    let after = ready().await;
    tokio::time::advance(Duration::from_secs(30)).await;

    // If nothing at all comes to be written, it cannot show that it is well again.
    assert_eq!((after, ready().await), (503, 200));
}

#[tokio::test(start_paused = true)]
async fn what_was_found_is_good_for_a_second() {
    let (yard, reads) = Broken::yard(|| taskyard_core::store::Error::Conflict);

    for _ in 0..100 {
        yard.get("/health").await;
    }
    let first = reads.load(Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(1)).await;
    yard.get("/health").await;

    assert_eq!((first, reads.load(Ordering::SeqCst)), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn a_probe_waits_two_seconds_for_a_database_that_says_nothing() {
    let yard = Yard::around(Stuck::store(), Clock::new(), |_| {});
    let began = tokio::time::Instant::now();

    let health = yard.get("/health").await;

    assert_eq!(began.elapsed(), Duration::from_secs(2));
    assert_eq!(health.status.as_u16(), 503);
    let database = &health.json()["database"];
    assert_eq!(database["message"], "the database does not answer");
}
