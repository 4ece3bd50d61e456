//! What commands refuse, by what exit code, and what they say to it.

use super::ask;
use crate::yard::{Printed, Yard, run};

fn check(printed: &Printed, code: i32, names: &[&str]) {
    assert_eq!(printed.code, code, "{}", printed.stderr);
    for name in names {
        let said = &printed.stderr;
        assert!(said.contains(name), "{name} is missing in: {said}");
    }
}

#[test]
fn a_refused_line_is_named() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0", "--input-max", "1KiB"]);
    let each_line = ["submit", "echo", "--each-line", "lines"];
    let long = format!("\"{}\"", "x".repeat(2000));

    std::fs::write(yard.path("lines"), format!("1\n\n2\n{long}\n")).unwrap();
    check(
        &ask(&yard, &server, &each_line),
        2,
        &["line 4 of lines: the input: "],
    );

    // In the second piece, too.
    let many = "1\n".repeat(10_001);
    std::fs::write(yard.path("lines"), format!("{many}{long}\n")).unwrap();
    let names = ["line 10002 of lines: the input: ", "10000 of 10002 tasks"];
    check(&ask(&yard, &server, &each_line), 2, &names);

    std::fs::write(yard.path("lines"), b"1\n\"\xff\"\n").unwrap();
    check(
        &ask(&yard, &server, &each_line),
        2,
        &["line 2 of lines is not UTF-8"],
    );
}

#[test]
fn what_is_wrong_comes_with_the_usage_of_its_own_command() {
    let yard = Yard::new();
    let many = run(yard.directory.path(), &["workers", "scale", "many"], &[]);
    check(&many, 2, &["'many'", "a whole number from 0 to 50"]);
    for environment in [("TASKYARD_LEASE", "long"), ("LEASE_SECONDS", "long")] {
        let printed = run(yard.directory.path(), &["serve"], &[environment]);
        check(&printed, 2, &[environment.0, "Usage: taskyard serve "]);
    }
}

#[test]
fn an_input_that_never_ends_is_refused() {
    let yard = Yard::new();
    let endless = ["submit", "echo", "@/dev/zero", "--text"];
    let said = ["/dev/zero holds more than 256 MiB"];
    check(&run(yard.directory.path(), &endless, &[]), 2, &said);
}

#[test]
fn lines_under_a_key_that_stands_for_others_say_what_to_do() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let each_line = [
        "submit",
        "echo",
        "--each-line",
        "lines",
        "--idempotency-key",
        "k",
    ];
    let many = "1\n".repeat(10_000);

    std::fs::write(yard.path("lines"), format!("{many}2\n")).unwrap();
    check(&ask(&yard, &server, &each_line), 0, &[]);
    std::fs::write(yard.path("lines"), format!("{many}3\n")).unwrap();
    let other = ask(&yard, &server, &each_line);

    let names = [
        "10000 tasks are known",
        "from line 10001 on",
        "with another key",
    ];
    check(&other, 2, &names);
    assert!(
        !other.stderr.contains("submits the rest"),
        "{}",
        other.stderr
    );
}

#[test]
fn a_name_has_one_value() {
    let yard = Yard::new();
    for arguments in [
        &["submit", "noop", "--label", "a=1", "--label", "a=2"][..],
        &["submit", "noop", "--require", "a=1", "--require", "a=2"],
        &["worker", "--label", "a=1,b=1", "--label", "a=1"],
    ] {
        let printed = run(yard.directory.path(), arguments, &[]);

        check(&printed, 2, &["a= is given twice"]);
    }
}

#[test]
fn a_value_that_begins_with_a_hyphen_is_refused_as_a_value() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (arguments, names) in [
        (
            &["submit", "noop", "--in", "-5s"][..],
            &["--in", "'-5s'"][..],
        ),
        (
            &["submit", "noop", "--timeout", "-5s"],
            &["--timeout", "'-5s'"],
        ),
        (
            &["submit", "noop", "--server-wait", "-1s"],
            &["--server-wait", "'-1s'"],
        ),
        (&["wait", id, "--for", "-5s"], &["--for", "'-5s'"]),
        (
            &["submit", "noop", "--max-attempts", "-1"],
            &["--max-attempts: ", "from 1"],
        ),
        (
            &["submit", "noop", "--max-losses", "-1"],
            &["--max-losses: ", "from 1"],
        ),
        (
            &["list", "--limit", "-1"],
            &["--limit", "expected a whole number from 1 to 1000"],
        ),
    ] {
        let printed = ask(&yard, &server, arguments);

        check(&printed, 2, names);
        assert!(!printed.stderr.contains("unexpected"), "{}", printed.stderr);
    }
}

