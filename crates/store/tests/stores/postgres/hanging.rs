//! A database that says nothing: noticed in time, waited for by nobody for long, and used again as soon as it is back.

use std::sync::Arc;
use std::time::Duration;

use taskyard_core::query::Query;
use taskyard_core::store::{Cause, Error};
use taskyard_store::postgres;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::who_waits;
use crate::cluster::{Cluster, PATIENCE, Server, signal, until};
use crate::conformance::yard::Yard;
use crate::database::{Database, connect};

/// One that writes, four that read, one of the logs, one that looks after all.
const CONNECTIONS_MAX: i32 = 7;

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_says_nothing_is_trouble_and_well_again_by_itself() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let server = Server::at(&cluster.url()).await;
    server.submit().await.unwrap();

    cluster.pause();
    server.trouble().await;
    let is_given_up = |detail: &str| detail.contains("let nobody in");
    server.trouble_where(|away| is_given_up(&away.detail)).await;

    // The first ones wait until it is known. Whoever comes then is told at once: were all to wait until a connection is given
    // up, it would be twice the patience.
    let all_are_told = async {
        for _ in 0..20 {
            let ran = server.submit().await;
            assert!(matches!(ran, Err(Error::Unavailable(_))), "{ran:?}");
            let read = server.can_be_read().await;
            assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
        }
    };
    timeout(PATIENCE, all_are_told).await.unwrap();

    cluster.resume();
    server.submit_until_taken().await;
    server.well_again().await;
    assert_eq!(server.can_be_read().await, Ok(()));
    let connected = "select count(*) from pg_stat_activity where application_name = 'taskyard'";
    until(async || match cluster.ask(connected).parse::<i32>() {
        Ok(count) if count <= CONNECTIONS_MAX => Ok(()),
        count => Err(format!("{count:?} connections")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_has_no_room_for_connections_is_told_from_one_that_is_away() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    cluster.ask("create role narrow login");
    cluster.ask("create database narrow owner narrow");
    let url = cluster.url().replace("postgres@", "narrow@");
    let url = url.strip_suffix("postgres").unwrap().to_owned() + "narrow";
    let server = Server::at(&url).await;
    server.submit().await.unwrap();

    cluster.ask("alter role narrow connection limit 0");
    cluster.ask("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'narrow'");
    server
        .trouble_where(|away| away.cause == Cause::Crowded)
        .await;

    cluster.ask("alter role narrow connection limit -1");
    server.submit_until_taken().await;
    server.well_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_the_database_that_stands_still_costs_one_batch() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    // Until it is found and stopped, however long that takes.
    cluster.ask("alter role postgres set lock_timeout = '10min'");
    cluster.ask("alter role postgres set statement_timeout = '10min'");
    let server = Server::at_within(&cluster.url(), Duration::from_secs(12)).await;
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
        assert_eq!(server.trouble().await.cause, Cause::Silent);
        pid
    };
    let (ran, pid) = tokio::join!(server.submit(), trouble);

    assert!(matches!(ran, Err(Error::Unknown(_))), "{ran:?}");
    server.submit_until_taken().await;
    server.well_again().await;
    signal("CONT", &[pid]);
}

/// Until another process than these waits for a lock.
async fn another_waits(beside: &Client, than: &[i32]) -> i32 {
    let waiting = "select pid from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and pid <> all ($1)";
    until(async || {
        let row = beside.query_opt(waiting, &[&than]).await.unwrap();
        row.map(|row| row.get(0))
            .ok_or_else(|| "nobody waits".to_owned())
    })
    .await
}

#[tokio::test]
async fn a_question_that_nobody_waits_for_any_more_keeps_no_place() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let database = Arc::new(database);
    let yard = Yard::over(&database, &database.url()).await;
    let (mut client, beside) = (database.client().await, database.client().await);
    let holding = client.transaction().await.unwrap();
    let hold = "lock table outcome in access exclusive mode";
    holding.batch_execute(hold).await.unwrap();

    let ended = || yard.store.read(Query::Ended(vec![yard.task().id]));
    let mut left = Vec::new();
    for _ in 0..postgres::READERS {
        let pid = loop {
            tokio::select! {
                pid = another_waits(&beside, &left) => break pid,
                // The database gave up before it was seen.
                answer = ended() => assert!(answer.is_err(), "{answer:?}"),
            }
        };
        left.push(pid);
    }

    let asked = (0..postgres::READERS).map(|_| yard.store.read(Query::Queues));
    for asked in futures_util::future::join_all(asked).await {
        asked.unwrap();
    }
    // None of these answered by one that was left: the database gives up there, and finds that nobody is left.
    let live = "select count(*) from pg_stat_activity where pid = any ($1)";
    until(async || {
        let live: i64 = beside.query_one(live, &[&left]).await.unwrap().get(0);
        if live == 0 {
            Ok(())
        } else {
            Err(format!("{live} of {left:?} are there yet"))
        }
    })
    .await;
    holding.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_waits_for_a_lock_is_trouble_before_it_is_given_up() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let server = Server::at(&cluster.url()).await;
    server.submit().await.unwrap();
    let mut holder = connect(&cluster.url()).await;
    let holding = holder.transaction().await.unwrap();
    let hold = "lock table task in access exclusive mode";
    holding.batch_execute(hold).await.unwrap();

    let (ran, away) = tokio::join!(server.submit(), server.trouble());

    // On a machine that is busy what comes of it may be seen first.
    assert!([Cause::Silent, Cause::Held].contains(&away.cause), "{away}");
    assert!(
        matches!(&ran, Err(Error::Unavailable(away)) if away.cause == Cause::Held),
        "{ran:?}"
    );
    holding.rollback().await.unwrap();
    server.submit_until_taken().await;
    server.well_again().await;
}
