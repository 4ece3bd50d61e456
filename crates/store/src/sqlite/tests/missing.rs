//! Files that are not where they were.

use super::super::file::Part;
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
    let lock = dir.path().join("theirs.db.lock");
    assert_eq!(std::fs::read(lock).unwrap(), b"");
}