#[test]
fn what_is_refused_is_called_by_its_flag() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    for (arguments, code, names) in [
        (
            &["submit", "noop", "--timeout", "0s"][..],
            2,
            &["--timeout: must be from 1 to", "milliseconds"][..],
        ),
        (
            &["submit", "noop", "--priority", "101"],
            2,
            &["--priority: "],
        ),
        (&["submit", "noop", "--label", "a b=1"], 2, &["--label"]),
        (
            &["submit", "noop", "--backoff", "1s", "--backoff-factor", "0"],
            2,
            &["--backoff-factor: must be from 1"],
        ),
        (
            &["submit", "noop", "--require", "gpu>=3"],
            2,
            &["'gpu>=3'", "gpu=>=3"],
        ),
        (
            &["submit", "noop", "--priority", "high"],
            2,
            &["--priority", "expected a whole number"],
        ),
        (
            &["list", "--limit", "zz"],
            2,
            &["--limit", "expected a whole number from 1 to 1000"],
        ),
        (
            &["submit", "echo", r#"{"a":1,"a":2}"#],
            2,
            &["the input: ", "at byte 7"],
        ),
        (&["list", "--cursor", "x"], 2, &["--cursor: "]),
        (
            &["queues", "pause", "a b"],
            2,
            &["it is no name", "<QUEUE>"],
        ),
        (
            &["workers", "show", "a/b"],
            2,
            &["it is no name", "<WORKER>"],
        ),
        (
            &[
                "operations",
                "cancel",
                "01890a5d-ac96-774b-bcce-b302099a8057",
            ],
            1,
            &["`taskyard operations`"],
        ),
    ] {
        let printed = ask(&yard, &server, arguments);

        check(&printed, code, names);
        assert!(!printed.stderr.contains("): /"), "{}", printed.stderr);
    }
}

#[test]
fn the_usage_is_of_the_command_wherever_its_settings_come_from() {
    let yard = Yard::new();
    for (arguments, usage) in [
        (&["wait"][..], "Usage: taskyard wait [OPTIONS] <TASK>..."),
        (
            &["queues", "pause"],
            "Usage: taskyard queues pause [OPTIONS] <QUEUE>",
        ),
    ] {
        let url = [("TASKYARD_URL", "http://127.0.0.1:1")];
        let printed = run(yard.directory.path(), arguments, &url);

        check(&printed, 2, &[usage]);
    }
}

#[test]
fn a_command_without_a_program_is_refused() {
    let yard = Yard::new();
    for arguments in [
        &["submit", "command", "--wait", "--"][..],
        &["submit", "command"],
    ] {
        let printed = run(yard.directory.path(), arguments, &[]);

        check(&printed, 2, &["submit command -- wc"]);
    }
}

#[test]
fn what_is_wrong_with_the_input_or_a_setting_has_one_exit_code() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0", "--input-max", "1KiB"]);
    let long = format!("\"{}\"", "x".repeat(100_000));

    check(
        &ask(&yard, &server, &["submit", "noop", &long]),
        2,
        &["413"],
    );
    check(&ask(&yard, &server, &["submit", "no op"]), 2, &["422"]);
    check(
        &ask(&yard, &server, &["serve", "--listen", "foo"]),
        2,
        &["--listen", "foo"],
    );
}

#[test]
fn what_a_worker_cannot_be_is_said_by_its_flags_before_a_server_is_asked() {
    let yard = Yard::new();
    let many = vec!["q"; 257].join(",");
    let long = format!("gpu={}", "x".repeat(65));
    // No server listens there; whoever asked one would end with 3.
    let nowhere = [("TASKYARD_URL", "http://127.0.0.1:9")];
    for (arguments, names) in [
        (["--name", "a b"], ["--name", "may hold only"]),
        (["--name", ".."], ["--name", "must not be"]),
        (["--queues", "a b"], ["--queues", "may hold only"]),
        (["--queues", &many], ["--queues", "at most 256"]),
        (["--kinds", "nap"], ["--kinds", "\"nap\""]),
        (["--label", "a/b=1"], ["--label", "may hold only"]),
        (["--label", &long], ["--label", "1 to 64 bytes"]),
        (["--concurrency", "0"], ["--concurrency", "1..=10000"]),
    ] {
        let arguments = [&["worker"][..], &arguments].concat();
        check(&run(yard.directory.path(), &arguments, &nowhere), 2, &names);
    }
}

#[test]
fn what_a_server_refuses_of_a_worker_is_said_by_its_flags() {
    let yard = Yard::new();
    let server = yard.serve(&["--worker-id-pattern", "^w-[0-9]+$"]);

    let printed = ask(&yard, &server, &["worker", "--name", "mine"]);

    let names = ["refuses this worker", "--name: ", "^w-[0-9]+$"];
    check(&printed, 2, &names);
    assert!(!printed.stderr.contains("/worker_id"), "{}", printed.stderr);
}

#[test]
fn a_server_that_speaks_no_tls_is_told_of() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let address = server.url.replace("http:", "https:");

    let printed = run(yard.directory.path(), &["list", "--server", &address], &[]);

    check(
        &printed,
        3,
        &["does not speak https", "http://", "--server"],
    );
    assert!(
        !printed.stderr.contains("Start a server"),
        "{}",
        printed.stderr
    );
}
