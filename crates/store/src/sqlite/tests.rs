//! What is true of SQLite alone: files, locks, restarts. The rules are tried by the conformance suite.

mod backup;
mod crash;
mod durable;
mod held;
mod inspect;
mod kept;
mod lines;
mod lost;
mod missing;
mod reset;
mod restore;
mod statements;

use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use taskyard_core::command::Done;
use taskyard_core::id::TaskId;
use taskyard_core::json::Json;
use taskyard_core::labels::Labels;
use taskyard_core::lane::LaneKey;
use taskyard_core::name::Name;
use taskyard_core::order::Priority;
use taskyard_core::query::TaskView;
use taskyard_core::random::Seeded;
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::{Claim, Claims, Dealt, Run};
use taskyard_core::verbs::forget::Forget;
use taskyard_core::verbs::held::Token;
use taskyard_core::verbs::register::{Register, Registered};
use taskyard_core::verbs::report::{Report, RunResult, Word};
use taskyard_core::verbs::submit::{Begin, NewTask, Submit};
use taskyard_core::worker::Profile;

use super::log::GiveUp;
use super::*;

/// A directory of a test's own.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

const NOON: i64 = 1_790_000_000_000_000;

fn options() -> Options {
    Options {
        clock: Arc::new(|| Timestamp::from_micros(NOON)),
        random: Box::new(Seeded::new(1)),
        listens_on: None,
        last_words: || {},
    }
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, options()).unwrap()
}

async fn run<D: TryFrom<Done>>(store: &dyn Store, command: impl Into<Command>) -> D {
    let ran = store.run(vec![command.into()], &Policy::default()).await;
    let done = ran.unwrap().replies.remove(0).unwrap().unwrap();
    D::try_from(done).ok().unwrap()
}

fn task(kind: &str, serial: u32, priority: i64) -> NewTask {
    let now = Timestamp::from_micros(NOON);
    NewTask {
        priority: Priority::new(priority).unwrap(),
        labels: Labels::new([("team", "blue")]).unwrap(),
        ..NewTask::new(
            TaskId::new(now, u128::from(serial) << 40),
            LaneKey::of(Name::path("default").unwrap(), Name::path(kind).unwrap()),
            Json::stored("{\"b\": 1,  \"a\": \"ü\"}"),
        )
    }
}

fn submit(tasks: Vec<NewTask>) -> Submit {
    Submit::of(tasks)
}

async fn register(store: &dyn Store) -> Claim {
    let (worker, profile) = (Name::plain("w").unwrap(), Arc::new(Profile::default()));
    let register = Register {
        name: worker.clone(),
        server: None,
        profile: Arc::clone(&profile),
        capacity: 1,
        if_new: false,
    };
    let Registered { number, epoch } = run(store, register).await;
    Claim {
        worker,
        number,
        epoch,
        profile,
        limit: 1,
        begin: false,
        seq: 0,
        maybe_again: false,
        task: None,
    }
}

async fn claim(store: &dyn Store, claim: &Claim) -> Vec<Run> {
    let claims = vec![claim.clone()];
    let Dealt { mut hands } = run(store, Claims { claims }).await;
    hands.remove(0).unwrap().unwrap().runs
}

fn completed(run: &Run) -> Report {
    let token = Token {
        slot: run.slot,
        fence: run.fence,
        secret: run.secret,
    };
    let word = Word::Completed {
        output: Json::stored("\"done\""),
    };
    Report {
        worker: None,
        results: [RunResult::new(token, word, None)].into(),
    }
}

async fn view(store: &dyn Store, id: TaskId) -> TaskView {
    let view = store.read(Query::Task(id)).await.unwrap().task();
    *view.unwrap_or_else(|| panic!("task {id} is not there"))
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let (first, second) = (task("work", 1, 0), task("work", 2, 0));
    let store = open(&path);
    let incarnation = store.incarnation();
    run::<taskyard_core::verbs::submit::Submitted>(
        &store,
        submit(vec![first.clone(), second.clone()]),
    )
    .await;
    let worker = register(&store).await;
    let runs = claim(&store, &worker).await;
    assert_eq!(
        (runs[0].slot.task, runs[0].input.as_ref()),
        (first.id, Some(&first.input))
    );
    drop(store);

    let store = open(&path);
    run::<taskyard_core::verbs::report::ReportedBack>(&store, completed(&runs[0])).await;
    let ended = view(&store, first.id).await;

    assert_eq!(
        (ended.status(), ended.task.input.here()),
        (Status::Completed, Some(&first.input))
    );
    assert_eq!(ended.task.labels, Some(first.labels));
    assert_eq!(ended.worker, Some(worker.worker.clone()));
    assert_eq!(claim(&store, &worker).await[0].slot.task, second.id);
    assert_eq!(store.incarnation(), incarnation);
}

