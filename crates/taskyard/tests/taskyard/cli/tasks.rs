//! The commands that speak to a server.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use taskyard_api::page::TasksQuery;

use super::ask;
use crate::yard::{Printed, QUICK, Yard, run};

#[test]
fn a_submit_that_waits_prints_the_output_and_exits_with_the_outcome() {
    let yard = Yard::new();
    let server = yard.serve(&["--allow-command", "sh"]);

    let echoed = ask(
        &yard,
        &server,
        &["submit", "echo", r#"{"hello": [1.0]}"#, "--wait"],
    );
    assert_eq!(
        (echoed.code, echoed.stdout.as_str()),
        (0, "{\"hello\": [1.0]}\n")
    );

    let failed = ask(
        &yard,
        &server,
        &[
            "submit",
            "command",
            "--wait",
            "--",
            "sh",
            "-c",
            "echo no >&2; exit 3",
        ],
    );
    assert_eq!(failed.code, 4);
    assert!(failed.stderr.contains("failed"), "{}", failed.stderr);
    let missed = ["submit", "command", "--wait", "--", "sh", "no-such-script"];
    let missed = ask(&yard, &server, &missed);
    assert!(
        missed.stderr.contains("absolute paths"),
        "{}",
        missed.stderr
    );

    let slow = ask(
        &yard,
        &server,
        &[
            "submit",
            "sleep",
            r#"{"ms": 60000}"#,
            "--wait",
            "--timeout",
            "200ms",
            "--max-attempts",
            "1",
        ],
    );
    assert_eq!(slow.code, 5, "{}", slow.stderr);
    let said = slow.stderr.lines().last().unwrap();
    assert!(said.starts_with("timeout: "), "{said}");
}

#[test]
fn an_output_of_nothing_is_printed_as_json_too() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "1"]);

    let nothing = ask(&yard, &server, &["submit", "echo", "null", "--wait"]);

    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, "null\n"));
}

#[test]
fn a_submit_that_is_interrupted_says_that_its_task_goes_on() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);

    let submit = yard.command(&server, "submit", &["submit", "nobody", "--wait"]);
    while !submit.log().contains("The task waits") {}
    submit.signal(Signal::SIGINT);
    let printed = submit.finish();

    assert_eq!(printed.code, 130);
    let listed = ask(&yard, &server, &["list", "--output", "quiet"]);
    let id = listed.stdout.trim();
    for verb in ["wait", "cancel"] {
        let next = format!("`taskyard {verb} {id}`");
        assert!(printed.stderr.contains(&next), "{}", printed.stderr);
    }
}

#[test]
fn a_task_can_be_followed_from_command_to_command() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "1"]);

    let id = ask(
        &yard,
        &server,
        &["submit", "sleep", r#"{"ms": 60000}"#, "--output", "quiet"],
    )
    .stdout
    .trim()
    .to_owned();
    let listed = ask(&yard, &server, &["list", "--output", "quiet"]);
    assert_eq!(listed.stdout.trim(), id);
    let waited = ask(&yard, &server, &["wait", &id, "--for", "100ms"]);
    assert_eq!(waited.code, 7, "{}", waited.stderr);
    let cancelled = ask(&yard, &server, &["cancel", &id, "--output", "json"]);
    assert_eq!(
        serde_json::from_str::<Value>(&cancelled.stdout).unwrap()[0]["status"],
        "cancelled"
    );
    let waited = ask(&yard, &server, &["wait", &id]);
    assert_eq!(waited.code, 6);
    let again = ask(&yard, &server, &["cancel", &id]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("cancelled"), "{}", again.stderr);
    let shown: Value =
        serde_json::from_str(&ask(&yard, &server, &["show", &id, "--output", "json"]).stdout)
            .unwrap();
    assert_eq!(shown["task"]["status"], "cancelled");
    assert_eq!(shown["task"]["input"], json!({ "ms": 60000 }));
}

#[test]
fn each_line_of_a_file_becomes_a_task() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    std::fs::write(yard.path("inputs"), "1\n\"two\"\n\n{\"three\": 3}\n").unwrap();

    let submitted = ask(&yard, &server, &["submit", "echo", "--each-line", "inputs"]);

    let ids: Vec<&str> = submitted.stdout.lines().collect();
    assert_eq!(ids.len(), 3, "{}", submitted.stderr);
    let mut wait = vec!["wait", "--output", "json"];
    wait.extend(&ids);
    let waited: Value = serde_json::from_str(&ask(&yard, &server, &wait).stdout).unwrap();
    assert_eq!(waited[2]["output"], json!({ "three": 3 }));

    std::fs::write(yard.path("inputs"), "1\ntwo\n").unwrap();
    let refused = ask(&yard, &server, &["submit", "echo", "--each-line", "inputs"]);
    assert_eq!(refused.code, 2);
    for said in ["line 2", "nothing was submitted", "--text"] {
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
}

