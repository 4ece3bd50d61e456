//! Tasks that stand once in their queue, and those that never run twice at once.

use serde_json::{Value, json};

use crate::yard::Yard;

fn keyed(key: &str) -> Value {
    json!({"kind": "echo", "input": {"n": 1}, "unique_key": key})
}

#[tokio::test]
async fn the_same_key_again_answers_the_task_that_has_it() {
    let yard = Yard::new();
    let first = yard.post("/api/v1/tasks", &keyed("a b/ü")).await;
    assert_eq!(first.status.as_u16(), 201);
    let (id, location) = (
        first.ok()["id"].clone(),
        first.header("location").to_owned(),
    );

    // Another body, but the same key.
    let body = json!({"kind": "other", "input": 2, "unique_key": "a b/ü"});
    let second = yard.post("/api/v1/tasks", &body).await;

    assert_eq!(second.status.as_u16(), 200);
    assert_eq!(second.ok(), json!({"id": id, "status": "pending"}));
    assert_eq!(second.header("location"), location);
    assert_eq!(yard.total().await, 1);
    assert_eq!(yard.task(id.as_str().unwrap()).await["unique_key"], "a b/ü");
}

#[tokio::test]
async fn a_key_is_of_its_queue_and_free_after_the_end() {
    let yard = Yard::new();
    let first = yard.post("/api/v1/tasks", &keyed("a")).await.ok();
    let mut elsewhere = keyed("a");
    elsewhere["queue"] = json!("other");
    let other = yard.post("/api/v1/tasks", &elsewhere).await;
    assert_eq!(other.status.as_u16(), 201);

    let cancel = format!("/api/v1/tasks/{}/cancel", first["id"].as_str().unwrap());
    yard.post_text(&cancel, "").await.ok();

    let next = yard.post("/api/v1/tasks", &keyed("a")).await;
    assert_eq!(next.status.as_u16(), 201);
    assert_ne!(next.ok()["id"], first["id"]);
}

#[tokio::test]
async fn in_a_batch_the_id_of_the_task_that_has_the_key_stands_in_its_place() {
    let yard = Yard::new();
    let first = yard.post("/api/v1/tasks", &keyed("a")).await.ok();
    let batch = json!([keyed("b"), keyed("a"), keyed("b")]);

    let ids = yard.post("/api/v1/tasks/batch", &batch).await.ok()["ids"].clone();

    assert_eq!((&ids[1], &ids[2]), (&first["id"], &ids[0]));
    assert_eq!(yard.total().await, 2);
}

#[tokio::test]
async fn a_bad_key_is_named_and_nothing_is_stored() {
    let yard = Yard::new();
    for (key, fits) in [
        (json!(""), false),
        (json!("x".repeat(255)), true),
        (json!("x".repeat(256)), false),
        (json!("a\u{7}b"), false),
        (json!(7), false),
        (json!(null), true),
    ] {
        let body = json!({"kind": "echo", "input": 1, "unique_key": key});
        let reply = yard.post("/api/v1/tasks", &body).await;
        if fits {
            reply.ok();
        } else {
            reply.wrong_at(&["/unique_key"]);
        }
    }
    assert_eq!(yard.total().await, 2);
}

#[tokio::test]
async fn an_exclusive_task_says_so_to_its_worker_and_to_those_who_look() {
    let yard = Yard::new();
    yard.worker("w").await;
    let body = json!({"kind": "echo", "input": 1, "exclusive": true});
    let made = yard.post("/api/v1/tasks", &body).await.ok();
    yard.submit("echo").await;

    assert_eq!(yard.claim("w").await.unwrap()["exclusive"], true);
    assert_eq!(yard.claim("w").await.unwrap().get("exclusive"), None);
    let task = yard.task(made["id"].as_str().unwrap()).await;
    assert_eq!(task["exclusive"], true);
    for wrong in [json!("yes"), json!(1)] {
        let body = json!({"kind": "echo", "input": 1, "exclusive": wrong});
        yard.post("/api/v1/tasks", &body)
            .await
            .wrong_at(&["/exclusive"]);
    }
}
