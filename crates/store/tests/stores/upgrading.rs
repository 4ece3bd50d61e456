//! Databases that older servers made, opened by this one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::Value;
use taskyard_core::id::{Epoch, TaskId};
use taskyard_core::log::{Position, Stream, Wanted};
use taskyard_core::name::Name;
use taskyard_core::query::{Query, WorkerCounts};
use taskyard_core::status::Status;
use taskyard_core::verbs::forget::{Forget, Forgotten};
use taskyard_core::verbs::report::ReportedBack;
use taskyard_store::stats::Stats;
use taskyard_store::{postgres, sqlite};
use tokio_postgres::Client;

use crate::conformance::yard::{NOON, Yard, completed, report};
use crate::database::Database;

/// The tables of schema 1 that kept their shape; counters did not.
const TABLES: [&str; 12] = [
    "meta",
    "server",
    "worker",
    "lane",
    "task",
    "scheduled",
    "ready",
    "lease",
    "carry",
    "outcome",
    "attempt",
    "idempotency",
];

/// How a database writes what the two write differently.
struct Written {
    id: fn(u8) -> String,
    yes: &'static str,
    no: &'static str,
}

fn id(serial: u8) -> TaskId {
    format!("01900000-0000-7000-8000-0000000000{serial:02x}")
        .parse()
        .unwrap()
}

/// What an older server left: worker 1 has long been gone and worker 2 holds task 3. Task 1 was completed by the first
/// of them, task 2 is ready, task 3 runs on its second attempt, task 4 is scheduled.
fn rows(written: &Written) -> String {
    let [one, two, three, four] = [1, 2, 3, 4].map(written.id);
    let Written { yes, no, .. } = written;
    let (day, second) = (86_400_000_000, 1_000_000);
    let (long_ago, soon, later) = (NOON - 30 * day, NOON + 20 * second, NOON + 60 * second);
    let task = |id: &str, run_at: i64| {
        format!(
            "({id}, 1, {long_ago}, 5, {run_at}, {long_ago}, 5, 5, {day}, {second}, 2.0, {day}, 0.0, '', null, 4, 'null')"
        )
    };
    let tasks = [
        task(&one, long_ago),
        task(&two, long_ago),
        task(&three, long_ago),
        task(&four, later),
    ]
    .join(", ");
    format!(
        "insert into meta values (1, 1, 1, {one});
        insert into server values (1, {long_ago}, {soon});
        insert into worker values
          ('gone', 1, 3, null, '[\"work\"]', null, '', 1, {long_ago}, {long_ago}, null, null),
          ('here', 2, 1, null, null, null, '', 2, {long_ago}, {soon}, null, null);
        insert into lane values (1, 'default', 'work', '');
        insert into task values {tasks};
        insert into outcome values
          ({one}, 1, 5, {long_ago}, {long_ago}, {long_ago}, 1, 1, 0, 0, 0, 1, null, null, null, null, null, '\"done\"');
        insert into ready values (1, {long_ago}, {two}, 0, {no});
        insert into lease values
          ({three}, 0, 2, 77, 2, 1, 1, 1, {yes}, {long_ago}, {long_ago}, {soon}, {later}, null, null, null);
        insert into carry values
          ({three}, 0, {long_ago}, {long_ago}, 1, 1, 1, 0, 0, 'oops', 'it broke', null, null, null, null, null, null);
        insert into attempt values
          ({three}, 0, 1, 1, 1, {long_ago}, {long_ago}, {long_ago}, 1, 'oops', 'it broke', null);
        insert into scheduled values ({later}, {four}, 0, 1, {long_ago}, 1, {no});
        insert into idempotency values ('', 'key', {one}, {one}, {NOON});
        insert into counter values (1, 1, 1, 1), (1, 1, 2, 3), (2, 1, 2, -2), (1, 1, 4, 1), (2, 1, 5, 1);"
    )
}

