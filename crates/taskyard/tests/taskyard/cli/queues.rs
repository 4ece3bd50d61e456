//! `taskyard queues`.

use serde_json::{Value, json};

use crate::yard::{Printed, Server, Yard, run};

fn ask(yard: &Yard, server: &Server, arguments: &[&str]) -> Printed {
    run(
        yard.directory.path(),
        arguments,
        &[("TASKYARD_URL", &server.url)],
    )
}

#[test]
fn a_queue_is_paused_and_goes_on() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    let paused = ask(&yard, &server, &["queues", "pause", "a/b"]);
    assert_eq!(paused.code, 0, "{}", paused.stderr);
    assert!(paused.stdout.contains("paused"), "{}", paused.stdout);
    let submit = ["submit", "echo", "7", "--queue", "a/b", "--output", "quiet"];
    let id = ask(&yard, &server, &submit).stdout.trim().to_owned();

    let table = ask(&yard, &server, &["queues"]);
    let row = table.stdout.lines().nth(1).unwrap();
    let words: Vec<&str> = row.split_whitespace().take(3).collect();
    assert_eq!(words, ["a/b", "paused", "1"], "{}", table.stdout);

    let resumed = ask(&yard, &server, &["queues", "resume", "a/b"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    assert_eq!(ask(&yard, &server, &["wait", &id]).code, 0);
}

#[test]
fn what_tasks_take_is_set_and_given_back() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    let set = [
        "queues",
        "set",
        "slow",
        "--max-attempts",
        "3",
        "--timeout",
        "5m",
        "--output",
        "json",
    ];
    let set: Value = serde_json::from_str(&ask(&yard, &server, &set).stdout).unwrap();
    let expected = json!({"max_attempts": 3, "timeout_ms": 300_000, "retry": null});
    assert_eq!(set["defaults"], expected);

    let back = ask(
        &yard,
        &server,
        &["queues", "set", "slow", "--timeout", "default"],
    );
    assert!(back.stdout.contains("attempts=3"), "{}", back.stdout);
    assert!(!back.stdout.contains("timeout"), "{}", back.stdout);

    for (wrong, said) in [
        (&["queues", "set", "slow"][..], "give one of --max-attempts"),
        (&["queues", "set", "slow", "--timeout", "5"][..], "unit"),
        (&["queues", "pause"][..], "QUEUE"),
    ] {
        let refused = ask(&yard, &server, wrong);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
    let refused = ask(
        &yard,
        &server,
        &["queues", "set", "slow", "--max-attempts", "0"],
    );
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("--max-attempts"),
        "{}",
        refused.stderr
    );
}
