//! Files that are not where they were.

use super::super::file::Part;
use super::super::lock;
use super::reset::filled;
use super::*;

#[tokio::test]
async fn logs_without_their_database_are_not_those_of_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    drop(filled(&path, 2).await);
    std::fs::remove_file(&path).unwrap();
    let logs = Part::Logs.of(&path);
    let before = std::fs::read(&logs).unwrap();

    for makes_empty in [false, true] {
        if makes_empty {
            std::fs::write(&path, "").unwrap();
        }
        let opened = SqliteStore::open(&path, options());

        let error = opened.err().expect("it would begin an empty one");
        assert!(matches!(error, OpenError::LogsAlone { .. }), "{error}");
        assert!(error.to_string().contains(logs.to_str().unwrap()));
        assert_eq!(std::fs::read(&logs).unwrap(), before);
    }
    std::fs::remove_file(&logs).unwrap();
    open(&path);
}

#[tokio::test]
async fn logs_with_nothing_in_them_keep_nobody_from_a_new_database() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    drop(filled(&path, 0).await);
    std::fs::remove_file(&path).unwrap();

    open(&path);
}

#[test]
fn of_an_empty_file_it_is_said_that_nothing_is_there_yet() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    std::fs::write(&path, "").unwrap();

    assert!(matches!(check(&path), Err(OpenError::Empty(_))));
    assert!(matches!(stats(&path), Err(OpenError::Empty(_))));
    std::fs::write(log::of(&path), "tasks that were answered").unwrap();
    assert!(matches!(check(&path), Err(OpenError::LogAlone { .. })));
}

#[test]
fn of_a_first_start_that_was_killed_it_is_said_that_nothing_is_there_yet() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    // It has made the file, and no table in it.
    let lock = lock::take(&path).unwrap().unwrap();
    let connection = connection::writing(&path, 1 << 20).unwrap();
    assert!(path.metadata().unwrap().len() > 0);
    let killed = left_by_a_kill(&path, &dir.path().join("killed"));
    drop((connection, lock));

    for _ in 0..2 {
        assert!(matches!(check(&killed), Err(OpenError::Empty(_))));
        assert!(matches!(stats(&killed), Err(OpenError::Empty(_))));
    }
    drop(open(&killed));
    assert_eq!(check(&killed).unwrap(), [] as [&str; 0]);
}

#[test]
fn of_a_first_start_that_was_killed_as_it_made_the_file_it_is_said_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    drop(connection::writing(&path, 1 << 20).unwrap());
    // As SQLite leaves it: what the first page was before is nothing.
    let mut journal = vec![0; 512];
    let head: [&[u8]; 6] = [
        &[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7],
        &[0; 4],
        &[1, 2, 3, 4],
        &[0; 4],
        &512_u32.to_be_bytes(),
        &4096_u32.to_be_bytes(),
    ];
    let head = head.concat();
    journal[..head.len()].copy_from_slice(&head);
    std::fs::write(dir.path().join("tasks.db-journal"), &journal).unwrap();

    assert!(matches!(check(&path), Err(OpenError::Empty(_))));
    drop(open(&path));
    assert_eq!(check(&path).unwrap(), [] as [&str; 0]);
}

/// A change outside of the log that is not at its end yet, which is cut short by whatever copies the files now. The
/// smallest cache writes to the file before the commit; without syncs the journal says at once that it counts.
pub(super) const HALF_A_CHANGE: &str =
    "pragma journal_mode = delete; pragma synchronous = off; pragma cache_size = 1;
    begin; create table theirs (text); insert into theirs values (randomblob(1000000));";

