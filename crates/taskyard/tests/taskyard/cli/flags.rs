//! Flags that pick or describe tasks: each does what it says.

use serde_json::{Value, json};

use crate::yard::{Process, Server, Yard, run};

/// What it prints, where all goes well.
fn ask(yard: &Yard, server: &Server, arguments: &[&str]) -> String {
    let printed = run(
        yard.directory.path(),
        arguments,
        &[("TASKYARD_URL", &server.url)],
    );
    assert_eq!(printed.code, 0, "{arguments:?}: {}", printed.stderr);
    printed.stdout.trim().to_owned()
}

/// The new task's id.
fn submit(yard: &Yard, server: &Server, arguments: &[&str]) -> String {
    let submit = ["submit", "--output", "quiet"];
    ask(yard, server, &[&submit[..], arguments].concat())
}

fn show(yard: &Yard, server: &Server, id: &str) -> Value {
    let shown = ask(yard, server, &["show", id, "--output", "json"]);
    serde_json::from_str::<Value>(&shown).unwrap()["task"].take()
}

/// Where there are no workers but those that a test starts.
fn without_workers(yard: &Yard) -> Server {
    yard.serve(&["--internal-workers", "0"])
}

/// That the filter lets the first of two tasks through and not the second.
fn lists_the_first_only(filter: &[&str], first: &[&str], second: &[&str]) {
    let yard = Yard::new();
    let server = without_workers(&yard);
    let first = submit(&yard, &server, first);
    let second = submit(&yard, &server, second);
    let list = ["list", "--output", "quiet"];

    let all = ask(&yard, &server, &list);
    let listed = ask(&yard, &server, &[&list[..], filter].concat());

    assert_eq!(all, format!("{second}\n{first}"));
    assert_eq!(listed, first, "{filter:?}");
}

#[test]
fn help_of_a_command_is_what_its_flag_prints() {
    let yard = Yard::new();
    let printed = |arguments: &[&str]| {
        let printed = run(yard.directory.path(), arguments, &[]);
        assert_eq!(printed.code, 0, "{}", printed.stderr);
        printed.stdout
    };

    for command in [&["submit"][..], &["db", "backup"], &[]] {
        let by_flag = printed(&[command, &["--help"]].concat());
        assert_eq!(printed(&[&["help"], command].concat()), by_flag);
        assert!(by_flag.contains("Usage: taskyard"), "{by_flag}");
    }
    let unknown = run(yard.directory.path(), &["help", "submt"], &[]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("submit"), "{}", unknown.stderr);
}

#[test]
fn a_list_can_be_of_one_kind() {
    lists_the_first_only(&["--kind", "echo"], &["echo", "1"], &["noop"]);
}

#[test]
fn a_list_can_be_of_one_queue() {
    let there = ["noop", "--queue", "images"];
    lists_the_first_only(&["--queue", "images"], &there, &["noop"]);
}

#[test]
fn a_list_can_be_of_one_label_or_several() {
    let both = ["noop", "--label", "team=blue", "--label", "for=me"];
    let one = ["noop", "--label", "team=blue"];
    lists_the_first_only(&["--label", "for=me"], &both, &one);
    let labels = ["--label", "team=blue", "--label", "for=me"];
    lists_the_first_only(&labels, &both, &one);
    let with_comma = ["noop", "--label", "size=a,b"];
    lists_the_first_only(&["--label", "size=a,b"], &with_comma, &one);
}

#[test]
fn a_list_can_be_of_some_statuses() {
    let later = ["noop", "--in", "1h"];
    lists_the_first_only(&["--status", "scheduled,failed"], &later, &["noop"]);
}

#[test]
fn a_list_can_be_of_what_is_searched_for() {
    let blue = ["resize", "--label", "team=blue"];
    lists_the_first_only(&["--search", "BLUE siz"], &blue, &["resize"]);
}

