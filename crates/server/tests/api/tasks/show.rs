//! `GET /tasks/{id}`.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::yard::{Yard, places, settle};

#[tokio::test]
async fn a_task_is_shown_at_each_step_of_its_life() {
    let yard = Yard::new();
    let (id, token) = yard.leased().await;
    let path = |verb: &str| format!("/api/v1/tasks/{id}/{verb}");
    let mut steps = vec![yard.task(&id).await];

    yard.pass(Duration::from_secs(1));
    let progress = json!({"lease_token": token, "progress": {"fraction": 0.5, "message": "half"}});
    yard.post(&path("progress"), &progress).await.ok();
    steps.push(yard.task(&id).await);

    yard.pass(Duration::from_secs(1));
    let failed = json!({"lease_token": token, "error": {"code": "oom", "message": "no memory", "detail": [1]}});
    yard.post(&path("fail"), &failed).await.ok();
    steps.push(yard.task(&id).await);

    insta::assert_json_snapshot!(steps, {"[].id" => "[id]", "[].run_at" => "[time]"});
}

#[tokio::test]
async fn a_completed_task_shows_its_output_and_no_error() {
    let yard = Yard::new();
    let (id, token) = yard.leased().await;
    let body = format!(r#"{{"lease_token":"{token}","output":{{"b": 1.0}}}}"#);

    yard.post_text(&format!("/api/v1/tasks/{id}/complete"), body)
        .await
        .ok();

    let reply = yard.get(&format!("/api/v1/tasks/{id}")).await;
    let text = String::from_utf8(reply.bytes.to_vec()).unwrap();
    assert!(text.contains(r#""output":{"b": 1.0}"#), "{text}");
    assert_eq!(reply.json()["error"], Value::Null);
    assert_eq!(reply.json()["worker_id"], "w");
    assert_eq!(reply.header("content-length"), text.len().to_string());
}

#[tokio::test]
async fn what_is_no_task_is_not_found() {
    let yard = Yard::new();
    for id in [
        "01890a5d-ac96-774b-bcce-b302099a8057",
        "7d444840-9dc0-41d1-b245-5ffdce74fad2",
        "7",
        "..",
        "%ff%fe",
        "%00",
        "a%0d%0aSet-Cookie:%20x",
    ] {
        for (path, reply) in [
            ("", yard.get(&format!("/api/v1/tasks/{id}")).await),
            (
                "attempts",
                yard.get(&format!("/api/v1/tasks/{id}/attempts")).await,
            ),
            (
                "cancel",
                yard.post_text(&format!("/api/v1/tasks/{id}/cancel"), "")
                    .await,
            ),
        ] {
            let problem = reply.refused(404, "not_found");
            assert!(problem["detail"].is_string(), "{id} {path}");
            let is_an_id = id.starts_with("01890a5d");
            let at: &[&str] = if is_an_id { &[] } else { &["id"] };
            assert_eq!(places(&problem), at, "{id} {path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_held_back_until_the_task_ends() {
    let yard = Yard::on_model();
    let (id, token) = yard.leased().await;
    let path = format!("/api/v1/tasks/{id}?wait_ms=60000");
    let began = Instant::now();

    let (task, ()) = tokio::join!(yard.get(&path), async {
        settle().await;
        tokio::time::advance(Duration::from_secs(20)).await;
        let body = json!({"lease_token": token, "output": 7});
        yard.post(&format!("/api/v1/tasks/{id}/complete"), &body)
            .await
            .ok();
    });

    assert_eq!(task.ok()["output"], 7);
    assert_eq!(began.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_waited_long_enough_tells_how_the_task_stands() {
    let yard = Yard::on_model();
    let id = yard.submit("echo").await;
    let began = Instant::now();

    let task = yard
        .get(&format!("/api/v1/tasks/{id}?wait_ms=1500"))
        .await
        .ok();

    assert_eq!(task["status"], "pending");
    assert_eq!(began.elapsed().as_millis(), 1500);
}

#[tokio::test]
async fn a_wait_is_at_most_a_minute() {
    let yard = Yard::new();
    let id = yard.submit("echo").await;
    for wait in ["60001", "-1", "x", "1.5", ""] {
        let reply = yard
            .get(&format!("/api/v1/tasks/{id}?wait_ms={wait}"))
            .await;
        reply.wrong_at(&["wait_ms"]);
    }
}
