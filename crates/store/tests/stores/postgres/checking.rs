//! What `db check` and `db stats` say.

use std::sync::Arc;

use taskyard_core::id::TaskId;
use taskyard_core::verbs::submit::{Begin, NewTask};
use taskyard_store::postgres::{self, OpenError};

use crate::conformance::yard::{Yard, failed};
use crate::database::Database;
use crate::upgrading::latest_schema;

/// A yard where something stands everywhere, and its tasks: ready, scheduled, leased, ended, carried.
async fn used() -> Option<(Yard, Arc<Database>, [TaskId; 5])> {
    let database = Arc::new(Database::migrated().await?);
    let yard = Yard::over(&database, &database.url()).await;
    let worker = yard.worker("w").await;
    let carried = yard.new_task().await;
    let run = yard.claim_one(&worker).await;
    yard.report(&run, failed(true)).await.unwrap();
    let ended = yard.new_task().await;
    let run = yard.claim_one(&worker).await;
    yard.complete(&run).await.unwrap();
    let leased = yard.new_task().await;
    yard.claim_one(&worker).await;
    let ready = yard.new_task().await;
    let begin = Begin::After(std::time::Duration::from_secs(60));
    let scheduled = NewTask {
        begin,
        ..yard.task()
    };
    let scheduled = yard.submit(scheduled).await.unwrap();
    Some((yard, database, [ready, scheduled, leased, ended, carried]))
}

#[tokio::test]
async fn a_database_that_was_only_used_has_nothing_wrong() {
    let Some((_yard, database, _)) = used().await else {
        return;
    };

    assert_eq!(postgres::check(&database.url()).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_table_that_somebody_holds_is_not_waited_for_without_end() {
    let Some((_yard, database, _)) = used().await else {
        return;
    };
    let mut holder = database.client().await;
    let holding = holder.transaction().await.unwrap();
    let hold = "lock table task in access exclusive mode";
    holding.batch_execute(hold).await.unwrap();

    let url = database.url();
    let (checked, counted) = tokio::join!(postgres::check(&url), postgres::stats(&url));

    for refused in [checked.map(drop), counted.map(drop)] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, OpenError::Held { .. }), "{refused}");
        assert!(
            refused.to_string().contains("pg_blocking_pids"),
            "{refused}"
        );
    }
    holding.rollback().await.unwrap();
    assert_eq!(postgres::check(&url).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let Some((_yard, database, [ready, scheduled, leased, ended, carried])) = used().await else {
        return;
    };
    let client = database.client().await;
    for harm in [
        format!("delete from ready where task = '{ready}'"),
        format!(
            "insert into ready select lane, order_key, task, slot, false from scheduled where task = '{scheduled}'"
        ),
        "update lease set worker = 77".to_owned(),
        format!(
            "insert into ready select lane, order_key, id, 0, false from task where id = '{ended}'"
        ),
        format!("delete from carry where task = '{carried}'"),
        format!("update task set unique_key = 'k' where id in ('{leased}', '{carried}', '{ended}')"),
        format!(
            "insert into unique_key values ('default', 'k', '{leased}'), ('other', 'k', '{ended}')"
        ),
        format!("update task set unique_key = 'l' where id = '{carried}'"),
        format!("update task set input = '{{' where id = '{ready}'"),
        format!("update task set labels = '1' where id = '{ended}'"),
        format!("update task set origin = 99, timeout = -1 where id = '{scheduled}'"),
        "update lease set checkpoint = '{'".to_owned(),
        "update outcome set output = ''".to_owned(),
        "update carry set error_detail = 'x'; update attempt set error_detail = 'x'".to_owned(),
        "insert into queue (name, paused, timeout) values ('q', false, -5)".to_owned(),
        "insert into minute values (0, 2, 0, 1, 1, 1, 0, 0, 0, 0, '\\xff', '')".to_owned(),
        "update worker set kinds = '{}'; update lane set demands = 'gpu'".to_owned(),
        "insert into minute values (0, 1, 0, 1, 1, 1, 0, 0, 0, 0, '', ''), (0, 1, 77, 1, 1, 1, 0, 0, 0, 0, '', '')"
            .to_owned(),
        format!(
            "insert into operation values ('{ready}', 1, '{{}}', null, -1, 0, 0, null, false),
              ('{ended}', 1, '{{\"colour\":1}}', null, 0, 0, 0, null, false)"
        ),
    ] {
        client.batch_execute(&harm).await.unwrap();
    }

    let wrong = postgres::check(&database.url()).await.unwrap();

    let expected = [
        format!("task {ended} has ended and still stands somewhere"),
        format!("task {ready} stands nowhere"),
        format!("task {scheduled} stands in 2 places"),
        "lane 1, status 2: 1 tasks are counted and 2 are there".to_owned(),
        format!("task {carried} does not say rightly whether it brings something along"),
        format!("task {leased} is held by a worker that does not exist"),
        format!("task {carried} has a unique key that is not kept for it"),
        format!("task {ended} does not have the unique key that is kept for it"),
        "lane 77 does not exist, but it is kept what happened there".to_owned(),
        format!("operation {ready} has done -1 tasks and skipped 0"),
        format!("operation {ended} cannot be read: operation.filter cannot be {{\"colour\":1}}"),
        "what lane 1 requires cannot be read: damaged JSON".to_owned(),
        "queue q cannot be read: a duration in queue.timeout cannot be -5".to_owned(),
        "the kinds of worker w cannot be read: damaged JSON".to_owned(),
        "what happened on lane 0 in minute 2 cannot be read: buckets of durations in waits cannot be these bytes".to_owned(),
        format!("the input of task {ready} cannot be read: damaged JSON"),
        format!("the labels of task {ended} cannot be read: damaged JSON"),
        format!("the checkpoint of task {leased} cannot be read: damaged JSON"),
        format!("the output of task {ended} cannot be read: damaged JSON"),
        format!("the error of an earlier run of task {carried} cannot be read: damaged JSON"),
        format!("task {scheduled} cannot be read: a duration in timeout cannot be -1"),
    ];
    assert_eq!(wrong, expected);
}

