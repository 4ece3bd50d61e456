//! `PATCH /tasks/{id}`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::yard::{Reply, Yard};

async fn patch(yard: &Yard, id: &str, body: &Value) -> Reply {
    yard.patch(&format!("/api/v1/tasks/{id}"), body).await
}

#[tokio::test]
async fn a_task_that_waits_is_changed_and_shown_as_it_is_then() {
    let yard = Yard::new();
    yard.worker("w").await;
    let first = yard.submit("echo").await;
    let id = yard.submit("echo").await;

    let task = patch(&yard, &id, &json!({"priority": 7})).await.ok();
    assert_eq!((&task["id"], &task["priority"]), (&json!(id), &json!(7)));
    assert_eq!(task["input"], json!({"n": 1}));
    assert_eq!(yard.claim("w").await.unwrap()["id"], json!(id));

    let task = patch(&yard, &first, &json!({"delay_ms": 60_000}))
        .await
        .ok();
    assert_eq!(task["status"], "scheduled");
    yard.pass(Duration::from_mins(1));
    yard.promote().await;
    assert_eq!(yard.claim("w").await.unwrap()["id"], json!(first));
}

#[tokio::test]
async fn null_is_as_it_was_and_the_same_again_is_the_same() {
    let yard = Yard::new();
    let id = yard.submit("echo").await;
    let to = json!({"priority": -100, "run_at": null, "delay_ms": null});

    let once = patch(&yard, &id, &to).await.ok();
    let twice = patch(&yard, &id, &to).await.ok();

    assert_eq!(
        (&once["status"], &once["priority"]),
        (&json!("pending"), &json!(-100))
    );
    assert_eq!(once, twice);
    assert_eq!(patch(&yard, &id, &json!({})).await.ok(), once);
}

#[tokio::test]
async fn a_time_that_is_over_means_now() {
    let yard = Yard::new();
    let body = json!({"kind": "echo", "input": 1, "delay_ms": 60_000});
    let made = yard.post("/api/v1/tasks", &body).await.ok();
    let id = made["id"].as_str().unwrap();

    let to = json!({"run_at": "2020-01-01T00:00:00.000Z"});
    let task = patch(&yard, id, &to).await.ok();

    assert_eq!(task["status"], "pending");
    assert_eq!(task["run_at"], task["created_at"]);
}

#[tokio::test]
async fn what_cannot_be_changed_says_why() {
    let yard = Yard::new();
    let (id, token) = yard.leased().await;
    let to = json!({"priority": 1});

    patch(&yard, &id, &to).await.refused(409, "not_waiting");
    let complete = json!({"lease_token": token});
    yard.post(&format!("/api/v1/tasks/{id}/complete"), &complete)
        .await
        .ok();
    let problem = patch(&yard, &id, &to).await.refused(409, "already_ended");
    assert_eq!(problem["task_status"], "completed");
    for nobody in ["01900000-0000-7000-8000-000000000000", "seven"] {
        patch(&yard, nobody, &to).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_bad_change_names_its_field_and_changes_nothing() {
    let yard = Yard::new();
    let id = yard.submit("echo").await;
    let before = yard.task(&id).await;
    let time = "2026-01-01T00:00:00.000Z";

    for (body, place) in [
        (json!({"priority": 101}), "/priority"),
        (json!({"priority": -101}), "/priority"),
        (json!({"priority": "high"}), "/priority"),
        (json!({"priority": 1.5}), "/priority"),
        (json!({"delay_ms": -1}), "/delay_ms"),
        (json!({"run_at": "tomorrow"}), "/run_at"),
        (json!({"run_at": "2100-01-31T13:00:00-24:00"}), "/run_at"),
        (json!({"run_at": time, "delay_ms": 1}), "/delay_ms"),
        (
            json!({"priority": 1, "delay_ms": 315_360_000_001_u64}),
            "/delay_ms",
        ),
    ] {
        patch(&yard, &id, &body).await.wrong_at(&[place]);
    }
    patch(&yard, &id, &json!([])).await.refused(422, "invalid");
    let unknown = json!({"max_attempts": 2});
    patch(&yard, &id, &unknown)
        .await
        .refused(422, "unknown_field");

    assert_eq!(yard.task(&id).await, before);
}
