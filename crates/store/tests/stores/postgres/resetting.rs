//! Taking everything away from a database that several servers may share.

use std::sync::Arc;
use std::time::Duration;

use taskyard_core::random::Seeded;
use taskyard_core::refused::Refused;
use taskyard_core::verbs::join::{Join, Joined};
use taskyard_store::postgres::{self, OpenError};

use super::who_waits;
use crate::conformance::yard::Yard;
use crate::database::Database;

pub(super) async fn join(yard: &Yard) {
    let join = Join {
        held: None,
        alone: false,
    };
    let Joined { server, .. } = yard.run(join).await.unwrap();
    yard.store.count_as(server.number);
}

/// Every table that has rows.
async fn not_empty(database: &Database) -> Vec<String> {
    let tables = postgres::stats(&database.url()).await.unwrap().tables;
    let filled = tables.into_iter().filter(|(_, rows)| *rows > 0);
    filled.map(|(table, _)| table).collect()
}

#[tokio::test]
async fn nothing_is_taken_away_beside_another_server_that_is_up() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let database = Arc::new(database);
    let (one, other) = (
        Yard::over(&database, &database.url()).await,
        Yard::over(&database, &database.url()).await,
    );
    join(&one).await;
    join(&other).await;
    let task = one.new_task().await;
    let before = one.store.incarnation();

    let refused = one.store.reset().await.unwrap();

    let Err(Refused::OthersUp {
        servers: 1,
        seconds,
    }) = refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!(Duration::from_secs(seconds - 1), one.policy.server_ttl);
    assert_eq!(one.view(task).await.task.id, task);
    assert_eq!(one.store.incarnation(), before);
    // It says nothing for so long that it is taken for gone.
    one.pass(one.policy.server_ttl);
    one.store.reset().await.unwrap().unwrap();
    assert_eq!(not_empty(&database).await, ["lane", "meta", "server"]);
}

#[tokio::test]
async fn a_server_that_was_cut_off_meanwhile_knows_before_its_next_batch() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let database = Arc::new(database);
    let one = Yard::over(&database, &database.url()).await;
    let other = Yard::over(&database, &database.url())
        .await
        .counting_from(1000);
    let worker = other.worker("w").await;
    other.new_task().await;
    let run = other.claim_one(&worker).await;
    let cut_off = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()";
    let client = database.client().await;
    client.batch_execute(cut_off).await.unwrap();

    one.store.reset().await.unwrap().unwrap();

    let gone = other.complete(&run).await;
    assert_eq!(gone, Err(Refused::NoSuchTask));
    assert_eq!(other.store.incarnation(), one.store.incarnation());
    assert_eq!(
        other.hand(&worker, 1).await.unwrap_err(),
        Refused::NoSuchWorker
    );
    // What it remembers of lanes holds still.
    let (task, worker) = (other.new_task().await, one.worker("w").await);
    assert_eq!(one.claim_one(&worker).await.slot.task, task);
    let found = postgres::check(&database.url()).await.unwrap();
    assert_eq!(found, Vec::<String>::new());
}

#[tokio::test]
async fn killed_half_way_everything_is_there_and_done_again_nothing() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let database = Arc::new(database);
    let yard = Arc::new(Yard::over(&database, &database.url()).await);
    let task = yard.new_task().await;
    let (mut reader, beside) = (database.client().await, database.client().await);
    // Somebody reads for long, and the last of it waits for them.
    let reading = reader.transaction().await.unwrap();
    reading.query("select from worker", &[]).await.unwrap();
    let resetting = {
        let yard = Arc::clone(&yard);
        tokio::spawn(async move { yard.store.reset().await })
    };
    let pid = who_waits(&beside, database.name(), "truncate").await;

    let killed = beside
        .query("select pg_terminate_backend($1)", &[&pid])
        .await;
    killed.unwrap();

    assert!(resetting.await.unwrap().is_err());
    drop(reading);
    assert_eq!(yard.view(task).await.task.id, task);
    yard.store.reset().await.unwrap().unwrap();
    assert_eq!(not_empty(&database).await, ["lane", "meta"]);
}

#[tokio::test]
async fn a_database_is_emptied_once_no_server_says_that_it_is_up() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let database = Arc::new(database);
    let yard = Yard::by_the_clock_of(&database).await;
    join(&yard).await;
    let before = yard.store.incarnation();
    yard.worker("w").await;
    let reset = async || postgres::reset(&database.url(), &mut Seeded::new(9)).await;

    let refused = reset().await;
    let client = database.client().await;
    client
        .batch_execute("update server set expires_at = 0")
        .await
        .unwrap();
    reset().await.unwrap();
    reset().await.unwrap();

    assert!(
        matches!(refused, Err(OpenError::InUse { servers: 1, .. })),
        "{refused:?}"
    );
    assert_eq!(not_empty(&database).await, ["meta", "server"]);
    let after = postgres::stats(&database.url()).await.unwrap().incarnation;
    assert_ne!(after, before);
}
