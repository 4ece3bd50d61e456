//! `taskyard queues`.

use serde_json::{Value, json};

use super::ask;
use crate::yard::Yard;

#[test]
fn a_queue_is_paused_and_goes_on() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    let paused = ask(&yard, &server, &["queues", "pause", "a/b"]);
    assert_eq!(paused.code, 0, "{}", paused.stderr);
    assert!(paused.stdout.contains("paused"), "{}", paused.stdout);
    let new = "No task has used the queue a/b yet";
    assert!(paused.stderr.contains(new), "{}", paused.stderr);
    let submit = ["submit", "echo", "7", "--queue", "a/b", "--output", "quiet"];
    let id = ask(&yard, &server, &submit).stdout.trim().to_owned();

    let table = ask(&yard, &server, &["queues"]);
    let row = table.stdout.lines().nth(1).unwrap();
    let words: Vec<&str> = row.split_whitespace().take(3).collect();
    assert_eq!(words, ["a/b", "paused", "1"], "{}", table.stdout);

    let resumed = ask(&yard, &server, &["queues", "resume", "a/b"]);
    assert_eq!((resumed.code, resumed.stderr.as_str()), (0, ""));
    assert_eq!(ask(&yard, &server, &["wait", &id]).code, 0);
}

#[test]
fn every_queue_is_listed_however_many_pages_that_takes() {
    let yard = Yard::new();
    let server = yard.serve(&["--list-look-at-max", "2"]);
    let none = ask(&yard, &server, &["queues"]);
    assert!(none.stdout.starts_with("QUEUE"), "{}", none.stdout);
    assert!(none.stderr.contains("No queue"), "{}", none.stderr);
    let names = ["a", "b/1", "c", "d-long-name", "e"];
    for name in names {
        let submitted = ask(&yard, &server, &["submit", "nobody", "1", "--queue", name]);
        assert_eq!(submitted.code, 0, "{}", submitted.stderr);
    }

    let table = ask(&yard, &server, &["queues"]);
    let quiet = ask(&yard, &server, &["queues", "list", "--output", "quiet"]);
    let document = ask(&yard, &server, &["queues", "--output", "json"]);

    let first = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    let rows: Vec<String> = table.stdout.lines().skip(1).map(first).collect();
    assert_eq!(rows, names, "{}", table.stdout);
    assert_eq!(table.stdout.matches("QUEUE").count(), 1);
    let quiet: Vec<&str> = quiet.stdout.lines().collect();
    assert_eq!(quiet, names);
    let document: Value = serde_json::from_str(&document.stdout).unwrap();
    let items = document["items"].as_array().unwrap();
    let listed: Vec<&str> = items
        .iter()
        .map(|queue| queue["name"].as_str().unwrap())
        .collect();
    assert_eq!(listed, names);
    assert_eq!(document["next_cursor"], Value::Null);
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

#[test]
fn one_queue_is_shown_with_what_waits_and_what_is_set() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    let set = ["queues", "set", "images", "--timeout", "5m"];
    assert_eq!(ask(&yard, &server, &set).code, 0);
    ask(&yard, &server, &["queues", "pause", "images"]);
    for kind in ["nobody", "echo"] {
        let submitted = ask(&yard, &server, &["submit", kind, "1", "--queue", "images"]);
        assert_eq!(submitted.code, 0, "{}", submitted.stderr);
    }

    let table = ask(&yard, &server, &["queues", "show", "images"]).stdout;
    let document = ask(
        &yard,
        &server,
        &["queues", "show", "images", "--output", "json"],
    );
    let unknown = ask(&yard, &server, &["queues", "show", "imagse"]);

    for line in [
        "queue     images",
        "status    paused",
        "waiting   2 pending, 0 scheduled",
        "running   0",
        "defaults  timeout=5m",
    ] {
        assert!(table.lines().any(|shown| shown == line), "{table}");
    }
    assert!(
        table.lines().any(|line| line.starts_with("oldest    ")),
        "{table}"
    );
    let document: Value = serde_json::from_str(&document.stdout).unwrap();
    assert_eq!(document["queue"]["counts"]["pending"], 2, "{document}");
    assert!(document["windows"].is_array(), "{document}");
    assert_eq!(unknown.code, 1);
    for said in ["\"imagse\"", "`taskyard queues`"] {
        assert!(unknown.stderr.contains(said), "{}", unknown.stderr);
    }
}
