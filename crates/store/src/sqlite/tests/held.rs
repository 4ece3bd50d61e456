//! The lock that keeps a second server away.

use super::*;

#[test]
fn a_second_server_is_kept_away_until_the_first_has_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let first = open(&path);

    let second = SqliteStore::open(&path, options());

    assert!(matches!(second.err(), Some(OpenError::InUse { .. })));
    drop(first);
    open(&path);
}

#[test]
fn who_keeps_a_second_server_away_is_named_as_far_as_that_said_who_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let lock = dir.path().join("tasks.db.lock");
    // More than is written now, so that the rest of it shows if it stays.
    std::fs::write(&lock, format!("running\n{}", "process 1\n".repeat(20))).unwrap();
    let process = std::process::id();
    let cases = [
        (None, format!("another server (process {process}); stop")),
        (
            Some("127.0.0.1:8000".parse().unwrap()),
            format!("another server (process {process}, which listens on 127.0.0.1:8000); stop"),
        ),
    ];

    for (listens_on, expected) in cases {
        let first = Options {
            listens_on,
            ..options()
        };
        let first = SqliteStore::open(&path, first).unwrap();
        let said = refused(&path);
        assert!(said.contains(&expected), "{said}");
        drop(first);
        assert_eq!(std::fs::read(&lock).unwrap(), b"");
    }
    let first = open(&path);
    // As an older program says it.
    std::fs::write(&lock, "running\n").unwrap();
    let said = refused(&path);
    assert!(said.contains("by another server; stop"), "{said}");
    drop(first);
}

fn refused(path: &Path) -> String {
    let second = SqliteStore::open(path, options());
    second.err().expect("it is in use").to_string()
}

#[tokio::test]
async fn a_second_server_is_kept_away_also_when_the_file_of_the_lock_was_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let first = open(&path);
    let beside = dir.path().join("tasks.db.lock");
    std::fs::remove_file(&beside).unwrap();

    for _ in 0..2 {
        let second = SqliteStore::open(&path, options());
        assert!(matches!(second.err(), Some(OpenError::InUse { .. })));
    }

    // The first one works on beside it, and who only looks is let in.
    let made = task("work", 1, 0);
    run::<taskyard_core::verbs::submit::Submitted>(&first, submit(vec![made.clone()])).await;
    assert_eq!(view(&first, made.id).await.status(), Status::Pending);
    assert_eq!(check(&path).unwrap(), [] as [&str; 0]);
    drop(first);
    let next = open(&path);
    assert!(next.check.is_none(), "the stop was a clean one");
    assert_eq!(view(&next, made.id).await.status(), Status::Pending);
}
