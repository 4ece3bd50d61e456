//! What is true by way of a pooler that gives each transaction another connection. That everything works there is tried by
//! the conformance suite.

use taskyard_core::store::{Cause, Error};
use taskyard_store::postgres::{self, OpenError, Options, PostgresStore};
use tokio_postgres::SimpleQueryMessage;

use super::options;
use crate::cluster::{Cluster, Server, caught_up, has, signal};
use crate::database::{Database, connect};
use crate::pooler::{Pooler, text_of};

fn pooled() -> Options {
    Options {
        pooled: true,
        ..options()
    }
}

/// From here on its connections are to this server; those that there were are closed as they come back.
fn lead(pooler: &Pooler, server: &str) {
    let directory = pooler.directory.path();
    let text = text_of(server, directory, pooler.connections);
    std::fs::write(directory.join("pgbouncer.ini"), text).unwrap();
    let process = std::fs::read_to_string(directory.join("pid")).unwrap();
    signal("HUP", &[process.trim().parse().unwrap()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_where_the_pooler_leads_to_another_host_than_before() {
    let Some(old) = Cluster::new() else {
        return;
    };
    let new = old.standby();
    let Some(pooler) = Pooler::before(&old.url()) else {
        return;
    };
    let server = Server::by(&pooler.url("postgres"), pooled()).await;
    server.submit().await.unwrap();
    caught_up(&old, &new).await;

    // Both take writes from here on, as where the old primary is cut off from whoever looks after them.
    new.promote();
    lead(&pooler, &new.url());
    let moved = loop {
        let task = server.submit_until_taken().await;
        if has(&new, task) {
            break task;
        }
    };
    assert!(!has(&old, moved));

    lead(&pooler, &old.url());
    let refused = loop {
        match server.submit().await {
            Ok(task) => assert!(!has(&old, task), "it was taken by an old primary"),
            Err(Error::Unavailable(away)) if away.cause == Cause::Superseded => break away,
            Err(error) => assert!(matches!(error, Error::Unavailable(_)), "{error}"),
        }
    };
    assert!(refused.detail.contains("timeline 2 was seen"), "{refused}");
    lead(&pooler, &new.url());
    let task = server.submit_until_taken().await;
    assert!(has(&new, task));
    assert_eq!(server.can_be_read().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_made_by_way_of_a_pooler_by_many_at_once() {
    let Some(database) = Database::empty().await else {
        return;
    };
    // One transaction at a time: whoever held anything from one to the next would wait for itself.
    let Some(pooler) = Pooler::with(database.server(), 1) else {
        return;
    };
    let url = pooler.url(database.name());

    let starting: Vec<_> = (0..3)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { PostgresStore::connect(&url, pooled()).await.map(drop) })
        })
        .collect();

    for started in starting {
        started.await.unwrap().unwrap();
    }
    assert_eq!(postgres::check(&url).await.unwrap(), [""; 0]);
    assert!(postgres::stats(&url).await.unwrap().schema > 0);
    let mut random = taskyard_core::random::Seeded::new(2);
    postgres::renew(&url, &mut random).await.unwrap();
    postgres::reset(&url, &mut random).await.unwrap();
    postgres::migrate(&url, &mut random).await.unwrap();
    assert_eq!(pooler.kept(database.name()).await, [""; 0]);
}

#[tokio::test]
async fn options_that_a_pooler_does_not_pass_on_are_refused() {
    let url = "postgresql://me:secret@db/yard?options=-c%20search_path%3Dtheirs";

    let refused = postgres::check_pooled(url).unwrap_err();

    assert!(matches!(refused, OpenError::PooledOptions { .. }));
    let said = refused.to_string();
    assert!(
        said.contains("alter role") && !said.contains("secret"),
        "{said}"
    );
    postgres::check_address(url).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_prepares_statements_behind_a_pooler_is_told_how_to_go_without() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let Some(pooler) = Pooler::with(database.server(), 1) else {
        return;
    };
    let url = pooler.url(database.name());
    // As another server would name them that came before. In one process they are counted over all connections.
    let next = next_name(&database).await;
    let other = connect(&url).await;
    let names = next..next + NAMES_TAKEN;
    let prepare = names.map(|number| format!("prepare s{number} as select 1;"));
    let prepare: String = prepare.collect();
    other.batch_execute(&prepare).await.unwrap();

    let Err(error) = PostgresStore::connect(&url, options()).await else {
        panic!("the names of its statements are taken");
    };

    assert!(
        error.to_string().contains("start Taskyard with --pooled"),
        "{error}"
    );
    drop(PostgresStore::connect(&url, pooled()).await.unwrap());
}

/// More than other tests may use meanwhile.
const NAMES_TAKEN: u64 = 5000;

/// By which number the driver names the statement that is prepared next.
async fn next_name(database: &Database) -> u64 {
    let client = database.client().await;
    let _statement = client.prepare("select 1").await.unwrap();
    let name = "select name from pg_prepared_statements where name ~ '^s[0-9]+$'";
    let rows = client.simple_query(name).await.unwrap();
    let name = rows.iter().find_map(|row| match row {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    name.unwrap()[1..].parse::<u64>().unwrap() + 1
}
