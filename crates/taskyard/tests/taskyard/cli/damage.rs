//! A database that something has written over.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::yard::{Server, Yard, run};

const PAGE: usize = 4096;

/// Fills these pages of the file, counted from 0, and touches nothing beside
/// them: a server that has the file open never sees it shorter.
fn write_over(path: &Path, pages: Range<usize>) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let bytes = vec![0x5a; pages.len() * PAGE];
    let at = pages.start * PAGE;
    file.write_all_at(&bytes, at.try_into().unwrap()).unwrap();
}

/// A server whose file holds this task, which nobody runs, and a newer one.
async fn served(yard: &Yard, input: Value) -> (Server, String) {
    let server = yard.serve(&["--internal-workers", "1"]);
    let id = server.submit("nobody-runs-this", input).await.to_string();
    let done = server.submit("noop", json!(null)).await;
    server.ended(done).await;
    (server, id)
}

fn says_what_to_do(said: &str) {
    for part in ["tasks.db", "damaged", "backup", "sqlite3", ".recover"] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_is_met_while_a_server_starts_ends_the_start() {
    let yard = Yard::new();
    let (server, _) = served(&yard, json!(null)).await;
    assert_eq!(server.stop().code(), Some(0));
    write_over(&yard.path("tasks.db"), 10..14);

    let database = yard.database();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--database", &database];
    let mut process = yard.alone("serve", &serve, &[]);
    let mut line = String::new();
    let stdout = process.child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();

    assert_eq!(line, "", "{}", process.log());
    assert_eq!(process.wait().code(), Some(1));
    says_what_to_do(&process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_is_met_later_is_told_by_ready_and_by_how_the_stop_ends() {
    let yard = Yard::new();
    let long = "x".repeat(20 * PAGE);
    let (server, id) = served(&yard, json!(long)).await;
    assert_eq!(server.stop().code(), Some(0));
    let server = yard.serve(&[]);
    let path = yard.path("tasks.db");
    let bytes = std::fs::read(&path).unwrap();
    let is_of_input = |page: &&[u8]| page[8..].iter().all(|byte| *byte == b'x');
    let page = bytes.chunks(PAGE).position(|page| is_of_input(&page));
    let page = page.expect("the input is stored as it is");
    write_over(&path, page..page + 1);
    let ready = async || {
        let answer = reqwest::get(format!("{}/ready", server.url)).await.unwrap();
        answer.status().as_u16()
    };
    assert_eq!(ready().await, 200);

    let show = ["show", &id, "--server", &server.url];
    let shown = run(yard.directory.path(), &show, &[]);

    assert_eq!(shown.code, 1, "{}", shown.stderr);
    // What a probe was told last is good for a second.
    while ready().await == 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ready().await, 503);
    let mut process = server.process;
    process.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(process.wait().code(), Some(1));
    says_what_to_do(&process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_of_logs_is_told_by_health_metrics_and_check_and_costs_no_task() {
    let yard = Yard::new();
    let (server, _) = served(&yard, json!(null)).await;
    let get = async |server: &Server, path: &str| {
        let answer = reqwest::get(format!("{}{path}", server.url)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (_, metrics) = get(&server, "/metrics").await;
    assert!(metrics.contains("\ntaskyard_logs_up 1\n"), "{metrics}");
    assert_eq!(server.stop().code(), Some(0));
    write_over(&yard.path("tasks.db.logs"), 0..1);

    let server = yard.serve(&["--internal-workers", "1"]);

    let (status, health) = get(&server, "/health").await;
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!((status, &health["ok"]), (200, &json!(true)));
    assert_eq!(health["logs"]["ok"], false);
    let said = health["logs"]["message"].as_str().unwrap();
    assert!(said.contains("server's log"), "{said}");
    let (_, metrics) = get(&server, "/metrics").await;
    assert!(metrics.contains("\ntaskyard_logs_up 0\n"), "{metrics}");
    let (_, page) = get(&server, "/ui/").await;
    assert!(
        page.contains("logs can be neither written nor shown"),
        "{page}"
    );
    let id = server.submit("noop", json!(null)).await;
    server.ended(id).await;
    assert_eq!(server.stop().code(), Some(0));
    let check = ["db", "check", "--database", &yard.database()];
    let checked = run(yard.directory.path(), &check, &[]);
    assert_eq!(checked.code, 1);
    assert!(
        checked.stdout.contains("tasks.db.logs"),
        "{}",
        checked.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_input_was_written_over_fails_alone_and_check_names_it() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let id = server.submit("echo", json!("to be written over")).await;
    let beside = server.submit("echo", json!("to be left")).await;
    assert_eq!(server.stop().code(), Some(0));
    let path = yard.path("tasks.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let input = br#""to be written over""#;
    let at = bytes.windows(input.len()).position(|part| part == input);
    bytes[at.unwrap()..][..input.len()].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let check = ["db", "check", "--database", &yard.database()];

    let checked = run(yard.directory.path(), &check, &[]);

    assert_eq!(checked.code, 1);
    let said = format!("the input of task {id} cannot be read: damaged JSON");
    assert_eq!(checked.stdout.trim(), said, "{}", checked.stderr);
    let server = yard.serve(&["--internal-workers", "1"]);
    server.ended(beside).await;
    let task = server.ended(id).await;
    assert_eq!(task.error.unwrap().code, "unreadable");
    assert_eq!(task.unreadable, ["/input"]);
    let show = ["show", &id.to_string(), "--server", &server.url];
    let shown = run(yard.directory.path(), &show, &[]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(shown.stdout.contains("/input"), "{}", shown.stdout);
    server.process.log_with(&id.to_string());
}