/// As of a server that was killed when it began on a file without a log, such as a backup, or of another program.
#[tokio::test]
async fn of_a_change_that_was_cut_short_it_is_said_who_takes_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    drop(filled(&path, 1).await);
    let changing = rusqlite::Connection::open(&path).unwrap();
    changing.execute_batch(HALF_A_CHANGE).unwrap();
    let cut_short = left_by_a_kill(&path, &dir.path().join("killed"));
    drop(changing);
    let journal = cut_short.with_file_name("tasks.db-journal");
    assert!(journal.is_file());

    let copy = dir.path().join("copy.db");
    for _ in 0..2 {
        let said = [
            check(&cut_short).unwrap_err().to_string(),
            stats(&cut_short).unwrap_err().to_string(),
            backup(&cut_short, &copy, false).unwrap_err().to_string(),
        ];
        for said in said {
            for part in ["cut short", "tasks.db-journal", "taskyard db migrate"] {
                assert!(said.contains(part), "{said}");
            }
        }
    }
    assert!(journal.is_file() && !copy.exists());
    drop(open(&cut_short));
    assert!(!journal.exists());
    assert_eq!(check(&cut_short).unwrap(), [] as [&str; 0]);
    assert_eq!(of_table(&cut_short, "theirs"), 0);
    assert_eq!(of_table(&cut_short, "task"), 1);
}

pub(super) fn of_table(path: &Path, name: &str) -> i64 {
    let connection = rusqlite::Connection::open(path).unwrap();
    open::tables(&connection, &format!("name = '{name}'")).unwrap()
}

#[tokio::test]
async fn logs_that_are_not_made_yet_are_missed_only_where_there_were_tasks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let logs = Part::Logs.of(&path);
    for tasks in [0, 1] {
        drop(filled(&path, tasks).await);
        for how in ["missing", "empty"] {
            std::fs::remove_file(&logs).unwrap();
            if how == "empty" {
                std::fs::write(&logs, "").unwrap();
            }

            let found = check(&path).unwrap();

            assert_eq!(found.len(), usize::try_from(tasks).unwrap(), "{found:?}");
            assert!(found.iter().all(|line| line.contains(how)), "{found:?}");
            drop(open(&path));
        }
    }
}

#[tokio::test]
async fn a_log_that_is_gone_behind_a_kill_is_named_by_each_check_and_by_none_behind_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    drop(filled(&path, 1).await);
    let lock = dir.path().join("tasks.db.lock");
    // What a killed server leaves, without its log.
    std::fs::write(&lock, "running\n").unwrap();

    for _ in 0..2 {
        assert_eq!(check(&path).unwrap(), [open::LOG_IS_GONE]);
    }
    std::fs::write(&lock, "").unwrap();
    assert_eq!(check(&path).unwrap(), [] as [&str; 0]);
}

/// The files as a process leaves them that is killed now.
pub(super) fn left_by_a_kill(path: &Path, to: &Path) -> PathBuf {
    std::fs::create_dir(to).unwrap();
    for suffix in ["", "-journal", "-wal", ".lock", ".logs", ".logs-wal"] {
        let name = format!("tasks.db{suffix}");
        let _ = std::fs::copy(path.with_file_name(&name), to.join(&name));
    }
    to.join("tasks.db")
}

#[tokio::test]
async fn a_log_is_missed_only_behind_a_server_that_had_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    drop(filled(&path, 1).await);

    // It has the lock and the file, and has written nothing.
    let mut lock = lock::take(&path).unwrap().unwrap();
    let connection = connection::writing(&path, 1 << 20).unwrap();
    assert!(lock.hold(&path, None).unwrap());
    assert_eq!(log::of(&path).metadata().unwrap().len(), 0);
    let starting = left_by_a_kill(&path, &dir.path().join("starting"));
    drop((connection, lock));
    assert_eq!(check(&starting).unwrap(), [] as [&str; 0]);
    // Nobody stopped in order, so the file is looked through.
    assert!(open(&starting).check.is_some());

    // It has begun, and nobody has asked it for anything.
    std::fs::write(dir.path().join("tasks.db.lock"), "").unwrap();
    let store = open(&path);
    let idle = left_by_a_kill(&path, &dir.path().join("idle"));
    drop(store);
    assert_eq!(check(&idle).unwrap(), [] as [&str; 0]);
    std::fs::remove_file(log::of(&idle)).unwrap();
    assert_eq!(check(&idle).unwrap(), [open::LOG_IS_GONE]);
}