#[test]
fn each_line_may_be_text_or_an_argument_of_a_program() {
    let yard = Yard::new();
    let server = yard.serve(&["--allow-command", "echo"]);
    std::fs::write(yard.path("names"), "a b.md\n\"c\".md\n").unwrap();
    let each_line = ["--each-line", "names", "--output", "quiet"];
    let outputs = |submit: &[&str]| -> Vec<Value> {
        let submitted = ask(&yard, &server, submit);
        assert_eq!(submitted.code, 0, "{}", submitted.stderr);
        let ids = submitted.stdout.lines();
        let wait: Vec<&str> = ["wait", "--output", "json"]
            .into_iter()
            .chain(ids)
            .collect();
        let waited: Value = serde_json::from_str(&ask(&yard, &server, &wait).stdout).unwrap();
        let tasks = waited.as_array().unwrap().iter();
        tasks.map(|task| task["output"].clone()).collect()
    };

    let texts = outputs(&[&["submit", "echo", "--text"][..], &each_line].concat());
    assert_eq!(texts, ["a b.md", "\"c\".md"]);
    for (words, printed) in [
        (&["echo", "in {}, out {}"][..], "in a b.md, out a b.md\n"),
        (&["echo", "of"], "of a b.md\n"),
    ] {
        let submit = [&["submit", "command"][..], &each_line, &["--"], words].concat();
        assert_eq!(outputs(&submit)[0]["stdout"], printed);
    }
    let one = ask(
        &yard,
        &server,
        &["submit", "echo", "hello", "--text", "--wait"],
    );
    assert_eq!(one.stdout, "\"hello\"\n", "{}", one.stderr);
}

#[test]
fn a_command_is_left_to_workers_that_may_run_some() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    let arguments = ["submit", "command", "--", "sh", "-c", "exit 0"];

    let submitted = ask(
        &yard,
        &server,
        &[&arguments[..2], &["--output", "quiet"], &arguments[2..]].concat(),
    );
    let id = submitted.stdout.trim();
    let shown = ask(&yard, &server, &["show", id]);

    assert!(shown.stdout.contains("pending"), "{}", shown.stdout);
    let hint = "--allow-command";
    assert!(shown.stderr.contains(hint), "{}", shown.stderr);

    let worker = yard.worker(&server, "may", &["--allow-command", "sh,no-such-program"]);
    let waited = ask(&yard, &server, &["wait", id]);
    assert_eq!(waited.code, 0, "{}", waited.stdout);
    worker.log_with("no-such-program");
    let refused = ask(
        &yard,
        &server,
        &["submit", "command", "--wait", "--", "true"],
    );
    assert_eq!(refused.code, 4);
    for said in ["worker may", "--allow-command /"] {
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
}

