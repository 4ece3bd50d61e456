//! `taskyard workers` with a verb.

use super::ask;
use crate::yard::Yard;

#[test]
fn workers_are_looked_after_from_the_command_line() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "2"]);
    while ask(&yard, &server, &["workers", "show", "worker-2"]).code != 0 {}

    let shown = ask(&yard, &server, &["workers", "show", "worker-2"]);
    for said in ["worker-2", "0/1", "0 completed, 0 failed"] {
        assert!(shown.stdout.contains(said), "{}", shown.stdout);
    }
    let killed = ask(&yard, &server, &["workers", "kill", "worker-2"]);
    assert!(killed.stdout.contains("offline"), "{}", killed.stdout);
    let deleted = ask(&yard, &server, &["workers", "delete", "worker-2"]);
    assert_eq!((deleted.code, deleted.stdout.as_str()), (0, ""));
    let scaled = ask(
        &yard,
        &server,
        &["workers", "scale", "3", "--output", "json"],
    );
    assert!(
        scaled.stdout.contains("\"desired\": 3"),
        "{}",
        scaled.stdout
    );
    let stopped = ask(&yard, &server, &["workers", "stop"]);
    assert!(stopped.stdout.contains("running  0"), "{}", stopped.stdout);
    let started = ask(&yard, &server, &["workers", "start", "--output", "quiet"]);
    assert_eq!(started.code, 0, "{}", started.stderr);
    assert!(started.stdout.lines().count() >= 3, "{}", started.stdout);
}

#[test]
fn what_is_wrong_names_the_next_step() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "1"]);
    while ask(&yard, &server, &["workers", "show", "worker-1"]).code != 0 {}

    for (words, code, said) in [
        (
            &["workers", "drain", "nobody"][..],
            1,
            "taskyard workers --all",
        ),
        (&["workers", "show", "nobody"][..], 1, "\"nobody\""),
        (&["workers", "delete", "worker-1"][..], 1, "drain it"),
        (&["workers", "scale", "51"][..], 2, "from 0 to 50"),
        (&["workers", "scale", "-1"][..], 2, "from 0 to 50"),
        (&["workers", "scale"][..], 2, "<N>"),
        (&["workers", "kill"][..], 2, "<WORKER>"),
    ] {
        let printed = ask(&yard, &server, words);
        assert_eq!(printed.code, code, "{words:?}: {}", printed.stderr);
        assert!(
            printed.stderr.contains(said),
            "{words:?}: {}",
            printed.stderr
        );
    }
}

#[test]
fn what_a_command_lists_alone_it_lists_by_that_word_as_well() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "2"]);
    while ask(&yard, &server, &["workers", "show", "worker-2"]).code != 0 {}
    let submitted = ask(&yard, &server, &["submit", "nobody", "1", "--queue", "a/b"]);
    assert_eq!(submitted.code, 0, "{}", submitted.stderr);

    for (command, listed) in [
        ("queues", "a/b\n"),
        ("workers", "worker-1\nworker-2\n"),
        ("operations", ""),
    ] {
        let alone = ask(&yard, &server, &[command, "--output", "quiet"]);
        let by_word = ask(&yard, &server, &[command, "list", "--output", "quiet"]);
        for printed in [alone, by_word] {
            assert_eq!(printed.code, 0, "{}", printed.stderr);
            assert_eq!(printed.stdout, listed, "{command}");
        }
    }
    // What stands with the one stands with the other.
    for flags in [
        &["workers", "list", "--all"][..],
        &["operations", "list", "--limit", "1"],
    ] {
        let printed = ask(&yard, &server, flags);
        assert_eq!(printed.code, 0, "{flags:?}: {}", printed.stderr);
    }
}
