//! Answers that are lost on their way to the command line.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::way::{Fate, way_to};
use crate::yard::{Printed, Server, Yard, run};

fn total(yard: &Yard, server: &Server) -> usize {
    let listed = run(
        yard.directory.path(),
        &["list", "--output", "quiet"],
        &[("TASKYARD_URL", &server.url)],
    );
    listed.stdout.lines().count()
}

fn ask(yard: &Yard, url: &str, arguments: &[&str]) -> Printed {
    run(yard.directory.path(), arguments, &[("TASKYARD_URL", url)])
}

#[test]
fn a_submit_whose_answer_was_lost_is_said_again_and_done_once() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    std::fs::write(yard.path("inputs"), "1\n2\n").unwrap();
    let first_is_lost = |_: &str, before| match before {
        0 => Fate::IsLost,
        _ => Fate::Passes,
    };

    let mut tasks = 0;
    for (arguments, more) in [
        (&["echo", "1", "--output", "quiet"][..], 1),
        (&["echo", "1", "--wait", "--output", "quiet"], 1),
        (&["echo", "1", "--idempotency-key", "k"], 1),
        (&["echo", "--each-line", "inputs"], 2),
    ] {
        let (url, submits) = way_to(&server, first_is_lost);
        let submitted = ask(&yard, &url, &[&["submit"], arguments].concat());

        assert_eq!(submitted.code, 0, "{arguments:?}: {}", submitted.stderr);
        assert_eq!(submits.load(Ordering::SeqCst), 2, "{arguments:?}");
        tasks += more;
        assert_eq!(total(&yard, &server), tasks, "{arguments:?}");
    }
}

#[test]
fn a_submit_that_reached_the_server_too_slowly_or_in_part_is_sent_again() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    for (tasks, (status, code)) in
        (1..).zip([(408, "body_timeout"), (400, "broken_body"), (502, "")])
    {
        let first_is_cut = move |_: &str, before| match before {
            0 => Fate::IsAnswered(status, json!({ "status": status, "code": code })),
            _ => Fate::Passes,
        };
        let (url, submits) = way_to(&server, first_is_cut);

        let submitted = ask(&yard, &url, &["submit", "echo", "1"]);

        assert_eq!(submitted.code, 0, "{code}: {}", submitted.stderr);
        assert_eq!(submits.load(Ordering::SeqCst), 2, "{code}");
        assert_eq!(total(&yard, &server), tasks, "{code}");
    }
}

#[test]
fn a_submit_that_stays_unanswered_says_how_to_make_sure() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    let (url, submits) = way_to(&server, |_, _| Fate::IsLost);

    let arguments = ["submit", "echo", "1", "--server-wait", "0s"];
    let lost = ask(&yard, &url, &arguments);

    assert_eq!(lost.code, 3, "{}", lost.stderr);
    assert_eq!(submits.load(Ordering::SeqCst), 1);
    let (_, once) = lost.stderr.split_once("--id ").expect(&lost.stderr);
    let id = once.split_whitespace().next().unwrap();
    let again = ask(
        &yard,
        &server.url,
        &["submit", "echo", "1", "--id", id, "--output", "quiet"],
    );
    assert_eq!(again.stdout.trim(), id, "{}", again.stderr);
    assert_eq!(total(&yard, &server), 1);
}

#[test]
fn what_the_server_refused_is_not_perhaps_submitted() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    for (status, code) in [(507, "disk_full"), (503, "unavailable")] {
        let refuses = move |_: &str, _| {
            let title = "Not now";
            Fate::IsAnswered(
                status,
                json!({ "title": title, "status": status, "code": code }),
            )
        };
        let (url, _) = way_to(&server, refuses);
        for input in [&["1"][..], &["--each-line", "inputs"]] {
            std::fs::write(yard.path("inputs"), "1\n").unwrap();
            let submit = ["submit", "echo", "--server-wait", "10ms"];

            let refused = ask(&yard, &url, &[&submit[..], input].concat());

            assert_eq!(refused.code, 1, "{}", refused.stderr);
            for doubt in ["Perhaps", "known to be submitted"] {
                assert!(!refused.stderr.contains(doubt), "{}", refused.stderr);
            }
        }
    }
    assert_eq!(total(&yard, &server), 0);
}

#[test]
fn a_clock_that_is_wrong_keeps_nobody_from_submitting() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    let ids_are_old = |request: &str, _| {
        let Some((_, id)) = request.split_once(r#""id":""#) else {
            return Fate::Passes;
        };
        Fate::IsAnswered(
            422,
            json!({
                "type": "/problems/invalid", "title": "Invalid value", "status": 422, "code": "invalid",
                "detail": "not of these 24 hours", "task_id": &id[..36],
            }),
        )
    };
    let (url, submits) = way_to(&server, ids_are_old);

    let submitted = ask(&yard, &url, &["submit", "echo", "1"]);

    assert_eq!(submitted.code, 0, "{}", submitted.stderr);
    assert_eq!(submits.load(Ordering::SeqCst), 2);
    assert_eq!(total(&yard, &server), 1);
}
