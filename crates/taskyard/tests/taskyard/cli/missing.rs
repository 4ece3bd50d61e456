//! A server whose files are not where they were.

use serde_json::json;

use crate::yard::{Printed, Yard, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_is_not_begun_anew_beside_its_logs() {
    let yard = Yard::new();
    let program = ["--internal-workers", "1", "--allow-command", "any"];
    let server = yard.serve(&program);
    server.process.log_with("a new one was made");
    let task = server
        .submit("command", json!({"argv": ["echo", "printed"]}))
        .await;
    server.ended(task).await;
    assert_eq!(server.stop().code(), Some(0));
    let (database, elsewhere) = (yard.path("tasks.db"), yard.path("elsewhere.db"));
    std::fs::rename(&database, &elsewhere).unwrap();

    let serve = ["serve", "--listen", "127.0.0.1:0", "--database"];
    let address = yard.database();
    let arguments = [&serve[..], &[&address]].concat();
    let refused = run(yard.directory.path(), &arguments, &[]);

    assert_eq!(refused.code, 1);
    for said in ["tasks.db.logs", "missing or empty", "db restore"] {
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
    std::fs::rename(&elsewhere, &database).unwrap();
    let server = yard.serve(&[]);
    let log = server.log_of_start();
    assert_eq!(log.matches("a new one was made").count(), 1, "{log}");
    let printed = run(
        yard.directory.path(),
        &["logs", &task.to_string(), "--server", &server.url],
        &[],
    );
    assert!(printed.stdout.contains("printed"), "{}", printed.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_removed_after_a_kill_is_told_of() {
    let yard = Yard::new();
    // There are tables without the log, too.
    assert_eq!(yard.serve(&[]).stop().code(), Some(0));
    let server = yard.serve(&["--internal-workers", "0"]);
    server.submit("echo", json!(1)).await;
    server.process.kill();
    let told = "(-wal) is gone";
    let is_told = |log: &str| log.contains(told);

    let server = yard.serve(&["--internal-workers", "0"]);
    let log = server.log_of_start();
    assert!(!is_told(&log), "{log}");
    server.process.kill();
    yard.is_well();
    std::fs::remove_file(yard.path("tasks.db-wal")).unwrap();

    let database = yard.database();
    let check = ["db", "check", "--database", &database];
    let checked = run(yard.directory.path(), &check, &[]);
    assert_eq!(checked.code, 1);
    assert!(is_told(&checked.stdout), "{}", checked.stdout);
    let copy = yard.path("copy.db").display().to_string();
    let backup = ["db", "backup", &copy, "--database", &database];
    let taken = run(yard.directory.path(), &backup, &[]);
    assert_eq!(taken.code, 0, "{}", taken.stderr);
    assert!(is_told(&taken.stderr), "{}", taken.stderr);
    let lock = std::fs::read(yard.path("tasks.db.lock")).unwrap();
    let server = yard.serve(&["--internal-workers", "0"]);

    server.process.log_with(told);

    assert_eq!(server.stop().code(), Some(0));
    for verb in ["migrate", "renew"] {
        // As the kill had left it.
        std::fs::write(yard.path("tasks.db.lock"), &lock).unwrap();
        let done = run(
            yard.directory.path(),
            &["db", verb, "--database", &database],
            &[],
        );
        assert_eq!(done.code, 0, "{verb}: {}", done.stderr);
        assert!(is_told(&done.stderr), "{verb}: {}", done.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_has_nothing_wrong() {
    let mut yards = vec![Yard::new()];
    std::fs::write(yards[0].path("tasks.db"), "").unwrap();
    yards.extend(Yard::on_postgres().await);

    for yard in yards {
        let database = yard.database();
        let check = ["db", "check", "--output", "json", "--database", &database];
        let checked = run(yard.directory.path(), &check, &[]);

        assert_eq!((checked.code, checked.stdout.trim()), (0, "[]"));
        let said = "is empty: nothing was stored yet; a start makes it Taskyard's";
        assert!(checked.stderr.contains(said), "{}", checked.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_empty_database_each_verb_tells_the_next_step_and_makes_nothing_of_it() {
    let file = Yard::new();
    std::fs::write(file.path("tasks.db"), "").unwrap();
    let mut cases = vec![(file, vec![&["backup", "copy.db"][..]])];
    cases.extend(Yard::on_postgres().await.map(|yard| (yard, Vec::new())));

    for (yard, mut verbs) in cases {
        verbs.extend([&["stats"][..], &["renew"], &["reset", "--yes"]]);
        for verb in verbs {
            let said = db(&yard, verb, &yard.database());

            assert_eq!((said.code, &*said.stdout), (1, ""), "{verb:?}");
            let next = "is empty: nothing was stored yet; a start makes it Taskyard's";
            assert!(said.stderr.contains(next), "{verb:?}: {}", said.stderr);
        }
        assert!(!yard.path("copy.db").exists());
        assert_eq!(db(&yard, &["migrate"], &yard.database()).code, 0);
        yard.is_well();
    }
}

#[test]
fn of_another_programs_file_each_verb_tells_the_next_step() {
    let yard = Yard::new();
    assert_eq!(db(&yard, &["migrate"], &yard.database()).code, 0);
    // It is a database, and none of tasks.
    let theirs = format!("{}.logs", yard.database());

    for verb in [
        &["migrate"][..],
        &["check"],
        &["stats"],
        &["backup", "copy.db"],
        &["renew"],
        &["reset", "--yes"],
    ] {
        let said = db(&yard, verb, &theirs);

        assert_eq!((said.code, &*said.stdout), (1, ""), "{verb:?}");
        let next = "of some other program; nothing in it was changed. Name another file";
        assert!(said.stderr.contains(next), "{verb:?}: {}", said.stderr);
    }
    assert!(!yard.path("copy.db").exists());
    yard.is_well();
}

fn db(yard: &Yard, verb: &[&str], database: &str) -> Printed {
    let arguments = [&["db"][..], verb, &["--database", database]].concat();
    run(yard.directory.path(), &arguments, &[])
}