#[test]
fn a_list_can_be_of_one_worker() {
    let yard = Yard::new();
    let server = without_workers(&yard);
    let _worker = worker(&yard, &server, &["--kinds", "noop"]);
    let done = submit(&yard, &server, &["noop"]);
    submit(&yard, &server, &["for-nobody"]);
    ask(&yard, &server, &["wait", &done, "--for", "60s"]);

    let list = ["list", "--output", "quiet", "--worker", "w"];
    assert_eq!(ask(&yard, &server, &list), done);
}

#[test]
fn a_list_can_be_of_some_time() {
    let yard = Yard::new();
    let server = without_workers(&yard);
    let id = submit(&yard, &server, &["noop"]);
    let list = |flag: &str, time: &str| {
        let list = ["list", "--output", "quiet", flag, time];
        ask(&yard, &server, &list)
    };

    assert_eq!(list("--created-before", "2020-01-01T00:00:00Z"), "");
    assert_eq!(list("--created-before", "2999-01-01T00:00:00Z"), id);
    assert_eq!(list("--created-after", "2020-01-01T00:00:00Z"), id);
    assert_eq!(list("--created-after", "2999-01-01T00:00:00Z"), "");
}

#[test]
fn a_list_can_begin_with_the_oldest_and_go_on_where_another_ended() {
    let yard = Yard::new();
    let server = without_workers(&yard);
    let ids = [(); 3].map(|()| submit(&yard, &server, &["noop"]));
    let list = ["list", "--oldest-first", "--limit", "2", "--output", "json"];
    let listed = |more: &[&str]| {
        let page = ask(&yard, &server, &[&list[..], more].concat());
        serde_json::from_str::<Value>(&page).unwrap()
    };
    let ids_of = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|task| task["id"].as_str().unwrap().to_owned())
            .collect()
    };

    let first = listed(&[]);
    let second = listed(&["--cursor", first["next_cursor"].as_str().unwrap()]);

    assert_eq!(ids_of(&first), ids[..2]);
    assert_eq!(ids_of(&second), ids[2..]);
}

#[test]
fn a_submit_says_which_queue_priority_and_labels_its_task_has() {
    let yard = Yard::new();
    let server = without_workers(&yard);
    let described = [
        "noop",
        "--queue",
        "images",
        "--priority",
        "-7",
        "--label",
        "team=blue",
        "--label",
        "for=me",
    ];

    let task = show(&yard, &server, &submit(&yard, &server, &described));

    assert_eq!(task["queue"], "images");
    assert_eq!(task["priority"], -7);
    assert_eq!(task["labels"], json!({ "team": "blue", "for": "me" }));
}

/// A worker that runs one task at a time, in the order in which they wait.
fn worker(yard: &Yard, server: &Server, arguments: &[&str]) -> Process {
    let one_at_a_time = ["--concurrency", "1"];
    yard.worker(server, "w", &[&one_at_a_time[..], arguments].concat())
}

#[test]
fn a_worker_takes_what_waits_in_its_queues_only() {
    let yard = Yard::new();
    let server = without_workers(&yard);
    let elsewhere = submit(&yard, &server, &["noop", "--queue", "elsewhere"]);
    let images = submit(&yard, &server, &["noop", "--queue", "images"]);
    let sounds = submit(&yard, &server, &["noop", "--queue", "sounds"]);

    let _worker = worker(&yard, &server, &["--queues", "images,sounds"]);
    ask(&yard, &server, &["wait", &images, &sounds, "--for", "60s"]);

    assert_eq!(show(&yard, &server, &elsewhere)["status"], "pending");
}

#[test]
fn a_worker_takes_what_its_labels_meet_only() {
    let yard = Yard::new();
    let server = without_workers(&yard);
    let other = submit(&yard, &server, &["noop", "--require", "gpu=h100"]);
    let met = [
        "noop",
        "--require",
        "gpu=a100",
        "--require",
        "memory_gb=>=16",
    ];
    let met = submit(&yard, &server, &met);

    let labels = ["--label", "gpu=a100", "--label", "memory_gb=32"];
    let _worker = worker(&yard, &server, &labels);
    ask(&yard, &server, &["wait", &met, "--for", "60s"]);

    assert_eq!(show(&yard, &server, &other)["status"], "pending");
}
