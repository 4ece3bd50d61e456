//! Tables that are brought up to date while servers work on them, and those of a version that this program does not know.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use taskyard_core::log::{Append, Limits, Line, Owner, Position, Stream, Wanted};
use taskyard_core::query::Query;
use taskyard_core::rows::Failure;
use taskyard_core::status::Status;
use taskyard_core::store::{Cause, Error};
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::report::Word;
use taskyard_store::postgres::{self, PostgresStore};
use tokio::time::timeout;
use tokio_postgres::Client;

use super::{options, who_waits};
use crate::cluster::{PATIENCE, until};
use crate::conformance::yard::{Yard, ids};
use crate::database::Database;
use crate::upgrading::{latest_schema, of_an_older_version};

/// What the next version may do beside this one: columns, a table, an index, codes.
const ONE_STEP_AHEAD: &str = "
    alter table meta add column future text;
    alter table server add column future text;
    alter table worker add column future text default 'x';
    alter table lane add column future int;
    alter table task add column future jsonb;
    alter table ready add column future bigint;
    alter table scheduled add column future bigint;
    alter table lease add column future uuid;
    alter table carry add column future text;
    alter table outcome add column future text;
    alter table attempt add column future text;
    alter table counter add column future bigint not null default 0;
    alter table minute add column future bigint;
    alter table queue add column future boolean not null default false;
    alter table operation add column future text;
    alter table unique_key add column future text;
    alter table idempotency add column future text;
    alter table late_result add column future text;
    alter table log_run add column future text;
    alter table log_chunk add column future text;
    create table gate (task uuid primary key, opens_at bigint);
    create index outcome_by_future on outcome (ended_at);
    update meta set schema = schema + 1";

/// A migration that waits for whoever reads tasks.
const TASK_BY_LANE: usize = 16;

async fn schema(client: &Client) -> i32 {
    let row = client.query_one("select schema from meta", &[]).await;
    row.unwrap().get(0)
}

/// A task from its submission to its end, by way of a failure, a log and a lost lease; and all that is asked of it.
async fn a_whole_life(yard: &Yard, by: &str) {
    let worker = yard.worker(by).await;
    let (first, second) = (yard.new_task().await, yard.new_task().await);
    let runs = yard.claim(&worker, 5).await;
    assert_eq!(ids(&runs), [first, second]);
    let error = Failure::new("oops", "it broke");
    let failed = Word::Failed { error, retry: true };
    assert_eq!(yard.report(&runs[0], failed).await, Ok(Status::Scheduled));
    let owner = Owner {
        run: runs[1].slot.run(runs[1].fence),
        attempt: 1,
        claimed_at: Timestamp::default(),
    };
    let line = Line {
        at: Timestamp::default(),
        stream: Stream::Stdout,
        text: "said".to_owned(),
    };
    let append = Append {
        owner,
        first: None,
        lines: vec![line],
        limits: Limits {
            bytes_max: 1000,
            line_bytes_max: 100,
        },
    };
    yard.store.logs().append(append).await.unwrap();
    assert_eq!(yard.complete(&runs[1]).await, Ok(Status::Completed));
    assert!(yard.complete(&runs[1]).await.is_ok(), "the same again");
    yard.pass(Duration::from_mins(1));
    assert_eq!(yard.promote().await, 1);
    let again = yard.claim_one(&worker).await;
    assert_eq!(again.slot.task, first);
    assert_eq!(yard.complete(&again).await, Ok(Status::Completed));
    assert_eq!(yard.attempts(first).await.0.len(), 1);

    let cancelled = yard.new_task().await;
    yard.cancel(cancelled).await.unwrap();
    assert_eq!(yard.status(cancelled).await, Status::Cancelled);
    yard.sweep(false).await;
    for query in [
        Query::Counts,
        Query::Queues,
        Query::Sums { names: 10 },
        Query::OpenOperations { limit: 10 },
        Query::Ping,
    ] {
        yard.store.read(query).await.unwrap();
    }
    let wanted = Wanted {
        task: second,
        after: Position::default(),
        attempt: None,
        stream: None,
        limit: 10,
    };
    let page = yard.store.logs().page(wanted).await.unwrap();
    assert_eq!(page.lines.len(), 1);
}

