//! When an answer is given, and what becomes of the log.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;
use parking_lot::Mutex;

use super::super::log::{GiveUp, Hooks};
use super::*;

/// A sync that tells when it begins and ends when it is told how.
struct Gate {
    begun: Receiver<()>,
    end: Sender<io::Result<()>>,
}

impl Gate {
    fn hooks() -> (Self, Hooks) {
        let ((begins, begun), (end, ends)) = (channel(), channel());
        let ends = Mutex::new(ends);
        let sync = move |_: &File| {
            begins.send(()).unwrap();
            ends.lock().recv().unwrap()
        };
        let hooks = Hooks {
            sync: Box::new(sync),
            ..Hooks::default()
        };
        (Self { begun, end }, hooks)
    }

    fn open(&self) {
        self.end.send(Ok(())).unwrap();
    }
}

/// A clock at which the writer stops before each batch, until something is sent.
fn held_clock() -> (Clock, Sender<()>) {
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let clock = move || {
        wait.lock().recv().unwrap();
        Timestamp::from_micros(NOON)
    };
    (Arc::new(clock), go)
}

async fn pending(store: &SqliteStore) -> i64 {
    store
        .read(Query::Counts)
        .await
        .unwrap()
        .counts()
        .iter()
        .map(|count| count.tasks[Status::Pending])
        .sum()
}

#[tokio::test]
async fn an_answer_waits_for_the_sync() {
    let dir = tempfile::tempdir().unwrap();
    let (gate, hooks) = Gate::hooks();
    let store = SqliteStore::open_with(&dir.path().join("tasks.db"), options(), hooks).unwrap();
    let policy = Policy::default();
    let mut ran = store.run(vec![submit(vec![task("work", 1, 0)]).into()], &policy);
    assert!(poll!(&mut ran).is_pending());

    gate.begun.recv().unwrap();

    assert_eq!(pending(&store).await, 1, "it is committed");
    assert!(poll!(&mut ran).is_pending(), "and not answered");
    gate.open();
    assert_eq!(ran.await.unwrap().replies.len(), 1);
}

#[tokio::test]
async fn the_next_batch_runs_while_answers_wait_and_waits_for_a_sync_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (gate, hooks) = Gate::hooks();
    let (clock, go) = held_clock();
    let options = Options { clock, ..options() };
    let store = SqliteStore::open_with(&dir.path().join("tasks.db"), options, hooks).unwrap();
    let policy = Policy::default();
    let mut first = store.run(vec![submit(vec![task("work", 1, 0)]).into()], &policy);
    let mut second = store.run(vec![submit(vec![task("work", 2, 0)]).into()], &policy);
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    go.send(()).unwrap();

    gate.begun.recv().unwrap();
    go.send(()).unwrap();
    while pending(&store).await < 2 {}
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    gate.open();
    first.await.unwrap();
    gate.begun.recv().unwrap();
    let Poll::Pending = poll!(&mut second) else {
        panic!("the sync that began before its commit is no sync of it")
    };
    gate.open();

    second.await.unwrap();
}

/// Until then, what arrives can join it.
#[tokio::test]
async fn a_batch_is_closed_when_its_turn_comes() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, go) = held_clock();
    let options = Options { clock, ..options() };
    let store = SqliteStore::open(&dir.path().join("tasks.db"), options).unwrap();
    let policy = Policy::default();
    let mut first = store.run(vec![submit(vec![task("work", 1, 0)]).into()], &policy);
    let is_closed = Arc::new(AtomicBool::new(false));
    let mut second = store.run_open(
        Box::new({
            let is_closed = Arc::clone(&is_closed);
            move || {
                is_closed.store(true, Ordering::SeqCst);
                vec![submit(vec![task("work", 2, 0)]).into()]
            }
        }),
        &policy,
    );

    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    assert!(!is_closed.load(Ordering::SeqCst));
    (0..2).for_each(|_| go.send(()).unwrap());

    first.await.unwrap();
    second.await.unwrap();
    assert_eq!(pending(&store).await, 2);
}

/// It may tell of that.
#[tokio::test]
async fn an_answer_that_wrote_nothing_waits_for_what_was_written_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let (gate, hooks) = Gate::hooks();
    let (clock, go) = held_clock();
    let options = Options { clock, ..options() };
    let store = SqliteStore::open_with(&dir.path().join("tasks.db"), options, hooks).unwrap();
    let policy = Policy::default();
    let first = submit(vec![task("work", 1, 0)]);
    let again = Submit {
        again: true,
        ..first.clone()
    };
    let behind = submit(vec![task("work", 2, 0)]);
    let [mut first, mut again, mut behind] =
        [first, again, behind].map(|submit| store.run(vec![submit.into()], &policy));
    for ran in [&mut first, &mut again, &mut behind] {
        assert!(poll!(ran).is_pending());
    }
    // All three wait by now: a batch that stood alone would be synced by the writer itself, which then runs no other.
    (0..3).for_each(|_| go.send(()).unwrap());

    gate.begun.recv().unwrap();
    // The one behind it is committed: it has run.
    while pending(&store).await < 2 {}

    let is_early = poll!(&mut again).is_ready();
    // As many syncs as there can be; where this fails, the end of the store waits for them.
    (0..3).for_each(|_| gate.open());
    assert!(!is_early);
    for ran in [first, again, behind] {
        ran.await.unwrap();
    }
}