#[tokio::test]
async fn batches_run_in_the_order_in_which_they_were_sent() {
    let store = SqliteStore::in_memory(options()).unwrap();
    let policy = Policy::default();
    let (one, same) = (task("work", 1, 0), task("work", 2, 0));
    let worker = register(&store).await;
    let batches = vec![
        submit(vec![one.clone()]).into(),
        Command::from(Claims {
            claims: vec![worker.clone()],
        }),
        submit(vec![same.clone()]).into(),
    ];

    let ran = join_all(
        batches
            .into_iter()
            .map(|command| store.run(vec![command], &policy)),
    )
    .await;

    let Ok(Ok(Done::Claims(dealt))) = &ran[1].as_ref().unwrap().replies[0] else {
        panic!("the claim was answered")
    };
    let hand = dealt.hands[0].as_ref().unwrap().as_ref().unwrap();
    assert_eq!(hand.runs[0].slot.task, one.id);
    assert_eq!(view(&store, same.id).await.status(), Status::Pending);
}

#[tokio::test]
async fn readers_wait_for_their_turn_however_many_there_are() {
    let dir = tempfile::tempdir().unwrap();
    for store in [
        open(&dir.path().join("tasks.db")),
        SqliteStore::in_memory(options()).unwrap(),
    ] {
        let made = task("work", 1, 0);
        run::<taskyard_core::verbs::submit::Submitted>(&store, submit(vec![made.clone()])).await;

        let answers = join_all((0..5_000).map(|_| store.read(Query::Task(made.id)))).await;

        let unanswered: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
        assert_eq!(unanswered, []);
    }
}

#[tokio::test]
async fn readers_that_give_up_keep_nobody_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("tasks.db"));
    let made = task("work", 1, 0);
    run::<taskyard_core::verbs::submit::Submitted>(&store, submit(vec![made.clone()])).await;

    let mut readers: Vec<_> = (0..5_000)
        .map(|_| store.read(Query::Task(made.id)))
        .collect();
    for reader in &mut readers {
        let _ = futures_util::poll!(reader.as_mut());
    }
    drop(readers);

    assert_eq!(view(&store, made.id).await.status(), Status::Pending);
}

#[test]
fn nothing_is_kept_of_a_worker_that_was_forgotten() {
    let (mut random, policy) = (Seeded::new(1), Policy::default());
    let mut inline = Inline::new(&mut random).unwrap();
    let mut run = |command: Command, now| {
        let ran = inline.run_blocking(&[command], &policy, now, &mut random);
        assert!(ran.unwrap().wrote);
    };
    let (name, profile) = (Name::plain("w").unwrap(), Arc::new(Profile::default()));
    let (noon, kept) = (Timestamp::from_micros(NOON), Arc::downgrade(&profile));
    let register = Register {
        name: name.clone(),
        server: None,
        profile,
        capacity: 1,
        if_new: false,
    };
    run(register.into(), noon);
    assert!(kept.upgrade().is_some(), "claims find its row");

    let workers = vec![name];
    run(
        Forget {
            workers,
            is_asked_for: false,
        }
        .into(),
        noon + policy.worker_life,
    );

    assert!(kept.upgrade().is_none());
}

#[test]
fn a_task_that_stands_nowhere_is_an_error_and_not_pending() {
    let mut random = Seeded::new(1);
    let mut inline = Inline::new(&mut random).unwrap();
    let (task, now) = (task("work", 1, 0), Timestamp::from_micros(NOON));
    let query = Query::Task(task.id);
    let commands = [submit(vec![task]).into()];
    inline
        .run_blocking(&commands, &Policy::default(), now, &mut random)
        .unwrap();
    assert!(inline.read_blocking(&query).is_ok());

    inline
        .connection()
        .execute("delete from ready", [])
        .unwrap();

    let read = inline.read_blocking(&query);
    assert!(matches!(read, Err(Error::Unreadable(_))), "{read:?}");
}