#[tokio::test]
async fn servers_of_before_and_of_now_work_on_tables_that_are_one_step_ahead() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let database = Arc::new(database);
    let client = database.client().await;
    let before = Yard::over(&database, &database.url()).await;
    // With all that it has prepared by then.
    a_whole_life(&before, "before").await;

    client.batch_execute(ONE_STEP_AHEAD).await.unwrap();
    let ahead = schema(&client).await;

    a_whole_life(&before, "before").await;
    let now = Yard::over(&database, &database.url()).await;
    let now = now.counting_from(1_000_000);
    a_whole_life(&now, "now").await;
    // What one made the other takes.
    let task = now.new_task().await;
    let worker = before.worker("before").await;
    before.store.unsure(None);
    assert_eq!(before.claim_one(&worker).await.slot.task, task);
    assert_eq!(schema(&client).await, ahead);
    assert_eq!(usize::try_from(ahead), Ok(latest_schema() + 1));
}

/// A status, or an origin, of the next version.
#[tokio::test]
async fn a_code_that_is_not_known_costs_its_own_task_and_no_other() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let database = Arc::new(database);
    let client = database.client().await;
    let yard = Yard::over(&database, &database.url()).await;
    let worker = yard.worker("w").await;
    let (ended, odd) = (yard.new_task().await, yard.new_task().await);
    for run in yard.claim(&worker, 2).await {
        yard.complete(&run).await.unwrap();
    }
    // Which it allows, of course.
    let unknown = format!(
        "alter table outcome drop constraint outcome_check1, drop constraint outcome_status_check;
        update outcome set status = 77 where task = '{odd}'"
    );
    client.batch_execute(&unknown).await.unwrap();

    let read = yard.store.read(Query::Task(odd)).await;
    assert!(matches!(read, Err(Error::Unreadable(_))), "{read:?}");
    let all = taskyard_core::query::List {
        limit: 10,
        ..Default::default()
    };
    let listed = yard.list(all).await;
    assert_eq!(listed.unreadable, [odd]);
    let shown: Vec<_> = listed.items.iter().map(|view| view.task.id).collect();
    assert_eq!(shown, [ended]);
    a_whole_life(&yard, "w").await;
}