#[tokio::test]
async fn a_failed_sync_ends_the_process_and_nothing_is_answered_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let (gate, hooks) = Gate::hooks();
    // The log is written by a thread of its own, and the end of the process waits for nobody.
    static IS_LOGGED: AtomicBool = AtomicBool::new(false);
    let options = Options {
        last_words: || IS_LOGGED.store(true, Ordering::SeqCst),
        ..options()
    };
    let (ends, ended) = channel();
    let hooks = Hooks {
        give_up: GiveUp(Arc::new(move || {
            ends.send(IS_LOGGED.load(Ordering::SeqCst)).unwrap();
        })),
        ..hooks
    };
    let store = SqliteStore::open_with(&dir.path().join("tasks.db"), options, hooks).unwrap();
    let policy = Policy::default();
    let mut ran = store.run(vec![submit(vec![task("work", 1, 0)]).into()], &policy);
    assert!(poll!(&mut ran).is_pending());
    gate.begun.recv().unwrap();

    gate.end
        .send(Err(io::Error::other("a broken disk")))
        .unwrap();
    let answer = ran.await;

    assert!(ended.recv().unwrap());
    assert!(matches!(answer, Err(Error::Unknown(_))), "{answer:?}");
    // Another sync would succeed now; it would prove nothing.
    gate.open();
    let next = store.run(vec![submit(vec![task("work", 2, 0)]).into()], &policy);
    assert!(matches!(next.await, Err(Error::Unknown(_))));
}

/// The log beside this database: its length, and how often it started over.
fn log_of(path: &Path) -> (u64, u32) {
    let mut path = path.as_os_str().to_owned();
    path.push("-wal");
    let log = std::fs::read(PathBuf::from(path)).unwrap();
    // The header's fourth word counts the checkpoints after which it started over.
    let word = log
        .get(12..16)
        .map_or([0; 4], |word| word.try_into().unwrap());
    (log.len() as u64, u32::from_be_bytes(word))
}

async fn submit_some(store: &SqliteStore, batch: u32) {
    let tasks = (0..100).map(|serial| task("work", batch * 100 + serial, 0));
    run::<taskyard_core::verbs::submit::Submitted>(store, submit(tasks.collect())).await;
}

#[tokio::test]
async fn thread_and_writer_together_let_the_log_start_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let hooks = Hooks {
        checkpoint_every: Duration::from_millis(1),
        ..Hooks::default()
    };
    let store = SqliteStore::open_with(&path, options(), hooks).unwrap();

    let mut batches = 0;
    while log_of(&path).1 < 2 {
        submit_some(&store, batches).await;
        batches += 1;
        assert!(batches < 2000, "the log never started over");
    }

    assert_eq!(pending(&store).await, i64::from(batches) * 100);
}

#[tokio::test]
async fn the_log_stays_within_its_limit_even_if_the_thread_never_gets_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let limit = 1 << 20;
    let hooks = Hooks {
        checkpoint_every: Duration::from_hours(1),
        log_bytes_max: limit,
        ..Hooks::default()
    };
    let store = SqliteStore::open_with(&path, options(), hooks).unwrap();

    let mut longest = 0;
    for batch in 0..100 {
        submit_some(&store, batch).await;
        longest = longest.max(log_of(&path).0);
    }

    let (_, restarts) = log_of(&path);
    assert!(restarts >= 2, "it started over {restarts} times");
    // One batch may reach over it.
    assert!(longest < 2 * limit, "{longest}");
}

#[tokio::test]
async fn a_long_read_lets_the_log_grow_and_nothing_wait() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let limit = 1 << 20;
    let hooks = Hooks {
        checkpoint_every: Duration::from_millis(1),
        log_bytes_max: limit,
        ..Hooks::default()
    };
    let store = SqliteStore::open_with(&path, options(), hooks).unwrap();
    submit_some(&store, 0).await;
    let reader = connection::reading(&path).unwrap();
    let snapshot = reader.unchecked_transaction().unwrap();
    let seen = |reader: &Connection| -> i64 {
        let count = reader.query_row("select count(*) from task", [], |row| row.get(0));
        count.unwrap()
    };
    assert_eq!(seen(&snapshot), 100);

    let mut batches = 1;
    while log_of(&path).0 < 2 * limit {
        submit_some(&store, batches).await;
        batches += 1;
    }
    assert_eq!(seen(&snapshot), 100);
    drop(snapshot);

    while log_of(&path).0 > limit {
        submit_some(&store, batches).await;
        batches += 1;
        assert!(batches < 2000, "the log was never cut");
    }
    assert_eq!(pending(&store).await, i64::from(batches) * 100);
}

#[tokio::test]
async fn nothing_is_written_while_the_file_is_not_where_it_was_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (path, elsewhere) = (dir.path().join("tasks.db"), dir.path().join("other.db"));
    let store = open(&path);
    let policy = Policy::default();
    let batch = |serial| vec![submit(vec![task("work", serial, 0)]).into()];
    store.run(batch(1), &policy).await.unwrap();
    std::fs::copy(&path, &elsewhere).unwrap();
    let away = dir.path().join("away.db");

    std::fs::rename(&path, &away).unwrap();
    for stands_there in [false, true] {
        if stands_there {
            std::fs::rename(&elsewhere, &path).unwrap();
        }
        let written = store.run(batch(2), &policy).await;
        let said = written.map(|_| ()).unwrap_err().to_string();
        assert!(said.contains("moved, deleted or replaced"), "{said}");
        assert!(store.read(Query::Ping).await.is_err());
    }

    std::fs::rename(&away, &path).unwrap();
    store.run(batch(2), &policy).await.unwrap();
    assert!(store.read(Query::Ping).await.is_ok());
    assert_eq!(pending(&store).await, 2);

    std::fs::remove_file(log::of(&path)).unwrap();
    assert!(store.run(batch(3), &policy).await.is_err());
}
