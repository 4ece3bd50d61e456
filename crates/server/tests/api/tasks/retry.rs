//! `POST /tasks/{id}/retry`.

use std::time::Duration;

use serde_json::{Value, json};
use taskyard_core::policy::Policy;
use taskyard_core::retention::Retention;
use taskyard_engine::services::retain::{self, Places};

use crate::yard::{Reply, Yard};

async fn retry(yard: &Yard, id: &str) -> Reply {
    yard.post_text(&format!("/api/v1/tasks/{id}/retry"), "")
        .await
}

async fn ended(yard: &Yard, task: &Value) -> String {
    let made = yard.post("/api/v1/tasks", task).await.ok();
    let id = made["id"].as_str().unwrap().to_owned();
    yard.post_text(&format!("/api/v1/tasks/{id}/cancel"), "")
        .await
        .ok();
    id
}

#[tokio::test]
async fn what_has_ended_runs_again_as_another_task_that_names_the_first() {
    let yard = Yard::new();
    let task = json!({
        "kind": "resize", "input": {"w": 640}, "queue": "images", "priority": 3, "max_attempts": 2, "max_losses": 4,
        "timeout_ms": 5000, "labels": {"team": "blue"}, "requires": {"gpu": "a100"}, "exclusive": true,
        "unique_key": "one", "retry": {"backoff_ms": 5, "factor": 1.5, "max_ms": 50, "jitter": 0.5},
        "delay_ms": 60_000,
    });
    let first = ended(&yard, &task).await;

    let reply = retry(&yard, &first).await;

    assert_eq!(reply.status.as_u16(), 201);
    let again = reply.ok();
    let id = again["id"].as_str().unwrap();
    assert_eq!(reply.header("location"), format!("/api/v1/tasks/{id}"));
    assert_eq!(again["status"], "pending");
    let (old, new) = (yard.task(&first).await, yard.task(id).await);
    assert_eq!(
        (&new["retry_of"], &old["retry_of"]),
        (&json!(first), &json!(null))
    );
    assert_eq!(
        (&old["status"], &new["attempts"]),
        (&json!("cancelled"), &json!(0))
    );
    for same in [
        "kind",
        "input",
        "queue",
        "priority",
        "max_attempts",
        "max_losses",
        "timeout_ms",
        "labels",
        "requires",
        "exclusive",
        "unique_key",
        "retry",
    ] {
        assert_eq!(new[same], old[same], "{same}");
    }
}

#[tokio::test]
async fn with_a_key_a_retry_is_one_task_however_often_it_is_sent() {
    let yard = Yard::new();
    let first = ended(&yard, &json!({"kind": "echo", "input": 1})).await;
    let path = format!("/api/v1/tasks/{first}/retry");

    let once = yard.post_keyed(&path, "k", "").await.ok();
    let twice = yard.post_keyed(&path, "k", "{}").await.ok();
    let other = yard.post_keyed(&path, "l", "").await.ok();

    assert_eq!(once, twice);
    assert_ne!(once["id"], other["id"]);
    assert_eq!(yard.total().await, 3);
}

#[tokio::test]
async fn a_retry_is_known_by_its_key_though_what_it_ran_again_is_gone() {
    let day = Duration::from_hours(24);
    let yard = Yard::under(Policy {
        retention: Retention::all(2 * day),
        ..Policy::default()
    });
    let first = ended(&yard, &json!({"kind": "echo", "input": 1})).await;
    let path = format!("/api/v1/tasks/{first}/retry");
    yard.pass(2 * day - Duration::from_mins(1));
    let once = yard.post_keyed(&path, "k", "").await.ok();
    yard.pass(Duration::from_mins(2));
    let mut places = Places::default();
    let gone = retain::run_once(yard.app.engine(), &mut places).await;
    assert_eq!(gone.unwrap(), 1);

    let twice = yard.post_keyed(&path, "k", "").await.ok();

    assert_eq!(once, twice);
    retry(&yard, &first).await.refused(404, "not_found");
    for _ in 0..2 {
        let other = yard.post_keyed(&path, "l", "").await;
        other.refused(404, "not_found");
    }
    assert_eq!(yard.total().await, 1);
}

#[tokio::test]
async fn a_retry_whose_unique_key_another_task_has_is_that_task() {
    let yard = Yard::new();
    let task = json!({"kind": "echo", "input": 1, "unique_key": "one"});
    let first = ended(&yard, &task).await;
    let second = yard.post("/api/v1/tasks", &task).await.ok();

    let reply = retry(&yard, &first).await;

    assert_eq!(reply.status.as_u16(), 200);
    assert_eq!(reply.ok()["id"], second["id"]);
}

#[tokio::test]
async fn what_has_not_ended_cannot_run_again() {
    let yard = Yard::new();
    let (running, _) = yard.leased().await;
    let waiting = yard.submit("echo").await;

    for (id, status) in [(running, "assigned"), (waiting, "pending")] {
        let problem = retry(&yard, &id).await.refused(409, "not_ended");
        assert_eq!(problem["task_status"], status);
    }
    let nobody = "01900000-0000-7000-8000-000000000000";
    retry(&yard, nobody).await.refused(404, "not_found");
    let path = format!("/api/v1/tasks/{nobody}/retry");
    yard.post(&path, &json!({"now": true}))
        .await
        .refused(422, "unknown_field");
    assert_eq!(yard.total().await, 2);
}
