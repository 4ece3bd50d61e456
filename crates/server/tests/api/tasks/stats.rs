//! `GET /tasks/stats`.

use serde_json::json;

use crate::yard::Yard;

#[tokio::test]
async fn tasks_are_counted_by_status_queue_and_kind() {
    let yard = Yard::new();
    yard.leased().await;
    yard.submit("echo").await;
    let later = json!({"kind": "sleep", "queue": "slow", "input": 1, "delay_ms": 1000});
    yard.post("/api/v1/tasks", &later).await.ok();

    let stats = yard.get("/api/v1/tasks/stats").await.ok();

    insta::assert_json_snapshot!(stats);
}