#[test]
fn a_link_to_the_file_is_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let (path, link) = (dir.path().join("tasks.db"), dir.path().join("link.db"));
    drop(open(&path));
    std::os::unix::fs::symlink(&path, &link).unwrap();

    let first = open(&link);
    let second = SqliteStore::open(&path, options());

    assert!(matches!(second.err(), Some(OpenError::InUse { .. })));
    drop(first);
}

#[test]
fn a_log_without_its_database_is_not_taken_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let log = log::of(&path);
    std::fs::write(&log, "tasks that were answered").unwrap();

    for makes_empty in [false, true] {
        if makes_empty {
            std::fs::write(&path, "").unwrap();
        }
        let opened = SqliteStore::open(&path, options());
        assert!(matches!(opened.err(), Some(OpenError::LogAlone { .. })));
        assert_eq!(std::fs::read(&log).unwrap(), b"tasks that were answered");
    }
}

#[test]
fn a_file_of_several_names_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (path, name) = (dir.path().join("tasks.db"), dir.path().join("other.db"));
    let first = open(&path);
    std::fs::hard_link(&path, &name).unwrap();

    let second = SqliteStore::open(&name, options());

    assert!(matches!(
        second.err(),
        Some(OpenError::SeveralNames { names: 2, .. })
    ));
    drop(first);
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("theirs.db");
    let theirs = rusqlite::Connection::open(&path).unwrap();
    theirs
        .execute_batch("create table cakes (name text)")
        .unwrap();

    let opened = SqliteStore::open(&path, options());

    assert!(matches!(opened.err(), Some(OpenError::Foreign(_))));
    let tables: i64 = theirs
        .query_row("select count(*) from sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1);
}

#[test]
fn a_database_that_needs_a_newer_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    drop(open(&path));
    let connection = rusqlite::Connection::open(&path).unwrap();
    let (newer, newest) = (open::SCHEMA + 1, open::SCHEMA + 2);
    connection
        .execute(sql::META_UPDATE, [newest, newer])
        .unwrap();

    let opened = SqliteStore::open(&path, options());

    let Some(OpenError::TooNew { found, needs, .. }) = opened.err() else {
        panic!("it was opened")
    };
    assert_eq!((found, needs), (newest, newer));
}

#[test]
fn a_file_that_is_no_database_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    std::fs::write(
        &path,
        "not a database, but long enough to have a header ".repeat(50),
    )
    .unwrap();

    let refused = SqliteStore::open(&path, options()).err().unwrap();

    assert!(matches!(refused, OpenError::Damaged { .. }));
    assert!(refused.to_string().contains(".recover"));
}

#[test]
fn only_an_unclean_stop_is_followed_by_a_check() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    drop(open(&path));
    assert!(open(&path).check.is_none());
    // What a killed server leaves behind.
    std::fs::write(dir.path().join("tasks.db.lock"), "running\n").unwrap();

    let after_the_kill = open(&path);

    assert!(after_the_kill.check.is_some());
}

#[test]
fn a_full_database_refuses_and_recovers_when_there_is_room() {
    let mut random = Seeded::new(1);
    let opened = open::in_memory(&mut random).unwrap().connection;
    let pages: i64 = opened
        .query_row("pragma page_count", [], |row| row.get(0))
        .unwrap();
    opened
        .pragma_update(None, "max_page_count", pages + 2)
        .unwrap();
    let mut inline = Inline::over(opened, GiveUp::default()).unwrap();
    let now = Timestamp::from_micros(NOON);
    let mut run = |inline: &mut Inline, serials: std::ops::Range<u32>| {
        let tasks = serials.map(|serial| task("work", serial, 0)).collect();
        inline.run_blocking(
            &[submit(tasks).into()],
            &Policy::default(),
            now,
            &mut random,
        )
    };

    let refused = run(&mut inline, 0..500);

    assert!(matches!(refused, Err(Error::Full)), "{refused:?}");
    let counts = inline.read_blocking(&Query::Counts).unwrap().counts();
    assert!(counts.is_empty());
    inline
        .connection()
        .pragma_update(None, "max_page_count", 10_000)
        .unwrap();
    assert_eq!(run(&mut inline, 0..500).unwrap().replies.len(), 1);
}