#[tokio::test]
async fn an_sqlite_database_of_the_first_schema_is_brought_up_to_date_and_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taskyard.db");
    let written = Written {
        id: |serial| format!("x'{}'", id(serial).as_uuid().simple()),
        yes: "1",
        no: "0",
    };
    let older = Connection::open(&path).unwrap();
    let tables = include_str!("../../migrations/sqlite/0001_tables.sql");
    older.execute_batch(tables).unwrap();
    older.execute_batch(&rows(&written)).unwrap();
    drop(older);
    let before = of_sqlite(&path);
    let unchecked = sqlite::check(&path).unwrap_err().to_string();
    assert!(unchecked.contains("taskyard db migrate"), "{unchecked}");
    assert!(before.len() > TABLES.len(), "{before:?}");

    let yard = Yard::within(folder);

    assert_eq!(of_sqlite(&path), before);
    is_of_today(&sqlite::stats(&path).unwrap());
    goes_on(&yard).await;
    assert_eq!(sqlite::check(&path).unwrap(), [] as [&str; 0]);
}

/// Every row, without what a migration adds.
fn of_sqlite(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut found = Vec::new();
    for table in TABLES {
        let mut statement = connection
            .prepare(&format!("select * from {table}"))
            .unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let kept = names.iter().filter(|name| !is_new(name));
            let fields =
                kept.map(|name| format!("{name} {:?}", row.get::<_, Value>(&**name).unwrap()));
            found.push(format!(
                "{table}: {}",
                fields.collect::<Vec<_>>().join(", ")
            ));
        }
    }
    found
}

fn is_new(column: &str) -> bool {
    ADDED.contains(&column)
}

#[tokio::test]
async fn a_postgres_database_of_the_first_schema_is_brought_up_to_date_and_keeps_everything() {
    let Some(database) = Database::empty().await else {
        return;
    };
    let written = Written {
        id: |serial| format!("'{}'", id(serial)),
        yes: "true",
        no: "false",
    };
    let client = database.client().await;
    let tables = include_str!("../../migrations/postgres/0001_tables.sql");
    client.batch_execute(tables).await.unwrap();
    // Bytes are not written as ids are.
    let rows = rows(&written).replace(
        &format!("'key', '{0}', '{0}'", id(1)),
        &format!("'key', '\\x{0}', '\\x{0}'", id(1).as_uuid().simple()),
    );
    client.batch_execute(&rows).await.unwrap();
    let before = of_postgres(&client).await;
    let unchecked = postgres::check(&database.url()).await.unwrap_err();
    assert!(unchecked.to_string().contains("taskyard db migrate"));
    assert!(before.len() > TABLES.len(), "{before:?}");

    let database = Arc::new(database);
    let yard = Yard::over(&database, &database.url()).await;

    assert_eq!(of_postgres(&client).await, before);
    is_of_today(&postgres::stats(&database.url()).await.unwrap());
    goes_on(&yard).await;
    let findings = postgres::check(&database.url()).await.unwrap();
    assert_eq!(findings, [] as [&str; 0]);
}

