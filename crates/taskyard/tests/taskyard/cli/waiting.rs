//! Waiting for many tasks, and changing one that waits.

use std::io::Write as _;
use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::ask;
use crate::yard::{Printed, Server, Yard, taskyard};

/// The same, with this on its standard input.
fn ask_with(yard: &Yard, server: &Server, arguments: &[&str], input: &str) -> Printed {
    let mut command = taskyard();
    command
        .args(arguments)
        .env("TASKYARD_URL", &server.url)
        .current_dir(yard.directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Printed {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

const LINES: &str = "exit 0\n\nexit 3\necho of it\n";
const EACH_LINE: [&str; 8] = [
    "submit",
    "command",
    "--each-line",
    "-",
    "--",
    "sh",
    "-c",
    "{}",
];

#[test]
fn a_submit_of_many_waits_for_all_and_ends_with_the_worst() {
    let yard = Yard::new();
    let server = yard.serve(&["--allow-command", "sh"]);
    let waits = |format: &[&str]| {
        let arguments = [&EACH_LINE[..2], &["--wait"], format, &EACH_LINE[2..]].concat();
        ask_with(&yard, &server, &arguments, LINES)
    };

    let table = waits(&[]);
    assert_eq!(table.code, 4, "{}", table.stderr);
    assert_eq!(table.stderr.trim(), "2 completed, 1 failed");
    let statuses: Vec<&str> = table
        .stdout
        .lines()
        .map(|line| line.split_whitespace().nth(1).unwrap())
        .collect();
    assert_eq!(statuses, ["STATUS", "completed", "failed", "completed"]);

    let document = waits(&["--output", "json"]);
    assert_eq!((document.code, document.stderr.as_str()), (4, ""));
    let tasks: Value = serde_json::from_str(&document.stdout).unwrap();
    assert_eq!(tasks[1]["status"], "failed");
    assert_eq!(tasks[2]["output"]["stdout"], "of it\n");

    let quiet = waits(&["--output", "quiet"]);
    assert_eq!((quiet.code, quiet.stdout.lines().count()), (4, 3));
}

#[test]
fn ids_that_are_waited_for_come_from_standard_input() {
    let yard = Yard::new();
    let server = yard.serve(&["--allow-command", "sh"]);
    let submitted = ask_with(&yard, &server, &EACH_LINE, LINES);
    let ids = submitted.stdout;

    let waited = ask_with(&yard, &server, &["wait", "-", "--output", "quiet"], &ids);
    assert_eq!((waited.code, waited.stdout), (4, ids.clone()));

    let said = |input: &str| ask_with(&yard, &server, &["wait", "-"], input);
    let refused = said(&format!("{ids}\nno-id\n"));
    assert_eq!(refused.code, 2);
    let named = "line 5 of standard input names no task";
    assert!(refused.stderr.contains(named), "{}", refused.stderr);
    let none = said("\n");
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("names no task"), "{}", none.stderr);

    let listed = ask(&yard, &server, &["list", "--status", "completed"]);
    let of_one = listed.stdout.lines().find(|line| line.ends_with("  of it"));
    assert!(of_one.is_some(), "{}", listed.stdout);
}

#[test]
fn a_submit_of_many_that_is_interrupted_says_how_it_waits_again() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    std::fs::write(yard.path("lines"), "1\n2\n").unwrap();
    let submit = ["submit", "nobody", "--each-line", "lines", "--wait"];

    let first = yard.command(&server, "first", &submit);
    while !first.log().contains("The task waits") {}
    first.signal(Signal::SIGINT);
    let printed = first.finish();

    assert_eq!(printed.code, 130);
    let (_, key) = printed.stderr.split_once("--idempotency-key ").unwrap();
    let key = key.split_whitespace().next().unwrap();
    assert_eq!(ask(&yard, &server, &["cancel", "--all"]).code, 0);
    let again = [&submit[..], &["--idempotency-key", key]].concat();
    let again = ask(&yard, &server, &again);
    assert_eq!(again.code, 6, "{}", again.stderr);
    assert!(again.stderr.contains("2 cancelled"), "{}", again.stderr);
}

#[test]
fn a_task_that_waits_is_given_another_time_and_priority() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "1"]);
    let submit = |arguments: &[&str]| {
        let submitted = ask(&yard, &server, arguments);
        submitted.stdout.trim().to_owned()
    };
    let id = submit(&["submit", "echo", "1", "--in", "1h", "--output", "quiet"]);
    let explained = ask(&yard, &server, &["explain", &id]);
    let hint = format!("taskyard patch {id} --now");
    assert!(explained.stdout.contains(&hint), "{}", explained.stdout);

    let later = ["patch", &id, "--in", "2h", "--priority", "-7"];
    let later = ask(
        &yard,
        &server,
        &[&later[..], &["--output", "json"]].concat(),
    );
    let patched: Value = serde_json::from_str(&later.stdout).unwrap();
    assert_eq!(patched["priority"], -7);
    assert_eq!(patched["status"], "scheduled");
    let now = ask(&yard, &server, &["patch", &id, "--now"]);
    assert_eq!(now.code, 0, "{}", now.stderr);
    assert!(now.stdout.contains("priority  -7"), "{}", now.stdout);
    assert_eq!(ask(&yard, &server, &["wait", &id]).code, 0);

    let ended = ask(&yard, &server, &["patch", &id, "--now"]);
    assert_eq!(ended.code, 1);
    let step = format!("`taskyard retry {id}`");
    assert!(ended.stderr.contains(&step), "{}", ended.stderr);
    let nothing = ask(&yard, &server, &["patch", &id]);
    assert_eq!(nothing.code, 2);
    assert!(nothing.stderr.contains("give one of --now"));
    let both = ask(&yard, &server, &["patch", &id, "--now", "--in", "1h"]);
    assert_eq!(both.code, 2);
}