#[tokio::test]
async fn what_cannot_be_read_keeps_nothing_else_from_being_named() {
    let Some((_yard, database, [ready, _, leased, ..])) = used().await else {
        return;
    };
    // No id has this version.
    let [old, older] = ["1", "2"].map(|end| format!("00000000-0000-4000-8000-00000000000{end}"));
    let harm = format!(
        "update task set id = '{old}' where id = '{ready}'; update ready set task = '{old}' where task = '{ready}';
        update ready set has_carry = true where task = '{old}';
        insert into operation values ('{older}', 1, '{{}}', null, 0, 0, 0, null, false);
        update lease set checkpoint = '{{'"
    );
    database.client().await.batch_execute(&harm).await.unwrap();

    let wrong = postgres::check(&database.url()).await.unwrap();

    let expected = [
        format!("task {old} does not say rightly whether it brings something along"),
        format!("operation {older} cannot be read: a task's id in id cannot be {older}"),
        format!("the input of task {old} cannot be read: that is no task's id"),
        format!("the checkpoint of task {leased} cannot be read: damaged JSON"),
    ];
    assert_eq!(wrong, expected);
}

#[tokio::test]
async fn stats_count_the_rows() {
    let Some((yard, database, _)) = used().await else {
        return;
    };

    let stats = postgres::stats(&database.url()).await.unwrap();

    assert_eq!(usize::try_from(stats.schema), Ok(latest_schema()));
    assert_eq!(stats.incarnation, yard.store.incarnation());
    assert!(stats.bytes > 1_000_000);
    let rows = |table: &str| {
        stats
            .tables
            .iter()
            .find(|(name, _)| name == table)
            .unwrap()
            .1
    };
    assert_eq!((rows("task"), rows("lease"), rows("outcome")), (5, 1, 1));
    assert_eq!((rows("ready"), rows("scheduled"), rows("carry")), (1, 2, 1));
}

#[tokio::test]
async fn an_empty_database_is_neither_checked_nor_made() {
    let Some(database) = Database::empty().await else {
        return;
    };

    let error = postgres::check(&database.url()).await.unwrap_err();

    assert!(matches!(error, OpenError::Empty { .. }), "{error}");
    let error = postgres::stats(&database.url()).await.unwrap_err();
    assert!(matches!(error, OpenError::Empty { .. }), "{error}");
}