#[test]
fn a_command_sets_the_variables_that_the_operator_lets_it() {
    let yard = Yard::new();
    let server = yard.serve(&["--allow-command", "env,tar", "--allow-env", "APP_*"]);
    let submit = |program: &str, name: &str| {
        let input = format!(r#"{{"argv": [{program:?}], "env": {{"{name}": "--help"}}}}"#);
        ask(&yard, &server, &["submit", "command", &input, "--wait"])
    };

    let set = submit("env", "APP_MODE");
    assert!(set.stdout.contains("APP_MODE=--help"), "{}", set.stderr);

    let refused = submit("tar", "TAR_OPTIONS");
    assert_eq!(refused.code, 4);
    for said in ["variable_not_allowed", "--allow-env usual,TAR_OPTIONS"] {
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
}

#[test]
fn nothing_is_cut_or_left_out_in_a_pipe() {
    let yard = Yard::new();
    let server = yard.serve(&["--allow-command", "sh"]);
    let long = "longer-than-any-terminal-".repeat(20);

    let failed = ask(
        &yard,
        &server,
        &["submit", "command", "--wait", "--", &long],
    );
    assert_eq!(failed.code, 4);
    let input = format!("{long:?}");
    let echoed = ask(
        &yard,
        &server,
        &["submit", "echo", &input, "--output", "quiet"],
    );
    let listed = ask(&yard, &server, &["list"]).stdout;
    let waited = ask(&yard, &server, &["wait", echoed.stdout.trim()]).stdout;

    for header in [
        "TASK", "KIND", "QUEUE", "STATUS", "ATTEMPTS", "WORKER", "AGE", "TOOK", "RESULT",
    ] {
        assert!(listed.contains(header), "{listed}");
    }
    assert!(listed.contains(&long), "{listed}");
    assert!(waited.contains(&long), "{waited}");
}

#[test]
fn trouble_names_the_next_step() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";

    let check = |printed: Printed, code: i32, names: &str| {
        assert_eq!(printed.code, code, "{}", printed.stderr);
        assert!(printed.stderr.contains(names), "{}", printed.stderr);
    };
    check(ask(&yard, &server, &["show", unknown]), 1, "taskyard list");
    check(ask(&yard, &server, &["show", "42"]), 2, "UUIDv7");
    check(
        ask(&yard, &server, &["submit", "echo", "hello"]),
        2,
        "'\"hello\"'",
    );
    check(ask(&yard, &server, &["submit", "ec ho", "1"]), 2, "kind");
    let said = ask(&yard, &server, &["submit", "ec ho", "1"]).stderr;
    assert_eq!(said.matches("may hold only").count(), 1, "{said}");
    check(
        ask(
            &yard,
            &server,
            &["submit", "echo", "1", "--require", "gpu=a100"],
        ),
        0,
        "no worker is online; start a worker: taskyard worker --kinds echo",
    );
    check(
        ask(&yard, &server, &["submit", "unheard-of", "1"]),
        0,
        "start your own worker for `unheard-of`",
    );
    check(ask(&yard, &server, &["workers"]), 0, "taskyard worker");
    check(
        ask(&yard, &server, &["list", "--status", "done"]),
        2,
        "completed",
    );

    for command in [
        &["list"][..],
        &["wait", unknown, "--server-wait", "5s"],
        &["bench", "--only", "W1"],
    ] {
        let arguments = [command, &["--server", "http://127.0.0.1:1"]].concat();
        let away = run(yard.directory.path(), &arguments, &[]);
        check(away, 3, "taskyard serve");
    }
}

#[test]
fn json_is_what_the_server_answered() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "1"]);
    let json = |printed: &Printed| serde_json::from_str::<Value>(&printed.stdout).unwrap();
    let null = Some(&Value::Null);

    let submit = ["submit", "noop", "--wait", "--output", "json"];
    let submitted = json(&ask(&yard, &server, &submit));
    let id = submitted["id"].as_str().unwrap();
    let waited = json(&ask(&yard, &server, &["wait", id, "--output", "json"]));
    let shown = json(&ask(&yard, &server, &["show", id, "--output", "json"]));
    for task in [&submitted, &waited[0], &shown["task"]] {
        assert_eq!((task.get("input"), task.get("output")), (null, null));
    }
    let listed = json(&ask(&yard, &server, &["list", "--output", "json"]));
    let task = &listed["items"][0];
    assert_eq!((task.get("input"), task.get("output")), (None, None));

    let cancel = ["cancel", id, "--output", "json"];
    let refused = ask(&yard, &server, &cancel);
    assert_eq!(refused.code, 1);
    let said = json(&refused);
    assert_eq!(said[0]["task_id"], id);
    assert_eq!(said[0]["problem"]["code"], "already_ended");
    assert!(refused.stderr.contains("completed"), "{}", refused.stderr);

    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let unknown = ask(&yard, &server, &["show", unknown, "--output", "json"]);
    assert_eq!(unknown.code, 1);
    assert_eq!(json(&unknown)["problem"]["code"], "not_found");
}

#[test]
fn workers_that_are_left_out_are_told_of_in_every_format() {
    let yard = Yard::new();
    let server = yard.serve(&[&QUICK[..], &["--internal-workers", "0"]].concat());
    let worker = yard.worker(&server, "gone", &[]);
    while ask(&yard, &server, &["workers", "--output", "quiet"]).stdout != "gone\n" {}
    worker.kill();

    let said = |format| ask(&yard, &server, &["workers", "--output", format]).stderr;
    while !said("table").contains("offline") {}

    for format in ["table", "json", "quiet"] {
        let said = said(format);
        assert!(said.contains("1 more is offline; --all shows it"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_ends_before_what_its_filter_throws_away_grows_too_large() {
    let yards = [Some(Yard::new()), Yard::on_postgres().await];
    for yard in yards.into_iter().flatten() {
        let server = yard.serve(&["--internal-workers", "0"]);
        // Of these, nine are 8 MiB.
        let input = "x".repeat(950_000);
        for _ in 0..12 {
            server.submit("noop", json!(input)).await;
        }
        let pages = async |include: Option<&str>| {
            let mut query = TasksQuery {
                labels: vec!["no=one".to_owned()],
                include: include.map(str::to_owned),
                ..TasksQuery::default()
            };
            let mut pages = 0;
            loop {
                let page = server.client.list(&query).await.unwrap();
                assert!(page.items.is_empty());
                pages += 1;
                match page.next_cursor {
                    None => return pages,
                    cursor => query.cursor = cursor,
                }
            }
        };

        assert_eq!(pages(Some("payload")).await, 2);
        assert_eq!(pages(None).await, 1);
        server.stop();
    }
}
