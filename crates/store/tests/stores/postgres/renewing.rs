//! What `db renew` does to a database that PostgreSQL's own tools put back.

use std::sync::Arc;

use taskyard_core::random::Seeded;
use taskyard_core::store::Store;
use taskyard_core::verbs::submit::NewTask;
use taskyard_store::postgres::{self, OpenError};

use super::options;
use crate::conformance::yard::{Yard, lane};
use crate::database::Database;

#[tokio::test]
async fn a_database_is_renewed_once_no_server_says_that_it_is_up() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let store = database.store(options()).await;
    let before = store.incarnation();
    let client = database.client().await;
    let up_for = async |seconds: i64| {
        let row = format!(
            "delete from server; insert into server (number, started_at, expires_at)
             select 1, 0, (extract(epoch from clock_timestamp()) * 1000000)::bigint + {seconds} * 1000000"
        );
        client.batch_execute(&row).await.unwrap();
    };
    let renew = async || postgres::renew(&database.url(), &mut Seeded::new(9)).await;

    up_for(30).await;
    let refused = renew().await;
    let kept = database.store(options()).await.incarnation();
    up_for(-1).await;
    renew().await.unwrap();
    let after = database.store(options()).await.incarnation();

    let Err(OpenError::InUse {
        servers, seconds, ..
    }) = refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!(servers, 1);
    assert!((1..=31).contains(&seconds), "{seconds}");
    assert_eq!(kept, before);
    assert_ne!(after, before);
}

/// As where a dump is put back that was taken before two kinds were first used, and another server uses a third one first.
#[tokio::test]
async fn a_server_that_was_cut_off_meanwhile_learns_what_lanes_are_numbered_by_there() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let database = Arc::new(database);
    let cut_off = Yard::over(&database, &database.url()).await;
    let of_kind = |kind: &str, yard: &Yard| NewTask {
        lane: lane("default", kind, None),
        ..yard.task()
    };
    for kind in ["one", "two", "three"] {
        cut_off.submit(of_kind(kind, &cut_off)).await.unwrap();
    }
    let put_back = "
        delete from task; delete from ready; delete from counter;
        delete from lane where kind in ('two', 'three');
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()";
    let client = database.client().await;
    client.batch_execute(put_back).await.unwrap();
    postgres::renew(&database.url(), &mut Seeded::new(9))
        .await
        .unwrap();
    let other = Yard::over(&database, &database.url())
        .await
        .counting_from(1000);
    let dangerous = of_kind("danger", &other);
    other.submit(dangerous).await.unwrap();

    for kind in ["two", "three", "one"] {
        let task = cut_off.submit(of_kind(kind, &cut_off)).await.unwrap();

        for yard in [&cut_off, &other] {
            assert_eq!(yard.view(task).await.lane.kind.as_str(), kind);
        }
    }
    let found = postgres::check(&database.url()).await.unwrap();
    assert_eq!(found, Vec::<String>::new());
}
