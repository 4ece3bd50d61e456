//! `POST /tasks/{id}/cancel`.

use http::Method;
use serde_json::json;

use crate::yard::{Yard, request};

#[tokio::test]
async fn a_task_is_cancelled_wherever_it_stands() {
    let yard = Yard::new();
    let (leased, _) = yard.leased().await;
    let waiting = yard.submit("echo").await;

    for id in [leased, waiting] {
        // Without a body, as curl sends it.
        let path = format!("/api/v1/tasks/{id}/cancel");
        let reply = yard
            .send(request(Method::POST, &path, axum::body::Body::empty()))
            .await;

        assert_eq!(reply.ok(), json!({"task_id": id, "status": "cancelled"}));
        assert_eq!(yard.status(&id).await, "cancelled");
    }
}

#[tokio::test]
async fn a_finished_task_cannot_be_cancelled_and_the_answer_says_how_it_ended() {
    let yard = Yard::new();
    let (id, token) = yard.leased().await;
    let complete = json!({"lease_token": token});
    yard.post(&format!("/api/v1/tasks/{id}/complete"), &complete)
        .await
        .ok();

    let reply = yard
        .post_text(&format!("/api/v1/tasks/{id}/cancel"), "")
        .await;

    let problem = reply.refused(409, "already_ended");
    assert_eq!(problem["task_status"], "completed");
    assert_eq!(yard.status(&id).await, "completed");
}

#[tokio::test]
async fn a_cancel_says_nothing_more() {
    let yard = Yard::new();
    let id = yard.submit("echo").await;
    let path = format!("/api/v1/tasks/{id}/cancel");

    yard.post(&path, &json!({"reason": "late"}))
        .await
        .refused(422, "unknown_field");
    assert_eq!(yard.status(&id).await, "pending");

    yard.post(&path, &json!({})).await.ok();
}
