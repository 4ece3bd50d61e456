//! A database that says nothing: noticed in time, waited for by nobody for long, and used again as soon as it is back.

use std::sync::Arc;
use std::time::Duration;

use taskyard_core::query::Query;
use taskyard_core::store::{Cause, Error, Store};
use tokio::time::{Instant, timeout};

use super::who_waits;
use crate::cluster::{Cluster, Server, signal};
use crate::conformance::yard::Yard;
use crate::database::{Database, connect};

const IN_TIME: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_says_nothing_is_trouble_in_time_and_well_again_soon() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let server = Server::at(&cluster.url()).await;
    server.submit().await.unwrap();

    cluster.pause();
    let (away, after) = server.trouble().await;
    assert!(after < IN_TIME, "{away} after {after:?}");

    // Whoever comes once it is known is told at once; the first ones wait until it is.
    while server
        .store
        .trouble()
        .is_some_and(|error| !error.to_string().contains("let nobody in"))
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let begun = Instant::now();
    for _ in 0..20 {
        assert!(matches!(server.submit().await, Err(Error::Unavailable(_))));
        assert!(matches!(
            server.can_be_read().await,
            Err(Error::Unavailable(_))
        ));
    }
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );

    cluster.resume();
    let begun = Instant::now();
    server.submit_until_taken().await;
    let well = server.well_again().await;
    assert!(begun.elapsed() < IN_TIME, "{:?}, {well:?}", begun.elapsed());
    assert_eq!(server.can_be_read().await, Ok(()));
    let connected = "select count(*) from pg_stat_activity where application_name = 'taskyard'";
    let count: i32 = cluster.ask(connected).parse().unwrap();
    // One that writes, four that read, one of the logs, one that looks after all; and what is just ending.
    assert!(count <= 10, "{count}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_the_database_that_stands_still_costs_one_batch() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let server = Server::at_within(&cluster.url(), Duration::from_secs(4)).await;
    server.submit().await.unwrap();
    let (mut holder, beside) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    let holding = holder.transaction().await.unwrap();
    let hold = "lock table task in exclusive mode";
    holding.batch_execute(hold).await.unwrap();

    let trouble = async {
        let pid = who_waits(&beside, "postgres", "task").await;
        let pid = u32::try_from(pid).unwrap();
        signal("STOP", &[pid]);
        holding.rollback().await.unwrap();
        let (away, after) = server.trouble().await;
        assert_eq!(away.cause, Cause::Silent);
        assert!(after < IN_TIME, "{after:?}");
        pid
    };
    let (ran, pid) = tokio::join!(server.submit(), trouble);

    assert!(matches!(ran, Err(Error::Unknown(_))), "{ran:?}");
    server.submit_until_taken().await;
    assert_eq!(server.store.trouble(), None);
    signal("CONT", &[pid]);
}

#[tokio::test]
async fn a_question_that_nobody_waits_for_any_more_keeps_no_place() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let database = Arc::new(database);
    let yard = Yard::over(&database, &database.url()).await;
    let mut client = database.client().await;
    let holding = client.transaction().await.unwrap();
    let hold = "lock table outcome in access exclusive mode";
    holding.batch_execute(hold).await.unwrap();

    let ended = || yard.store.read(Query::Ended(vec![yard.task().id]));
    let asked = (0..4).map(|_| timeout(Duration::from_millis(300), ended()));
    for asked in futures_util::future::join_all(asked).await {
        assert!(asked.is_err(), "it waits for the lock: {asked:?}");
    }

    // Sooner than the database gives up what was left there.
    let begun = Instant::now();
    let asked = (0..4).map(|_| yard.store.read(Query::Queues));
    for asked in futures_util::future::join_all(asked).await {
        asked.unwrap();
    }
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    holding.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_waits_for_a_lock_is_trouble_in_time() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let server = Server::at(&cluster.url()).await;
    server.submit().await.unwrap();
    let mut holder = connect(&cluster.url()).await;
    let holding = holder.transaction().await.unwrap();
    let hold = "lock table task in access exclusive mode";
    holding.batch_execute(hold).await.unwrap();

    let (ran, (away, after)) = tokio::join!(server.submit(), server.trouble());

    assert_eq!(away.cause, Cause::Silent);
    assert!(after < IN_TIME, "{after:?}");
    assert!(
        matches!(&ran, Err(Error::Unavailable(away)) if away.cause == Cause::Held),
        "{ran:?}"
    );
    holding.rollback().await.unwrap();
    server.submit().await.unwrap();
    assert_eq!(server.store.trouble(), None);
}