#[tokio::test]
async fn a_start_that_needs_a_newer_program_leaves_the_log_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let store = filled(&path, 1).await;
    let killed = left_by_a_kill(&path, &dir.path().join("killed"));
    drop(store);
    let newer = rusqlite::Connection::open(&killed).unwrap();
    // So that its log stays.
    newer
        .set_db_config(
            rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
            true,
        )
        .unwrap();
    let needs = "update meta set min_compatible = 1000";
    newer.execute_batch(needs).unwrap();
    drop(newer);
    assert!(open::has_log(&killed));

    let refused = SqliteStore::open(&killed, options()).err();

    assert!(matches!(refused, Some(OpenError::TooNew { .. })));
    assert!(open::has_log(&killed) && lock::tells_of_a_log(&killed));
}

#[tokio::test]
async fn a_kill_between_the_move_of_the_log_and_the_last_word_is_no_loss() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    drop(filled(&path, 1).await);
    let mut lock = lock::take(&path).unwrap().unwrap();
    assert!(lock.hold(&path, None).unwrap());
    lock.has_log().unwrap();
    assert!(lock::tells_of_a_log(&path));

    lock.log_goes().unwrap();
    // Without another word.
    drop(lock);

    assert_eq!(check(&path).unwrap(), [] as [&str; 0]);
    assert!(open(&path).check.is_some(), "it did not stop in order");
}

#[tokio::test]
async fn a_log_that_a_failed_start_moved_into_the_database_is_not_missed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let store = filled(&path, 1).await;
    let killed = left_by_a_kill(&path, &dir.path().join("killed"));
    drop(store);

    // As where the first reader cannot be opened: this connection is the last to close.
    let begun = open::file(&killed, 1 << 20, None, &mut Seeded::new(1));
    let Ok((starting, opened)) = begun else {
        panic!("nothing is wrong with it");
    };
    drop(opened);
    assert!(!open::has_log(&killed));
    drop(starting);

    assert_eq!(check(&killed).unwrap(), [] as [&str; 0]);
    assert!(open(&killed).check.is_some());
}

#[tokio::test]
async fn a_start_that_failed_behind_a_stop_is_no_unclean_stop() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    drop(filled(&path, 1).await);
    let spoiled = rusqlite::Connection::open(&path).unwrap();
    let spoil = "alter table queue rename to elsewhere";
    spoiled.execute_batch(spoil).unwrap();
    drop(spoiled);

    assert!(SqliteStore::open(&path, options()).is_err());

    let lock = dir.path().join("tasks.db.lock");
    assert_eq!(std::fs::read(lock).unwrap(), b"");
}

#[tokio::test]
async fn stats_of_older_tables_say_what_brings_them_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    drop(open(&path));
    let connection = rusqlite::Connection::open(&path).unwrap();
    let older = "update meta set schema = 8; drop table minute; drop table operation";
    connection.execute_batch(older).unwrap();
    drop(connection);

    let said = stats(&path).unwrap_err().to_string();

    assert!(said.contains("taskyard db migrate"), "{said}");
}

#[tokio::test]
async fn a_start_that_was_refused_is_no_unclean_stop() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("theirs.db");
    let theirs = rusqlite::Connection::open(&path).unwrap();
    theirs
        .execute_batch("create table cakes (name text)")
        .unwrap();
    drop(theirs);

    let refused = SqliteStore::open(&path, options()).err();

    assert!(matches!(refused, Some(OpenError::Foreign(_))));
    assert!(!dir.path().join("theirs.db.lock").exists());
}