#[test]
fn what_would_help_a_command_is_nothing_that_was_said_already() {
    let begin = "start a worker: taskyard worker --kinds command --allow-command PROGRAM; or ";
    let scale = "have this server run it, which has no internal workers: taskyard workers scale 1";
    let again = "start this server again with";
    let name_it = format!("{again} `command` among --internal-kinds");
    for (flags, helps) in [
        ("--simulate --internal-workers 0", scale.to_owned()),
        ("--simulate --internal-kinds echo", name_it.clone()),
        (
            "--allow-command any --internal-kinds echo",
            format!("{begin}{name_it}"),
        ),
        (
            "--allow-command any --internal-workers 0",
            format!("{begin}{scale}"),
        ),
        (
            "--internal-kinds echo",
            format!("{begin}{again} --allow-command PROGRAM and `command` among --internal-kinds"),
        ),
        (
            "--internal-workers 0",
            format!("{begin}{again} --allow-command PROGRAM and --internal-workers 1"),
        ),
    ] {
        let yard = Yard::new();
        let flags: Vec<&str> = flags.split(' ').collect();
        let server = yard.serve(&flags);
        let submit = ["submit", "command", "--output", "quiet", "--", "true"];
        let id = ask(&yard, &server, &submit).stdout.trim().to_owned();

        let explained = ask(&yard, &server, &["explain", &id, "--output", "json"]);

        let explained: Value = serde_json::from_str(&explained.stdout).unwrap();
        let reason = &explained["reasons"][0];
        assert_eq!(reason["code"], "no_worker_for_kind", "{flags:?}");
        assert_eq!(reason["action"], helps, "{flags:?}");
        if helps.ends_with("scale 1") {
            let scaled = ask(&yard, &server, &["workers", "scale", "1"]);
            assert_eq!(scaled.code, 0, "{}", scaled.stderr);
            assert_eq!(ask(&yard, &server, &["wait", &id]).code, 0, "{flags:?}");
        }
    }
}

#[test]
fn how_long_a_task_waits_after_failures_is_said_by_flags() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let json = |arguments: &[&str]| -> Value {
        let printed = ask(&yard, &server, arguments);
        assert_eq!(printed.code, 0, "{}", printed.stderr);
        serde_json::from_str(&printed.stdout).unwrap()
    };
    let more = ["--backoff-factor", "3", "--backoff-max", "1h"];
    let submit = ["submit", "noop", "--backoff", "5s", "--output", "json"];

    let submitted = json(&[&submit[..], &more].concat());
    let id = submitted["id"].as_str().unwrap();
    let shown = json(&["show", id, "--output", "json"]);
    let expected = json!({"backoff_ms": 5000, "factor": 3.0, "max_ms": 3_600_000, "jitter": 0.2});
    assert_eq!(shown["task"]["retry"], expected);

    let set = ["queues", "set", "slow", "--backoff-jitter", "0"];
    let set = json(&[&set[..], &["--output", "json"]].concat());
    let expected = json!({"backoff_ms": 1000, "factor": 2.0, "max_ms": 600_000, "jitter": 0.0});
    assert_eq!(set["defaults"]["retry"], expected);
    let told = ask(
        &yard,
        &server,
        &["queues", "set", "slow", "--backoff", "2s"],
    );
    assert!(told.stdout.contains("backoff=2s"), "{}", told.stdout);
    let back = ["queues", "set", "slow", "--backoff", "default"];
    let given_back = json(&[&back[..], &["--output", "json"]].concat());
    assert_eq!(given_back["defaults"]["retry"], Value::Null);
    let refused = ask(&yard, &server, &[&back[..], &more[..2]].concat());
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("--backoff default"));
}
