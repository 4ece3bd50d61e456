//! The same request twice: client ids and idempotency keys.

use std::time::Duration;

use serde_json::json;
use taskyard_core::id::TaskId;
use taskyard_core::policy::Policy;

use crate::yard::{Yard, lines_request};

const TASKS: &str = "/api/v1/tasks";
const BATCH: &str = "/api/v1/tasks/batch";

/// An id as a client would make it now.
fn id(yard: &Yard) -> String {
    yard.app.engine().new_task().to_string()
}

#[tokio::test]
async fn the_same_id_with_the_same_body_is_the_same_task() {
    let yard = Yard::new();
    let id = id(&yard);
    let body = format!(r#"{{"kind":"echo","input":{{"a": 1}},"id":"{id}"}}"#);
    let other_order = format!(r#"{{"id": "{id}", "input":{{"a": 1}}, "kind":"echo"}}"#);

    let first = yard.post_text(TASKS, body.clone()).await;
    let again = yard.post_text(TASKS, body.clone()).await;
    let reordered = yard.post_text(TASKS, other_order).await;
    let in_batch = yard.post_text(BATCH, format!("[{body}]")).await;

    assert_eq!(first.ok()["id"], id);
    assert_eq!((again.status, again.ok()), (first.status, first.ok()));
    assert_eq!(reordered.ok(), first.ok());
    assert_eq!(in_batch.ok()["ids"], json!([id]));
    assert_eq!(yard.total().await, 1);
}

#[tokio::test]
async fn the_same_id_with_another_body_is_refused() {
    let yard = Yard::new();
    let id = id(&yard);
    let body = |input: u8| json!({"kind": "echo", "input": input, "id": id});
    yard.post(TASKS, &body(1)).await.ok();

    let reply = yard.post(TASKS, &body(2)).await;

    let problem = reply.refused(409, "id_taken");
    assert_eq!(crate::yard::places(&problem), ["/id"]);
    assert_eq!(problem["task_id"], id);
    assert_eq!(yard.total().await, 1);
}

#[tokio::test]
async fn the_same_id_twice_in_one_batch_is_refused_as_what_it_is() {
    let yard = Yard::new();
    let id = id(&yard);
    let body = |input: u8| json!({"kind": "echo", "input": input, "id": id});
    let other = json!({"kind": "echo", "input": 1});

    for (first, second) in [(1, 1), (1, 2)] {
        let batch = json!([body(first), other, body(second)]);
        let problem = yard.post(BATCH, &batch).await.wrong_at(&["/2/id"]);
        assert_eq!(problem["task_id"], id);
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("twice in the request"), "{detail}");
    }
    let lines = format!("{}\n{other}\n{}\n", body(1), body(1));
    let problem = yard.send(lines_request(lines)).await.wrong_at(&["/id"]);
    let detail = problem["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("line 3: this id"), "{detail}");
    assert_eq!(yard.total().await, 0);
}

#[tokio::test]
async fn an_id_must_be_a_version_7_of_the_last_day() {
    let yard = Yard::new();
    for (id, why) in [
        ("01890a5d-ac96-774b-bcce-b302099a8057", "too old"),
        ("ffffffff-ffff-7fff-bfff-ffffffffffff", "of the future"),
        ("7d444840-9dc0-41d1-b245-5ffdce74fad2", "version 4"),
        ("01890A5D-AC96-774B-BCCE", "cut"),
    ] {
        let body = json!({"kind": "echo", "input": 1, "id": id});
        let reply = yard.post(TASKS, &body).await;
        assert_eq!(reply.wrong_at(&["/id"])["code"], "invalid", "{why}");
    }
    assert_eq!(yard.total().await, 0);
}

#[tokio::test]
async fn an_id_of_another_time_is_told_what_times_are_taken() {
    let yard = Yard::new();
    let made = yard.app.engine().store().now();
    let id = TaskId::new(made, 7);
    let body = json!({"kind": "echo", "input": 1, "id": id});
    let refused = async |id: TaskId| {
        let body = json!({"kind": "echo", "input": 1, "id": id});
        let problem = yard.post(TASKS, &body).await.wrong_at(&["/id"]);
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        for said in [
            &id.made_at().to_string(),
            "24 hours",
            "5 minutes ahead of the server's clock",
        ] {
            assert!(detail.contains(said), "{detail}");
        }
    };

    refused(TaskId::new(made + Duration::from_millis(300_001), 7)).await;
    let ahead = TaskId::new(made + Duration::from_mins(5), 7);
    let ahead = json!({"kind": "echo", "input": 1, "id": ahead});
    yard.post(TASKS, &ahead).await.ok();

    yard.pass(Duration::from_hours(24));
    yard.post(TASKS, &body).await.ok();
    refused(TaskId::new(made - Duration::from_millis(1), 7)).await;
}

#[tokio::test]
async fn an_id_is_told_of_the_times_that_are_set() {
    let yard = Yard::under(Policy {
        key_life: Duration::from_hours(2),
        clock_skew: Duration::from_secs(90),
        ..Policy::default()
    });
    let id = TaskId::new(yard.app.engine().store().now(), 7);
    yard.pass(Duration::from_hours(2) + Duration::from_millis(1));

    let body = json!({"kind": "echo", "input": 1, "id": id});
    let problem = yard.post(TASKS, &body).await.wrong_at(&["/id"]);

    let detail = problem["detail"].as_str().unwrap();
    for said in ["of the last 2 hours", "at most 1 minute 30 seconds ahead"] {
        assert!(detail.contains(said), "{detail}");
    }
}

#[tokio::test]
async fn the_same_key_answers_the_same_task_as_it_stands_now() {
    let yard = Yard::new();
    let body = r#"{"kind":"echo","input":1}"#;

    let first = yard.post_keyed(TASKS, "k", body).await;
    let id = first.ok()["id"].as_str().unwrap().to_owned();
    yard.post_text(&format!("{TASKS}/{id}/cancel"), "{}")
        .await
        .ok();
    let again = yard.post_keyed(TASKS, "k", body).await;

    assert_eq!(again.status, first.status);
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.ok(), json!({"id": id, "status": "cancelled"}));
    assert_eq!(yard.total().await, 1);
}

#[tokio::test]
async fn a_key_belongs_to_its_route_and_its_body() {
    let yard = Yard::new();
    yard.post_keyed(TASKS, "k", r#"{"kind":"echo","input":1}"#)
        .await
        .ok();

    let other_body = yard
        .post_keyed(TASKS, "k", r#"{"kind":"echo","input":2}"#)
        .await;
    let other_route = yard
        .post_keyed(BATCH, "k", r#"[{"kind":"echo","input":1}]"#)
        .await;

    other_body.refused(422, "idempotency_key_reused");
    other_route.ok();
    assert_eq!(yard.total().await, 2);
}

#[tokio::test]
async fn a_batch_with_the_same_key_answers_the_same_ids() {
    let yard = Yard::new();
    let body = r#"[{"kind":"echo","input":1},{"kind":"echo","input":2}]"#;

    let first = yard.post_keyed(BATCH, "k", body).await.ok();
    let again = yard.post_keyed(BATCH, "k", body).await.ok();

    assert_eq!(again, first);
    assert_eq!(yard.total().await, 2);
}

#[tokio::test]
async fn a_key_has_1_to_255_visible_characters() {
    let yard = Yard::new();
    let body = r#"{"kind":"echo","input":1}"#;

    yard.post_keyed(TASKS, &"k".repeat(255), body).await.ok();
    for key in [&"k".repeat(256), "", "a b"] {
        let reply = yard.post_keyed(TASKS, key, body).await;
        reply.wrong_at(&["Idempotency-Key"]);
    }
    let mut twice = lines_request(body);
    twice
        .headers_mut()
        .append("idempotency-key", "a".parse().unwrap());
    twice
        .headers_mut()
        .append("idempotency-key", "b".parse().unwrap());
    yard.send(twice).await.wrong_at(&["Idempotency-Key"]);
    assert_eq!(yard.total().await, 1);
}
