//! `taskyard retry`, and tasks that are submitted once however often they are.

use serde_json::Value;

use super::ask;
use crate::yard::{Printed, Yard};

fn id(printed: &Printed) -> String {
    assert_eq!(printed.code, 0, "{}", printed.stderr);
    printed.stdout.trim().to_owned()
}

#[test]
fn a_finished_task_runs_again_as_another() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    let quiet = ["--output", "quiet"];
    let first = id(&ask(
        &yard,
        &server,
        &[&["submit", "echo", "7"][..], &quiet].concat(),
    ));
    assert_eq!(ask(&yard, &server, &["wait", &first]).code, 0);

    let again = id(&ask(
        &yard,
        &server,
        &[&["retry", &first][..], &quiet].concat(),
    ));

    assert_ne!(again, first);
    assert_eq!(ask(&yard, &server, &["wait", &again]).code, 0);
    let shown = ask(&yard, &server, &["show", &again]);
    assert!(
        shown.stdout.contains(&format!("retry of  {first}")),
        "{}",
        shown.stdout
    );
}

#[test]
fn of_several_those_that_have_not_ended_are_told_of() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    let submit = ["submit", "nobody", "--in", "1h", "--output", "quiet"];
    let waits = id(&ask(&yard, &server, &submit));
    let ended = id(&ask(&yard, &server, &submit));
    assert_eq!(ask(&yard, &server, &["cancel", &ended]).code, 0);

    let both = ask(
        &yard,
        &server,
        &["retry", &waits, &ended, "--output", "json"],
    );

    assert_eq!(both.code, 1);
    assert!(both.stderr.contains(&waits), "{}", both.stderr);
    assert!(both.stderr.contains("has not ended"), "{}", both.stderr);
    let retried: Value = serde_json::from_str(&both.stdout).unwrap();
    assert_eq!(retried[0]["retry_of"], ended.as_str());
    assert_eq!(retried[1]["task_id"], waits.as_str());
    assert_eq!(retried[1]["problem"]["code"], "not_ended");
    let next = format!("`taskyard wait {waits}`");
    assert!(both.stderr.contains(&next), "{}", both.stderr);
}

#[test]
fn a_unique_key_answers_the_task_that_has_it() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    let submit = [
        "submit",
        "nobody",
        "--unique-key",
        "nightly",
        "--exclusive",
        "--output",
        "quiet",
    ];

    let first = id(&ask(&yard, &server, &submit));
    let again = ask(&yard, &server, &submit);
    let second = id(&again);

    assert_eq!(first, second);
    let told = "has this --unique-key and has not ended";
    assert!(again.stderr.contains(told), "{}", again.stderr);
    let shown = ask(&yard, &server, &["show", &first, "--output", "json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let task = &shown["task"];
    assert_eq!(
        (&task["unique_key"], &task["exclusive"]),
        (&"nightly".into(), &true.into())
    );
}
