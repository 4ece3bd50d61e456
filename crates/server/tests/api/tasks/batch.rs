//! `POST /tasks/batch` with an array.

use serde_json::{Value, json};

use crate::yard::{Yard, json_request, places};

const BATCH: &str = "/api/v1/tasks/batch";

fn tasks(count: usize) -> Value {
    (0..count)
        .map(|n| json!({"kind": "echo", "input": n}))
        .collect::<Vec<_>>()
        .into()
}

#[tokio::test]
async fn ids_are_answered_in_the_order_of_the_tasks() {
    let yard = Yard::new();

    let reply = yard.post(BATCH, &tasks(3)).await;

    assert_eq!(reply.status, 201);
    for (n, id) in reply.ok()["ids"].as_array().unwrap().iter().enumerate() {
        assert_eq!(yard.task(id.as_str().unwrap()).await["input"], n);
    }
}

#[tokio::test]
async fn one_wrong_task_refuses_its_whole_batch_and_every_wrong_one_is_named() {
    let yard = Yard::new();
    let mut batch = tasks(9);
    batch[3]["priority"] = json!(1000);
    batch[7]["kind"] = json!("");

    yard.post(BATCH, &batch)
        .await
        .wrong_at(&["/3/priority", "/7/kind"]);

    assert_eq!(yard.total().await, 0);
}

#[tokio::test]
async fn errors_are_told_up_to_a_hundred() {
    let yard = Yard::new();
    let batch: Vec<Value> = (0..150).map(|_| json!({"kind": "", "input": 1})).collect();

    let problem = yard
        .post(BATCH, &batch.into())
        .await
        .refused(422, "invalid");

    assert_eq!(places(&problem).len(), 100);
    assert_eq!(
        problem["detail"],
        "/0/kind: must not be empty (and 149 more)"
    );
}

#[tokio::test]
async fn a_batch_takes_10_000_tasks_and_not_one_more() {
    let yard = Yard::new();

    let refused = yard.post(BATCH, &tasks(10_001)).await;
    refused.refused(413, "too_large");
    assert_eq!(yard.total().await, 0);

    yard.post(BATCH, &tasks(10_000)).await.ok();
    assert_eq!(yard.total().await, 10_000);
}

#[tokio::test]
async fn an_empty_batch_is_a_mistake() {
    let yard = Yard::new();
    yard.post(BATCH, &json!([])).await.refused(422, "invalid");
}

#[tokio::test]
async fn a_batch_of_more_than_16_mib_is_refused_by_its_stated_length() {
    let yard = Yard::new();
    // Only the length is sent: the body is not waited for.
    let mut request = json_request(BATCH, axum::body::Body::from_stream(pending()));
    let length = ((16 << 20) + 1).to_string().parse().unwrap();
    request.headers_mut().insert("content-length", length);

    yard.send(request).await.refused(413, "too_large");
}

fn pending() -> impl futures_util::Stream<Item = std::io::Result<bytes::Bytes>> {
    futures_util::stream::pending()
}
