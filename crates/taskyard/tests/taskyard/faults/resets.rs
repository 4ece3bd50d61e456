//! Everything is taken away while workers are at work, and the server is killed over it.

use serde_json::json;
use taskyard_api::submit::Submit;
use taskyard_api::task::Status;

use crate::yard::{QUICK, Yard, run};

async fn goes_on_after(yard: &Yard) {
    let arguments = [&["--dev", "--internal-kinds", "noop,sleep"][..], &QUICK].concat();
    let server = yard.serve(&arguments);
    let _outside = yard.worker(&server, "outside", &["--kinds", "echo"]);
    let first = server.submit("echo", json!(1)).await;
    assert_eq!(server.ended(first).await.status, Status::Completed);
    let slow = server.submit("sleep", json!({"ms": 600_000})).await;
    let waits = server.submit("for-nobody", json!(1)).await;
    server
        .until(slow, |task| task.status == Status::Running)
        .await;

    server.client.reset().await.unwrap();

    for gone in [first, slow, waits] {
        let told = server.client.task(gone, None).await.unwrap_err();
        assert!(told.to_string().contains("no task"), "{told}");
    }
    // The workers inside are here again and take what comes, and so is the one outside.
    for kind in ["noop", "echo"] {
        let task = server.submit(kind, json!(1)).await;
        assert_eq!(server.ended(task).await.status, Status::Completed);
    }
    let said = server.client.reset().await.unwrap();
    server.stop();
    yard.is_well();
    let stats = ["db", "stats", "--database", &yard.database()];
    let stats = run(yard.directory.path(), &stats, &[]);
    assert!(stats.stdout.contains(&said.incarnation), "{}", stats.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_go_on_when_everything_was_taken_away() {
    goes_on_after(&Yard::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_go_on_when_everything_was_taken_away_on_postgres() {
    if let Some(yard) = Yard::on_postgres().await {
        goes_on_after(&yard).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_over_it_has_taken_all_away_or_nothing() {
    const TASKS: u64 = 500;
    const ROUNDS: usize = 6;
    let yard = Yard::new();
    for round in 0..ROUNDS {
        let server = yard.serve(&["--dev", "--internal-workers", "0"]);
        let total = async || server.client.stats().await.unwrap().total;
        if total().await == 0 {
            let tasks: Vec<_> = (0..TASKS)
                .map(|n| Submit::new("for-nobody", json!({ "n": n })))
                .collect();
            server.client.submit_batch(&tasks, None).await.unwrap();
        }
        let client = server.client.clone();
        let mut asked = tokio::spawn(async move { client.reset().await });
        // It has come somewhere by then, each time somewhere else, and to its end at last.
        let answered_before = if round + 1 == ROUNDS {
            Some((&mut asked).await)
        } else {
            for _ in 0..round {
                server.client.health().await.unwrap();
            }
            None
        };
        server.process.kill();
        let answered = match answered_before {
            Some(answered) => answered,
            None => asked.await,
        };
        let is_done = answered.unwrap().is_ok();
        assert!(is_done || round + 1 < ROUNDS);
        yard.is_well();

        let server = yard.serve(&["--dev", "--internal-workers", "0"]);
        let left = server.client.stats().await.unwrap().total;
        // What was acknowledged holds; what was not is all or nothing.
        assert!(left == 0 || (left == TASKS && !is_done), "{left}");
        server.stop();
    }
}

#[test]
fn a_database_is_emptied_only_if_that_is_meant_and_no_server_is_there() {
    let yard = Yard::new();
    let database = yard.database();
    let command = |words: &[&str]| {
        let words = [words, &["--database", &database]].concat();
        run(yard.directory.path(), &words, &[])
    };
    let nothing = command(&["db", "reset", "--yes"]);
    assert_eq!(nothing.code, 2, "{}", nothing.stderr);
    let server = yard.serve(&["--internal-workers", "0"]);

    let in_use = command(&["db", "reset", "--yes"]);
    server.stop();
    let not_asked = command(&["db", "reset"]);
    let done = command(&["db", "reset", "--yes"]);
    let again = command(&["db", "reset", "--yes", "--output", "json"]);

    assert_eq!(in_use.code, 1);
    assert!(in_use.stderr.contains("in use"), "{}", in_use.stderr);
    assert_eq!(not_asked.code, 2);
    assert!(not_asked.stderr.contains("--yes"), "{}", not_asked.stderr);
    for emptied in [done, again] {
        assert_eq!(emptied.code, 0, "{}", emptied.stderr);
        assert!(emptied.stdout.contains("tasks.db"), "{}", emptied.stdout);
    }
    yard.is_well();
}
