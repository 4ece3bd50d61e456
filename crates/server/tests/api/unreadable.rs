//! Rows that hold what nobody wrote there. What one of them keeps from being shown is named, and hinders nothing else.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use taskyard_core::store::Store;
use taskyard_store::model::Model;

use crate::yard::{Clock, Yard};

/// With four tasks, the oldest first.
pub(crate) async fn yard() -> (Yard, Arc<Model>, Vec<String>) {
    let clock = Clock::new();
    let model = Arc::new(Model::new(1, clock.read()));
    let store: Arc<dyn Store> = Arc::clone(&model) as _;
    let yard = Yard::around(store, clock, |_| {});
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(yard.submit("echo").await);
        yard.pass(Duration::from_millis(1));
    }
    (yard, model, ids)
}

fn ids_of(tasks: &Value) -> Vec<&str> {
    let tasks = tasks.as_array().unwrap().iter();
    tasks.map(|task| task["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_task_whose_row_cannot_be_read_is_a_problem_that_names_the_column() {
    let (yard, model, ids) = yard().await;
    model.blot(ids[0].parse().unwrap());

    let of = |end: &str| format!("/api/v1/tasks/{}{end}", ids[0]);
    for path in [
        of(""),
        of("/explain"),
        format!("/tasks/{}", ids[0]),
        format!("/api/status?task_id={}", ids[0]),
    ] {
        let problem = yard.get(&path).await.refused(500, "unreadable");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("task.origin cannot be 99"), "{detail}");
        assert!(detail.contains("`taskyard db check`"), "{detail}");
    }
    // What needs not be shown is done.
    yard.post_text(&of("/cancel"), "").await.ok();
}

#[tokio::test]
async fn damaged_labels_are_left_out_and_named_and_the_task_runs() {
    let (yard, model, ids) = yard().await;
    yard.worker("w").await;
    let run = yard.claim("w").await.unwrap();
    assert_eq!(run["id"], ids[0].as_str());
    model.mislabel(ids[0].parse().unwrap());

    let path = format!("/api/v1/tasks/{}", ids[0]);
    let task = yard.get(&path).await.ok();
    assert_eq!(task["labels"], json!({}));
    assert_eq!(task["unreadable"], json!(["/labels"]));
    let page = yard.get("/api/v1/tasks?sort=created&limit=1").await.ok();
    assert_eq!(page["items"][0]["unreadable"], json!(["/labels"]));
    yard.get(&format!("{path}/explain")).await.ok();
    let done = json!({"lease_token": run["lease_token"], "output": 1});
    yard.post(&format!("{path}/complete"), &done).await.ok();
    assert_eq!(yard.status(&ids[0]).await, "completed");
    let again = yard.post_text(&format!("{path}/retry"), "").await;
    let problem = again.refused(409, "input_damaged");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("the task's labels"), "{detail}");
}

#[tokio::test]
async fn the_older_lists_name_what_they_leave_out_in_a_header() {
    let (yard, model, ids) = yard().await;
    let whole = yard.get("/tasks").await;
    assert!(!whole.headers.contains_key("x-unreadable"));
    for id in &ids[1..3] {
        model.blot(id.parse().unwrap());
    }
    let left_out = format!("{}, {}", ids[2], ids[1]);

    let simple = yard.get("/tasks").await;
    assert_eq!(ids_of(&simple.ok()), [&ids[3], &ids[0]]);
    assert_eq!(simple.header("x-unreadable"), left_out);
    let taskmaster = yard.get("/api/tasks").await;
    assert_eq!(ids_of(&taskmaster.ok()["tasks"]), [&ids[3], &ids[0]]);
    assert_eq!(taskmaster.header("x-unreadable"), left_out);
    // A page that did not come by them has nothing to say.
    let first = yard.get("/tasks?limit=1").await;
    assert!(!first.headers.contains_key("x-unreadable"));
}
