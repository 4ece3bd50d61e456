//! Taking everything away from a file, and what a crash leaves of that.

use std::path::PathBuf;

use taskyard_core::id::{Fence, SlotKey};
use taskyard_core::log::{Append, Limits, Line, Owner, Stream};

use super::super::backup::BackupError;
use super::super::file::{Part, named};
use super::super::reset as resetting;
use super::super::reset::reset;
use super::*;

/// A database with so many tasks, each of which printed a line; beside a store at work on it.
pub(super) async fn filled(path: &Path, tasks: u32) -> SqliteStore {
    let store = open(path);
    for serial in 0..tasks {
        let task = task("work", serial, 0);
        let owner = Owner {
            run: SlotKey::only(task.id).run(Fence(1)),
            attempt: 1,
            claimed_at: taskyard_core::time::Timestamp::default(),
        };
        run::<taskyard_core::verbs::submit::Submitted>(&store, submit(vec![task])).await;
        let append = Append {
            owner,
            first: None,
            lines: vec![Line {
                at: taskyard_core::time::Timestamp::default(),
                stream: Stream::Stdout,
                text: "x".repeat(1000),
            }],
            limits: Limits {
                bytes_max: 10_000,
                line_bytes_max: 2000,
            },
        };
        store.logs().append(append).await.unwrap();
    }
    store
}

/// Every table that has rows.
fn not_empty(path: &Path) -> Vec<String> {
    let tables = stats(path).unwrap().tables.into_iter();
    let filled = tables.filter(|(_, rows)| *rows > 0);
    filled.map(|(table, _)| table).collect()
}

/// The files as a process leaves them that is killed now.
fn killed(path: &Path, to: &Path) -> PathBuf {
    for part in Part::ALL {
        for suffix in ["", "-wal", "-shm"] {
            let [from, to] = [path, to].map(|path| named(&part.of(path), suffix));
            std::fs::copy(from, to).unwrap();
        }
    }
    to.to_owned()
}

#[tokio::test]
async fn a_store_at_work_is_emptied_and_stays_so_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let store = filled(&path, 3).await;
    register(&store).await;

    store.reset().await.unwrap().unwrap();

    assert_eq!(not_empty(&path), ["lane", "meta"]);
    assert_eq!(check(&path).unwrap(), Vec::<String>::new());
    let after = killed(&path, &dir.path().join("killed.db"));
    let incarnation = store.incarnation();
    drop(store);
    for path in [&path, &after] {
        let store = open(path);
        assert_eq!(store.incarnation(), incarnation);
        assert_eq!(not_empty(path), ["lane", "meta"]);
        let worker = register(&store).await;
        assert!(worker.epoch > taskyard_core::id::Epoch(1));
    }
}

#[tokio::test]
async fn killed_half_way_everything_is_there_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    drop(filled(&path, 50).await);
    let before = stats(&path).unwrap();

    // All but the commit.
    let half = Connection::open(&path).unwrap();
    half.execute_batch("pragma cache_size = 1").unwrap();
    let tx = half.unchecked_transaction().unwrap();
    resetting::empty(&tx, &[7; 16]).unwrap();
    let logs = Connection::open(Part::Logs.of(&path)).unwrap();
    logs.execute_batch("pragma wal_checkpoint").unwrap();
    let killed_before = {
        let to = dir.path().join("before.db");
        for suffix in ["", "-wal", "-shm"] {
            std::fs::copy(named(&path, suffix), named(&to, suffix)).unwrap();
        }
        std::fs::copy(Part::Logs.of(&path), Part::Logs.of(&to)).unwrap();
        to
    };
    // The tasks are gone, and their logs not yet.
    tx.commit().unwrap();
    let killed_between = dir.path().join("between.db");
    for suffix in ["", "-wal", "-shm"] {
        std::fs::copy(named(&path, suffix), named(&killed_between, suffix)).unwrap();
    }
    std::fs::copy(Part::Logs.of(&path), Part::Logs.of(&killed_between)).unwrap();
    drop((half, logs));

    drop(open(&killed_before));
    let found = stats(&killed_before).unwrap();
    assert_eq!(
        (found.tables, found.incarnation),
        (before.tables, before.incarnation)
    );
    assert_eq!(check(&killed_before).unwrap(), Vec::<String>::new());

    drop(open(&killed_between));
    assert_eq!(
        not_empty(&killed_between),
        ["lane", "log_chunk", "log_run", "meta"]
    );
    assert_eq!(stats(&killed_between).unwrap().incarnation, [7; 16]);
    assert_eq!(check(&killed_between).unwrap(), Vec::<String>::new());
    reset(&killed_between, &mut Seeded::new(3)).unwrap();
    assert_eq!(not_empty(&killed_between), ["lane", "meta"]);
}

#[tokio::test]
async fn a_database_is_emptied_while_no_server_has_it_open_and_gives_back_its_room() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let store = filled(&path, 200).await;
    let bytes = stats(&path).unwrap().bytes;

    let in_use = reset(&path, &mut Seeded::new(2));
    assert!(
        matches!(in_use, Err(BackupError::Open(OpenError::InUse { .. }))),
        "{in_use:?}"
    );
    let before = store.incarnation();
    drop(store);
    for seed in [2, 3] {
        reset(&path, &mut Seeded::new(seed)).unwrap();

        assert_eq!(not_empty(&path), ["lane", "meta"]);
        assert!(stats(&path).unwrap().bytes < bytes / 2);
        assert_eq!(check(&path).unwrap(), Vec::<String>::new());
    }
    assert_ne!(open(&path).incarnation(), before);
    let nothing = reset(&dir.path().join("nothing.db"), &mut Seeded::new(2));
    assert!(nothing.is_err());
    assert!(!dir.path().join("nothing.db.lock").exists());
}

#[tokio::test]
async fn damaged_logs_are_told_once_the_tasks_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    drop(filled(&path, 1).await);
    std::fs::write(Part::Logs.of(&path), "no logs, but some text".repeat(500)).unwrap();

    let told = reset(&path, &mut Seeded::new(2)).unwrap_err().to_string();

    assert!(
        told.contains("the tasks are gone") && told.contains("tasks.db.logs"),
        "{told}"
    );
    assert_eq!(not_empty(&path), ["lane", "meta"]);
}
