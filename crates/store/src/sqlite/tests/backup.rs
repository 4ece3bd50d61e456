//! Backups, and putting them back.

use std::os::unix::fs::PermissionsExt;

use super::super::backup::{BackupError, backup};
use super::super::restore::{renew, restore};
use super::*;

impl Place {
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }
}

async fn count(path: &Path) -> i64 {
    let tables = stats(path).unwrap().tables;
    tables.iter().find(|(table, _)| table == "task").unwrap().1
}

async fn submit_one(store: &SqliteStore, serial: u32) {
    let tasks = vec![task("work", serial, 0)];
    run::<taskyard_core::verbs::submit::Submitted>(store, submit(tasks)).await;
}

#[tokio::test]
async fn a_backup_beside_a_running_server_holds_what_was_stored_by_then() {
    let place = Place::new();
    let store = open(&place.path("tasks.db"));
    submit_one(&store, 1).await;

    let taken = backup(&place.path("tasks.db"), &place.path("kept.db"), false).unwrap();
    submit_one(&store, 2).await;

    let kept = place.path("kept.db");
    assert_eq!(count(&kept).await, 1);
    assert_eq!(check(&kept).unwrap(), Vec::<String>::new());
    let (metadata, logs) = (
        kept.metadata().unwrap(),
        place.path("kept.db.logs").metadata().unwrap(),
    );
    assert_eq!(
        (metadata.len(), metadata.permissions().mode() & 0o777),
        (taken.bytes - logs.len(), 0o600)
    );
    let names = [
        "kept.db",
        "kept.db.logs",
        "tasks.db",
        "tasks.db-shm",
        "tasks.db-wal",
        "tasks.db.lock",
    ];
    let beside: Vec<String> = place.names();
    let beside: Vec<&String> = beside
        .iter()
        .filter(|name| !name.starts_with("kept.db-") && !name.starts_with("tasks.db.logs"))
        .collect();
    assert_eq!(beside, names);
}

#[tokio::test]
async fn a_file_that_is_there_is_replaced_only_where_that_is_asked_for() {
    let place = Place::new();
    let store = open(&place.path("tasks.db"));
    std::fs::write(place.path("kept.db"), "a letter").unwrap();
    let take = |replace| backup(&place.path("tasks.db"), &place.path("kept.db"), replace);

    assert!(matches!(take(false), Err(BackupError::Exists(_))));
    let letter = std::fs::read_to_string(place.path("kept.db")).unwrap();
    assert_eq!(letter, "a letter");

    take(true).unwrap();
    assert_eq!(count(&place.path("kept.db")).await, 0);
    let itself = backup(&place.path("tasks.db"), &place.path("tasks.db"), true);
    assert!(matches!(itself, Err(BackupError::Itself(_))));
    drop(store);
}

#[tokio::test]
async fn no_backup_takes_a_name_that_belongs_to_the_database() {
    let place = Place::new();
    let tasks = place.path("tasks.db");
    let store = open(&tasks);
    submit_one(&store, 1).await;
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(place.dir.path(), place.path("elsewhere/here")).unwrap();
    std::os::unix::fs::symlink(place.path("tasks.db-wal"), place.path("a-link")).unwrap();
    let before = place.names();

    for name in [
        "tasks.db",
        "tasks.db-wal",
        "tasks.db-shm",
        "tasks.db-journal",
        "tasks.db.lock",
        "tasks.db.restoring",
        "tasks.db.restored",
        "tasks.db.logs",
        "tasks.db.logs-wal",
        "tasks.db.logs-shm",
        "tasks.db.logs-journal",
        "elsewhere/../tasks.db-wal",
        "elsewhere/here/tasks.db-wal",
        "elsewhere/here/tasks.db-journal",
        "a-link",
    ] {
        for replace in [false, true] {
            let refused = backup(&tasks, &place.path(name), replace);
            assert!(
                matches!(refused, Err(BackupError::Itself(_))),
                "{name}: {refused:?}"
            );
        }
    }
    assert_eq!(place.names(), before);
    submit_one(&store, 2).await;
    drop(store);
    assert_eq!(count(&tasks).await, 2);
}

#[tokio::test]
async fn no_backup_has_the_database_among_its_files() {
    let place = Place::new();
    // What would be taken away with the file that is replaced.
    let tasks = place.path("kept.db-wal");
    drop(open(&tasks));
    let logs = place.path("logs-elsewhere");
    std::fs::rename(place.path("kept.db-wal.logs"), &logs).unwrap();
    std::os::unix::fs::symlink(&logs, place.path("kept.db-wal.logs")).unwrap();

    for name in ["kept.db", "logs-elsewhere", "logs-elsewhere-wal"] {
        let refused = backup(&tasks, &place.path(name), true);
        assert!(
            matches!(refused, Err(BackupError::Itself(_))),
            "{name}: {refused:?}"
        );
    }
    assert_eq!(count(&tasks).await, 0);
}

