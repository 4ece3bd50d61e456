//! `POST /workers/{id}/heartbeat`.

use std::time::Duration;

use serde_json::json;

use crate::yard::Yard;

const HEARTBEAT: &str = "/api/v1/workers/w/heartbeat";

#[tokio::test]
async fn a_heartbeat_tells_what_holds_what_is_lost_and_what_was_cancelled() {
    let yard = Yard::new();
    let (kept, token) = yard.leased().await;
    let (cancelled, cancelled_token) = yard.leased().await;
    // Registering `w` again took the first one away.
    yard.post_text(&format!("/api/v1/tasks/{cancelled}/cancel"), "")
        .await
        .ok();
    yard.sweep().await;
    let run = yard.claim("w").await.unwrap();
    assert_eq!(run["id"], kept);
    let held =
        |id: &str, token: &str| json!({"task_id": id, "lease_token": token, "running": true});

    let body = json!({"held": [
        held(&kept, run["lease_token"].as_str().unwrap()), held(&kept, &token), held(&cancelled, &cancelled_token),
    ]});
    let heard = yard.post(HEARTBEAT, &body).await.ok();

    assert_eq!(heard["lost"], json!([kept]));
    assert_eq!(heard["cancel"], json!([cancelled]));
    assert_eq!(heard["drain"], false);
    assert_eq!(heard["expires_at"], run["lease_expires_at"]);
    assert_eq!(yard.status(&kept).await, "running");
}

#[tokio::test]
async fn a_heartbeat_is_a_sign_of_life() {
    let yard = Yard::new();
    yard.worker("w").await;
    yard.pass(Duration::from_secs(29));
    yard.post(HEARTBEAT, &json!({"held": []})).await.ok();
    yard.pass(Duration::from_secs(29));

    let workers = yard.get("/api/v1/workers").await.ok();

    assert_eq!(workers["items"][0]["status"], "idle");
}

#[tokio::test]
async fn everything_wrong_in_a_heartbeat_is_told_at_once() {
    let yard = Yard::new();
    let (id, token) = yard.leased().await;
    let held = json!([
        {"task_id": id, "lease_token": token, "running": true, "progress": {"fraction": 2}},
        {"task_id": id, "lease_token": token, "running": true, "progress": {"fraction": -1}},
    ]);

    let reply = yard
        .post(HEARTBEAT, &json!({"held": held, "epoch": 0}))
        .await;

    reply.wrong_at(&[
        "/epoch",
        "/held/0/progress/fraction",
        "/held/1/progress/fraction",
    ]);
    assert_eq!(yard.status(&id).await, "assigned");
}
