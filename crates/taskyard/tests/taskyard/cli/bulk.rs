//! What is done to every task of a filter.

use serde_json::{Value, json};
use taskyard_api::submit::Submit;
use taskyard_api::task::Status;
use taskyard_core::id::TaskId;

use super::ask;
use crate::yard::{Server, Yard};

fn json(yard: &Yard, server: &Server, arguments: &[&str]) -> Value {
    let printed = ask(yard, server, &[arguments, &["--output", "json"]].concat());
    assert_eq!(printed.code, 0, "{arguments:?}: {}", printed.stderr);
    serde_json::from_str(&printed.stdout).unwrap()
}

async fn three_of(server: &Server, kind: &str) -> Vec<TaskId> {
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(server.submit_as(Submit::new(kind, json!(1))).await);
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tasks_of_a_kind_are_cancelled_and_run_again() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let tasks = three_of(&server, "resize").await;
    let other = server.submit("other", json!(1)).await;
    let of_kind = |verb: &'static str, more: &[&'static str]| -> Vec<&'static str> {
        [&[verb, "--kind", "resize"], more].concat()
    };

    let dry = ask(&yard, &server, &of_kind("cancel", &["--dry-run"]));
    assert_eq!((dry.code, dry.stdout.trim()), (0, "3 tasks"));
    let done = json(&yard, &server, &of_kind("cancel", &[]));
    assert_eq!(
        (&done["status"], &done["done"], &done["skipped"]),
        (&json!("done"), &json!(3), &json!(0))
    );
    let again = json(
        &yard,
        &server,
        &of_kind("retry", &["--status", "cancelled"]),
    );

    assert_eq!(
        (&again["act"], &again["done"]),
        (&json!("retry"), &json!(3))
    );
    for task in tasks {
        let task = server.client.task(task, None).await.unwrap();
        assert_eq!(task.status, Status::Cancelled);
    }
    let other = server.client.task(other, None).await.unwrap();
    assert_eq!(other.status, Status::Pending);
    let stats = server.client.stats().await.unwrap();
    assert_eq!(stats.by_status.pending, 4);
    let listed = json(&yard, &server, &["operations"]);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_to_all_of_them_is_said_and_can_be_looked_up() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    three_of(&server, "resize").await;
    let cancel = ["cancel", "--kind", "resize", "--status", "pending"];

    let done = ask(&yard, &server, &cancel);
    let nothing = ask(&yard, &server, &cancel);
    let detached = ask(&yard, &server, &[&cancel[..], &["--detach"]].concat());

    assert_eq!((done.code, done.stderr.trim()), (0, "3 cancelled"));
    assert_eq!((nothing.code, nothing.stderr.trim()), (0, "no task fitted"));
    let said = detached.stderr.trim();
    assert!(
        said == "no task fitted" || said.contains("`taskyard operations show"),
        "{said}"
    );
    let listed = ask(&yard, &server, &["operations"]).stdout;
    let first = listed.lines().last().unwrap();
    assert!(first.ends_with("kind=resize status=pending"), "{listed}");
    let id = first.split_whitespace().next().unwrap();
    let shown = ask(&yard, &server, &["operations", "show", id]).stdout;
    for line in ["filter     kind=resize status=pending", "done       3"] {
        assert!(shown.lines().any(|shown| shown == line), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_task_is_meant_only_where_that_is_said() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let tasks = three_of(&server, "echo").await;

    let nothing = ask(&yard, &server, &["cancel"]);
    assert_eq!(nothing.code, 2);
    assert!(nothing.stderr.contains("--all"), "{}", nothing.stderr);
    let both = ask(&yard, &server, &["cancel", &tasks[0].to_string(), "--all"]);
    assert_eq!(both.code, 2);
    let ended = ask(&yard, &server, &["cancel", "--status", "failed"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("pending"), "{}", ended.stderr);
    let begun = json(&yard, &server, &["cancel", "--all", "--detach"]);

    assert!(begun["id"].is_string());
    for task in tasks {
        let is_cancelled = |task: &taskyard_api::task::Task| task.status == Status::Cancelled;
        server.until(task, is_cancelled).await;
    }
}
