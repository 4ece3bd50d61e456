//! `GET /workers`.

use std::time::Duration;

use serde_json::json;

use crate::yard::Yard;

#[tokio::test]
async fn workers_are_listed_by_name_with_what_they_do() {
    let yard = Yard::new();
    let gone = json!({
        "worker_id": "gone", "kinds": ["resize"], "queues": ["slow"], "labels": {"gpu": "a100"}, "capacity": 4,
    });
    yard.post("/api/v1/workers/register", &gone).await.ok();
    yard.pass(Duration::from_secs(31));
    yard.worker("idle").await;
    yard.leased().await;

    insta::assert_json_snapshot!(yard.get("/api/v1/workers").await.ok());
}
