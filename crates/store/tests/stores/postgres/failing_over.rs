//! Several hosts that hold one database: the one that takes writes is found, also when it changes, and an old one is left
//! alone.

use std::time::Duration;

use taskyard_core::store::{Away, Cause, Error, Store};
use taskyard_store::postgres::{OpenError, PostgresStore};
use tokio::time::Instant;
use tokio_postgres::SimpleQueryMessage;

use super::options;
use crate::cluster::{Cluster, Server, caught_up, has, until, url_of};
use crate::database::connect;

const STANDING: &str = include_str!("../../../sql/postgres/standing.sql");

/// A primary and a standby of it.
fn pair() -> Option<(Cluster, Cluster)> {
    let primary = Cluster::new()?;
    let standby = primary.standby();
    Some((primary, standby))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_hosts_the_one_that_takes_writes_is_found() {
    let Some((primary, standby)) = pair() else {
        return;
    };

    let server = Server::at(&url_of(&[&standby, &primary])).await;

    let task = server.submit().await.unwrap();
    assert!(has(&primary, task));
    let alone = PostgresStore::connect(&standby.url(), options()).await;
    assert!(matches!(alone, Err(OpenError::ReadOnly { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_moves_over_to_a_standby_that_is_promoted_and_the_old_primary_is_refused() {
    let Some((mut old, mut new)) = pair() else {
        return;
    };
    let server = Server::at(&url_of(&[&old, &new])).await;
    let before = server.submit().await.unwrap();
    caught_up(&old, &new).await;

    old.kill();
    let away = server.trouble().await;
    // Of the one there is nothing, and the other is a standby yet.
    let causes = [Cause::Unreachable, Cause::ReadOnly];
    assert!(causes.contains(&away.cause), "{away}");
    new.promote();
    let moved = server.submit_until_taken().await;
    assert!(has(&new, before) && has(&new, moved));
    assert_eq!(server.can_be_read().await, Ok(()));

    // It takes writes as if nothing had happened.
    old.start();
    let after = server.submit().await.unwrap();
    assert!(has(&new, after) && !has(&old, after));
    new.stop();
    let is_refused = |away: &Away| away.cause == Cause::Superseded;
    let away = server.refused_where(is_refused).await;
    assert!(away.detail.contains("timeline 2 was seen"), "{away}");
    let read = server.can_be_read().await;
    assert!(
        matches!(&read, Err(Error::Unavailable(away)) if is_refused(away)),
        "{read:?}"
    );
    server.trouble_where(is_refused).await;

    new.start();
    let again = server.submit_until_taken().await;
    assert!(has(&new, again));
    assert_eq!(old.ask("select count(*) from task"), "1");
}

/// As when its machine is gone, or the network to it: connections to it are not refused, they hang.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_says_nothing_is_given_up_and_left_for_the_standby() {
    let Some((old, new)) = pair() else {
        return;
    };
    let server = Server::at(&url_of(&[&old, &new])).await;
    server.submit().await.unwrap();
    caught_up(&old, &new).await;

    old.pause();
    // Though the standby answers.
    server
        .trouble_where(|away| away.detail.contains("is a standby"))
        .await;
    let begun = Instant::now();
    for _ in 0..20 {
        assert!(matches!(server.submit().await, Err(Error::Unavailable(_))));
        let read = server.can_be_read().await;
        assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
    }
    // None of them waits for the one that says nothing, which would take 3 s each time.
    let told = begun.elapsed();
    assert!(told < Duration::from_secs(20), "{told:?}");

    new.promote();
    let task = server.submit_until_taken().await;
    assert!(has(&new, task));
}

/// What was written last is lost, as without `synchronous_standby_names`: what the server knows by heart may be as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_the_new_primary_lacks_is_made_again() {
    let Some((mut old, mut new)) = pair() else {
        return;
    };
    let server = Server::at(&url_of(&[&old, &new])).await;
    caught_up(&old, &new).await;
    new.stop();
    server.submit().await.unwrap();
    old.stop_at_once();
    new.start();
    new.promote();

    let task = server.submit_until_taken().await;

    let found = format!(
        "select lane.kind from task join lane on lane.number = task.lane where task.id = '{task}'"
    );
    assert_eq!(new.ask(&found), "work");
    assert_eq!(server.store.moves(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_is_left_that_answers_yet_when_another_has_taken_its_place() {
    let Some((old, new)) = pair() else {
        return;
    };
    let server = Server::at(&url_of(&[&old, &new])).await;
    server.submit().await.unwrap();
    caught_up(&old, &new).await;

    new.promote();

    let task = until(async || {
        let task = server.submit_until_taken().await;
        if has(&new, task) {
            Ok(task)
        } else {
            Err(new.log())
        }
    })
    .await;
    assert!(!has(&old, task));
    // Those that look at it now and then come and go.
    let connected = "select count(*) from pg_stat_activity where application_name = 'taskyard'";
    until(async || match old.ask(connected).as_str() {
        "0" => Ok(()),
        count => Err(format!("{count} are left")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_finds_the_newest_of_two_primaries() {
    let Some((old, new)) = pair() else {
        return;
    };
    drop(Server::at(&old.url()).await);
    caught_up(&old, &new).await;
    new.promote();

    let server = Server::at(&url_of(&[&old, &new])).await;

    let task = server.submit().await.unwrap();
    assert!(has(&new, task) && !has(&old, task));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_is_not_taken_for_a_copy() {
    let Some((mut one, other)) = Cluster::new().zip(Cluster::new()) else {
        return;
    };
    let server = Server::at(&url_of(&[&one, &other])).await;
    let task = server.submit().await.unwrap();
    assert!(has(&one, task));

    one.stop();

    let is_refused = |away: &Away| away.detail.contains("another cluster");
    server.refused_where(is_refused).await;
    one.start();
    server.submit_until_taken().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_role_may_ask_for_all_that_tells_an_old_primary() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    cluster.ask("create role ordinary login");
    let url = cluster.url().replace("//postgres@", "//ordinary@");
    let client = connect(&url).await;

    let rows = client.simple_query(STANDING).await.unwrap();

    let Some(SimpleQueryMessage::Row(row)) = rows
        .iter()
        .find(|message| matches!(message, SimpleQueryMessage::Row(_)))
    else {
        panic!("there is no row")
    };
    assert_eq!(
        [row.get(0), row.get(1), row.get(2)],
        ["f", "off", "00000001"].map(Some)
    );
    assert_eq!(row.get(3), Some("1"));
    assert!(row.get(4).is_some());
}