/// Every file of a folder, with what is in it.
fn all_files(dir: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(dir).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

/// Makes a database of some other program's, as that leaves it when it is killed, or stops.
fn theirs(path: &Path, mode: &str, is_killed: bool) {
    let made = tempfile::tempdir().unwrap();
    let made = made.path().join("theirs.db");
    let theirs = rusqlite::Connection::open(&made).unwrap();
    let mode = format!("pragma journal_mode = {mode};");
    theirs.execute_batch(&mode).unwrap();
    theirs.execute_batch("create table cakes (name)").unwrap();
    let theirs = Some(theirs).filter(|_| is_killed);
    std::fs::copy(&made, path).unwrap();
    let log = |database| super::super::log::of(database);
    if log(&made).exists() {
        std::fs::copy(log(&made), log(path)).unwrap();
    }
    assert_eq!(log(path).exists(), theirs.is_some());
}

#[test]
fn what_is_not_ours_stays_byte_for_byte_and_nothing_is_left_beside_it() {
    for (mode, is_killed) in [("delete", false), ("wal", false), ("wal", true)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("theirs.db");
        theirs(&path, mode, is_killed);
        let before = all_files(dir.path());

        let refused = SqliteStore::open(&path, options()).err();

        assert!(matches!(refused, Some(OpenError::Foreign(_))), "{mode}");
        assert!(all_files(dir.path()) == before, "{mode} {is_killed}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    std::fs::write(&path, "no database at all".repeat(100)).unwrap();
    let before = all_files(dir.path());

    let refused = SqliteStore::open(&path, options()).err();

    assert!(matches!(refused, Some(OpenError::Damaged { .. })));
    assert!(all_files(dir.path()) == before);
}

#[test]
fn what_another_program_had_half_changed_is_taken_back_by_that_program() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    theirs(&path, "delete", false);
    let changing = rusqlite::Connection::open(&path).unwrap();
    changing.execute_batch(HALF_A_CHANGE).unwrap();
    let cut_short = left_by_a_kill(&path, &dir.path().join("killed"));
    drop(changing);
    let before = all_files(cut_short.parent().unwrap());
    assert_eq!(before.len(), 2);

    let refused = SqliteStore::open(&cut_short, options()).err();

    assert!(matches!(refused, Some(OpenError::Foreign(_))));
    assert!(all_files(cut_short.parent().unwrap()) == before);
}

#[test]
fn a_database_of_another_program_is_refused_also_while_that_has_it_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("theirs.db");
    let theirs = rusqlite::Connection::open(&path).unwrap();
    theirs
        .execute_batch("pragma journal_mode = wal; create table cakes (name)")
        .unwrap();
    let names = || all_files(dir.path()).into_keys().collect::<Vec<_>>();
    let before = (names(), std::fs::read(&path).unwrap());

    let refused = SqliteStore::open(&path, options()).err();

    assert!(matches!(refused, Some(OpenError::Foreign(_))));
    assert_eq!((names(), std::fs::read(&path).unwrap()), before);
    theirs
        .execute_batch("insert into cakes values (1)")
        .unwrap();
}

#[test]
fn a_file_of_logs_that_is_not_ours_stays_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    theirs(&Part::Logs.of(&path), "delete", false);
    let logs = || {
        let mut files = all_files(dir.path());
        files.retain(|path, _| path.to_str().unwrap().contains(".logs"));
        files
    };
    let before = logs();

    drop(open(&path));

    assert!(logs() == before);
}

#[test]
fn a_database_from_which_a_table_was_taken_away_is_refused_and_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    for taken in ["table ready", "index task_by_lane"] {
        drop(SqliteStore::open(&path, options()).unwrap());
        let file = rusqlite::Connection::open(&path).unwrap();
        file.execute_batch(&format!("drop {taken}")).unwrap();
        drop(file);
        let before = std::fs::read(&path).unwrap();

        let refused = SqliteStore::open(&path, options()).err().unwrap();

        let (_, name) = taken.split_once(' ').unwrap();
        let said = refused.to_string();
        assert!(said.contains(&format!("{name} is not there")), "{said}");
        assert!(std::fs::read(&path).unwrap() == before);
        std::fs::remove_file(&path).unwrap();
    }
}