#[tokio::test]
async fn a_server_stops_writing_when_the_tables_are_closed_to_its_version() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let database = Arc::new(database);
    let client = database.client().await;
    let yard = Yard::over(&database, &database.url()).await;
    yard.new_task().await;

    let close = "update meta set schema = 99, min_compatible = 99";
    client.batch_execute(close).await.unwrap();

    // Nobody has anything to write.
    let away = until(async || match yard.store.trouble() {
        Some(Error::Unavailable(away)) => Ok(away),
        other => Err(format!("it does not look: {other:?}")),
    })
    .await;
    assert_eq!(away.cause, Cause::Newer, "{away}");
    assert!(away.detail.contains("schema 99"), "{away}");
    let ran = yard
        .store
        .run(
            vec![taskyard_core::verbs::submit::Submit::of(vec![yard.task()]).into()],
            &yard.policy,
        )
        .await;
    // Up to a second after it is open to no more than before, what was found then is gone by.
    let refused = match ran {
        Err(error) => error,
        Ok(_) => panic!("it wrote what nobody may read"),
    };
    assert!(
        matches!(&refused, Error::Unavailable(away) if away.cause == Cause::Newer),
        "{refused}"
    );

    let open = "update meta set min_compatible = 1";
    client.batch_execute(open).await.unwrap();
    until(async || match yard.store.trouble() {
        None => Ok(()),
        Some(error) => Err(format!("it does not look again: {error}")),
    })
    .await;
    yard.new_task().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_has_to_wait_lets_the_others_go_on_and_is_tried_again() {
    let Some(database) = of_an_older_version(TASK_BY_LANE - 1).await else {
        return;
    };
    let (url, beside) = (database.url(), database.beside().await);
    let (mut holder, other) = (database.client().await, database.client().await);
    let holding = holder.transaction().await.unwrap();
    holding.query("select from task", &[]).await.unwrap();

    let starting =
        tokio::spawn(async move { PostgresStore::connect(&url, options()).await.map(drop) });
    who_waits(&beside, database.name(), "task_by_lane").await;
    // Behind the migration, which gives up for now.
    let behind = other.query("select from task", &[]);
    timeout(PATIENCE, behind).await.unwrap().unwrap();
    who_waits(&beside, database.name(), "task_by_lane").await;
    holding.rollback().await.unwrap();

    starting.await.unwrap().unwrap();
    assert_eq!(usize::try_from(schema(&other).await), Ok(latest_schema()));
    assert_eq!(postgres::check(&database.url()).await.unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_that_are_cut_short_go_on_where_they_were() {
    // Nothing before the one that waits touches its table.
    let Some(database) = of_an_older_version(TASK_BY_LANE - 3).await else {
        return;
    };
    let (url, beside) = (database.url(), database.beside().await);
    let (mut holder, other) = (database.client().await, database.client().await);
    let holding = holder.transaction().await.unwrap();
    holding.query("select from task", &[]).await.unwrap();

    {
        let mut starting = pin!(PostgresStore::connect(&url, options()));
        let start = tokio::select! {
            _ = &mut starting => panic!("it did not wait"),
            start = who_waits(&beside, database.name(), "task_by_lane") => start,
        };
        let kill = "select pg_terminate_backend($1, 10000)";
        beside.execute(kill, &[&start]).await.unwrap();
        assert!(starting.await.is_err());
    }

    assert_eq!(usize::try_from(schema(&other).await), Ok(TASK_BY_LANE - 1));
    holding.rollback().await.unwrap();
    PostgresStore::connect(&url, options()).await.unwrap();
    assert_eq!(usize::try_from(schema(&other).await), Ok(latest_schema()));
    assert_eq!(postgres::check(&url).await.unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn older_programs_are_shut_out_before_the_tables_change() {
    // From here on there are migrations that those before cannot work with.
    let Some(database) = of_an_older_version(4).await else {
        return;
    };
    let (url, beside) = (database.url(), database.beside().await);
    let (mut holder, other) = (database.client().await, database.client().await);
    let holding = holder.transaction().await.unwrap();
    holding.query("select from carry", &[]).await.unwrap();

    let starting =
        tokio::spawn(async move { PostgresStore::connect(&url, options()).await.map(drop) });
    who_waits(&beside, database.name(), "carry").await;
    let row = other
        .query_one("select schema, min_compatible from meta", &[])
        .await
        .unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, i32>(1)), (4, 17));
    holding.rollback().await.unwrap();

    starting.await.unwrap().unwrap();
    assert_eq!(usize::try_from(schema(&other).await), Ok(latest_schema()));
}

/// As a server of before may do until it finds its table gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_put_in_while_lines_move_is_taken_along() {
    let Some(database) = of_an_older_version(16).await else {
        return;
    };
    let (url, beside) = (database.url(), database.beside().await);
    let mut older = database.client().await;
    let printing = older.transaction().await.unwrap();
    let line = "insert into log_line values (7, 1, 1, 1, 'said')";
    printing.execute(line, &[]).await.unwrap();

    let starting =
        tokio::spawn(async move { PostgresStore::connect(&url, options()).await.map(drop) });
    who_waits(&beside, database.name(), "log_line").await;
    printing.commit().await.unwrap();

    starting.await.unwrap().unwrap();
    let kept = older.query_one("select lines from log_chunk", &[]).await;
    assert_eq!(kept.unwrap().get::<_, String>(0), "[[1, 1, \"said\"]]");
}