#[tokio::test]
async fn a_database_that_a_server_has_open_is_replaced_by_no_backup() {
    let place = Place::new();
    let (tasks, other) = (place.path("tasks.db"), place.path("other.db"));
    drop(open(&tasks));
    let store = open(&other);
    submit_one(&store, 1).await;
    let take = || backup(&tasks, &other, true);
    let is_in_use =
        |taken: &Result<_, _>| matches!(taken, Err(BackupError::Open(OpenError::InUse { .. })));

    let refused = take();
    assert!(is_in_use(&refused), "{refused:?}");
    std::fs::remove_file(place.path("other.db.lock")).unwrap();
    let refused = take();
    assert!(
        is_in_use(&refused) || !cfg!(target_os = "linux"),
        "without the file beside it: {refused:?}"
    );
    drop(store);
    assert_eq!(count(&other).await, 1);

    // As a server leaves it that was killed.
    std::fs::write(place.path("other.db.lock"), "running\n").unwrap();
    take().unwrap();
    assert_eq!(count(&other).await, 0);
    let said = std::fs::read(place.path("other.db.lock")).unwrap();
    assert_eq!(said, b"", "nothing is missing beside what took its place");
}

#[tokio::test]
async fn what_belongs_to_backup_and_database_is_not_put_in_its_place() {
    let place = Place::new();
    let tasks = place.path("tasks.db");
    drop(open(&tasks));
    let before = place.names();
    let put = |from: &str, to: &str| {
        let (from, to) = (place.path(from), place.path(to));
        restore(&from, &to, &place.path("aside.db"), &mut Seeded::new(2))
    };
    std::fs::copy(&tasks, place.path("tasks.db.restored")).unwrap();

    for (from, to) in [
        ("tasks.db", "tasks.db"),
        ("tasks.db", "tasks.db.logs"),
        ("tasks.db.logs", "tasks.db"),
        ("tasks.db-wal", "tasks.db"),
        ("tasks.db.restored", "tasks.db"),
    ] {
        let refused = put(from, to);
        assert!(
            matches!(refused, Err(BackupError::OfBoth(_))),
            "{from} to {to}: {refused:?}"
        );
    }
    std::fs::remove_file(place.path("tasks.db.restored")).unwrap();
    assert_eq!(place.names(), before);
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_neither_kept_nor_put_back() {
    let place = Place::new();
    let store = open(&place.path("tasks.db"));
    submit_one(&store, 1).await;
    drop(store);
    let foreign = Connection::open(place.path("foreign.db")).unwrap();
    foreign
        .execute_batch("create table letters (text)")
        .unwrap();
    drop(foreign);
    std::fs::write(
        place.path("text.db"),
        "not a database, but some text".repeat(100),
    )
    .unwrap();
    backup(&place.path("tasks.db"), &place.path("damaged.db"), false).unwrap();
    let mut bytes = std::fs::read(place.path("damaged.db")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x5a);
    std::fs::write(place.path("damaged.db"), bytes).unwrap();
    let before = std::fs::read(place.path("tasks.db")).unwrap();

    for bad in ["foreign.db", "text.db", "damaged.db"] {
        let kept = backup(&place.path(bad), &place.path("kept.db"), false);
        let (from, to) = (place.path(bad), place.path("tasks.db"));
        let put = restore(&from, &to, &place.path("aside.db"), &mut Seeded::new(2));

        assert!(kept.is_err(), "{bad}");
        assert!(put.is_err(), "{bad}");
    }
    let after = std::fs::read(place.path("tasks.db")).unwrap();
    assert!(after == before, "nothing was changed");
    let left: Vec<String> = place
        .names()
        .into_iter()
        .filter(|name| name.contains("partial") || name.contains("kept") || name.contains("aside"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn a_restored_database_is_another_one_and_what_stood_there_is_kept() {
    let place = Place::new();
    let (tasks, kept) = (place.path("tasks.db"), place.path("kept.db"));
    let store = open(&tasks);
    submit_one(&store, 1).await;
    backup(&tasks, &kept, false).unwrap();
    submit_one(&store, 2).await;
    let before = store.incarnation();
    let aside = place.path("aside.db");
    let put = || restore(&kept, &tasks, &aside, &mut Seeded::new(2));

    let in_use = put();
    assert!(
        matches!(in_use, Err(BackupError::Open(OpenError::InUse { .. }))),
        "{in_use:?}"
    );
    assert!(!aside.exists());
    drop(store);
    std::fs::set_permissions(&tasks, std::fs::Permissions::from_mode(0o640)).unwrap();
    put().unwrap();

    let mode = tasks.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o640, "whoever could read it still can");
    assert_eq!((count(&tasks).await, count(&aside).await), (1, 2));
    let store = open(&tasks);
    assert_ne!(store.incarnation(), before);
    assert_eq!(stats(&kept).unwrap().incarnation, before);
    drop(store);
    let again = put();
    assert!(matches!(again, Err(BackupError::Exists(_))), "{again:?}");
}

#[tokio::test]
async fn what_a_killed_server_left_in_its_log_is_kept_with_what_is_replaced() {
    let place = Place::new();
    let (tasks, kept) = (place.path("tasks.db"), place.path("kept.db"));
    let store = open(&tasks);
    backup(&tasks, &kept, false).unwrap();
    submit_one(&store, 1).await;
    // As it stands after `kill -9`: the file, and its log beside it.
    let killed = place.path("killed.db");
    for suffix in ["", "-wal", "-shm"] {
        let named = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        std::fs::copy(named(&tasks), named(&killed)).unwrap();
    }
    drop(store);

    let aside = place.path("aside.db");
    restore(&kept, &killed, &aside, &mut Seeded::new(2)).unwrap();

    assert!(!place.path("aside.db-shm").exists(), "it is made anew");
    assert_eq!((count(&killed).await, count(&aside).await), (0, 1));
}

#[tokio::test]
async fn a_backup_is_put_where_nothing_stood() {
    let place = Place::new();
    let (tasks, kept) = (place.path("tasks.db"), place.path("kept.db"));
    let store = open(&tasks);
    submit_one(&store, 1).await;
    backup(&tasks, &kept, false).unwrap();
    let (new, aside) = (place.path("new.db"), place.path("aside.db"));

    restore(&kept, &new, &aside, &mut Seeded::new(2)).unwrap();

    assert_eq!(count(&new).await, 1);
    assert!(!aside.exists());
    open(&new);
}

#[tokio::test]
async fn a_database_is_renewed_while_no_server_has_it_open() {
    let place = Place::new();
    let tasks = place.path("tasks.db");
    let store = open(&tasks);
    let before = store.incarnation();

    let in_use = renew(&tasks, &mut Seeded::new(2));
    drop(store);
    renew(&tasks, &mut Seeded::new(2)).unwrap();

    assert!(
        matches!(in_use, Err(BackupError::Open(OpenError::InUse { .. }))),
        "{in_use:?}"
    );
    assert_ne!(open(&tasks).incarnation(), before);
    let nothing = renew(&place.path("nothing.db"), &mut Seeded::new(2));
    assert!(nothing.is_err());
    assert!(!place.path("nothing.db.lock").exists());
}

#[tokio::test]
async fn logs_that_came_while_a_backup_was_taken_are_another_backups() {
    let place = Place::new();
    let (from, to) = (place.path("tasks.db"), place.path("kept.db"));
    drop(open(&from));
    // Nobody reads from it until this goes.
    let held = Connection::open(&from).unwrap();
    held.execute_batch("pragma locking_mode = exclusive; select count(*) from task;")
        .unwrap();
    let taking = std::thread::spawn({
        let (from, to) = (from.clone(), to.clone());
        move || backup(&from, &to, false)
    });
    let partial = format!("kept.db.partial-{}", std::process::id());
    while !place.names().contains(&partial) {
        std::thread::yield_now();
    }
    let logs = place.path("kept.db.logs");
    std::fs::write(&logs, "of another backup").unwrap();

    drop(held);

    let refused = taking.join().unwrap();
    assert!(
        matches!(&refused, Err(BackupError::Exists(there)) if *there == logs),
        "{refused:?}"
    );
    assert_eq!(std::fs::read(&logs).unwrap(), b"of another backup");
    assert!(!to.exists());
}

#[tokio::test]
async fn a_database_that_was_renewed_behind_a_kill_is_looked_through_by_the_next_start() {
    let place = Place::new();
    let path = place.path("tasks.db");
    let store = open(&path);
    submit_one(&store, 1).await;
    let killed = super::missing::left_by_a_kill(&path, &place.path("killed"));
    drop(store);

    renew(&killed, &mut Seeded::new(7)).unwrap();

    assert_eq!(check(&killed).unwrap(), Vec::<String>::new());
    assert!(open(&killed).check.is_some());
    // That one stopped.
    renew(&killed, &mut Seeded::new(8)).unwrap();
    assert!(open(&killed).check.is_none());
}