#[tokio::test]
async fn lines_of_before_there_were_chunks_are_kept_on_postgres() {
    let Some(database) = of_an_older_version(16).await else {
        return;
    };
    let client = database.client().await;
    // Without two of them; no two alike.
    let rows = format!(
        "insert into log_run overriding system value values (7, '{task}', 0, 1, 0, 1, 41, 9, false);
         insert into log_line select 7, n, n + 100, n % 3 + 1, '\"' || n || chr(27) || '日'
           from generate_series(1, 40) as n where n not in (5, 30);",
        task = id(1)
    );
    client.batch_execute(&rows).await.unwrap();

    let database = Arc::new(database);
    let yard = Yard::over(&database, &database.url()).await;
    let wanted = Wanted {
        task: id(1),
        after: Position::default(),
        attempt: None,
        stream: None,
        limit: 100,
    };
    let page = yard.store.logs().page(wanted).await.unwrap();

    let told = page.lines.into_iter().map(|told| {
        let (seq, at) = (told.position.seq, told.line.at.as_micros());
        (seq, at, told.line.stream, told.line.text)
    });
    let streams = [Stream::Stdout, Stream::Stderr, Stream::Worker];
    let expected = (1..=40u32).filter(|seq| ![5, 30].contains(seq)).map(|seq| {
        let (at, stream) = (i64::from(seq) + 100, streams[seq as usize % 3]);
        (seq, at, stream, format!("\"{seq}\u{1b}日"))
    });
    assert_eq!(told.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

/// A database as a version before left it, with all migrations up to that schema.
pub(crate) async fn of_an_older_version(schema: usize) -> Option<Database> {
    let database = Database::empty().await?;
    let client = database.client().await;
    let mut files: Vec<_> = std::fs::read_dir(migrations("postgres"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    for file in &files[..schema] {
        let text = std::fs::read_to_string(file).unwrap();
        client.batch_execute(&text).await.unwrap();
    }
    let is = format!(
        "insert into meta (only_row, schema, min_compatible, incarnation) values (1, {schema}, 1, '{}')",
        id(1)
    );
    client.batch_execute(&is).await.unwrap();
    Some(database)
}

/// What migrations change or add.
const ADDED: [&str; 14] = [
    "schema",
    "min_compatible",
    "forgotten",
    "priority",
    "exclusive",
    "unique_key",
    "retry_of",
    "draining",
    "killed",
    "completed",
    "failed",
    "origin",
    "given_before",
    "killed_before",
];

/// Every row, without that.
async fn of_postgres(client: &Client) -> Vec<String> {
    let mut found = Vec::new();
    for table in TABLES {
        let all = format!(
            "select '{table} ' || (to_jsonb(it) - $1::text[])::text from {table} as it order by 1"
        );
        let rows = client.query(&all, &[&&ADDED[..]]).await.unwrap();
        found.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    found
}

/// That of this version: one for each migration.
pub(crate) fn latest_schema() -> usize {
    std::fs::read_dir(migrations("sqlite")).unwrap().count()
}

fn migrations(of: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder.join("migrations").join(of)
}

fn is_of_today(stats: &Stats) {
    assert_eq!(usize::try_from(stats.schema), Ok(latest_schema()));
    assert_eq!(stats.incarnation, *id(1).as_uuid().as_bytes());
}

/// Everything is where it was, and the work goes on from there.
async fn goes_on(yard: &Yard) {
    let statuses = [
        Status::Completed,
        Status::Pending,
        Status::Running,
        Status::Scheduled,
    ];
    for (serial, expected) in (1..).zip(statuses) {
        assert_eq!(yard.status(id(serial)).await, expected, "task {serial}");
    }
    // One has a carry, which took the priority over from its task.
    for serial in 1..=4 {
        assert_eq!(yard.view(id(serial)).await.priority().get(), 5);
    }
    let counted = yard.store.read(Query::Counts).await.unwrap().counts();
    let [counted] = &counted[..] else {
        panic!("there is one lane: {counted:?}")
    };
    let one_each: BTreeMap<Status, i64> = statuses.map(|status| (status, 1)).into();
    assert_eq!(counted.tasks.iter().collect::<BTreeMap<_, _>>(), one_each);
    assert_eq!(yard.view(id(1)).await.worker, Some(name("gone")));
    assert_eq!(
        listed(yard).await,
        [("gone".to_owned(), 0), ("here".to_owned(), 1)]
    );
    let counted = yard.store.read(Query::WorkerCounts(yard.now())).await;
    let counts = counted.unwrap().worker_counts();
    let (online, offline) = (1, 1);
    assert_eq!(counts, WorkerCounts { online, offline });

    // Who had long been gone can be forgotten, and comes back under its number.
    let workers = vec![name("gone"), name("here")];
    let forgotten: Forgotten = yard
        .run(Forget {
            workers,
            is_asked_for: false,
        })
        .await
        .unwrap();
    assert_eq!(forgotten.count, 1);
    assert_eq!(listed(yard).await, [("here".to_owned(), 1)]);
    let back = yard.worker("gone").await;
    assert_eq!((back.number.0, back.epoch), (1, Epoch(4)));
    assert_eq!(listed(yard).await.len(), 2);

    let run = yard.claim_one(&back).await;
    assert_eq!(run.slot.task, id(2));
    let done: ReportedBack = yard.run(report(&run, completed())).await.unwrap();
    assert_eq!(done.results, [Ok(Status::Completed)]);
    yard.pass(Duration::from_mins(2));
    assert_eq!(yard.promote().await, 1);
}

fn name(name: &str) -> Name {
    Name::plain(name).unwrap()
}

/// The workers that a list shows, with how much each holds.
async fn listed(yard: &Yard) -> Vec<(String, usize)> {
    let all = Query::Workers {
        after: None,
        limit: 10,
    };
    let workers = yard.store.read(all).await.unwrap().workers();
    let shown = workers.iter();
    shown
        .map(|view| (view.worker.name.as_str().to_owned(), view.held))
        .collect()
}
