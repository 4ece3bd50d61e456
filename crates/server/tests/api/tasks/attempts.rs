//! `GET /tasks/{id}/attempts`.

use std::time::Duration;

use serde_json::json;

use crate::yard::Yard;

#[tokio::test]
async fn every_run_is_listed_with_how_it_ended_and_what_came_too_late() {
    let yard = Yard::new();
    let (id, first) = yard.leased().await;
    let path = |verb: &str| format!("/api/v1/tasks/{id}/{verb}");

    yard.post(&path("release"), &json!({"lease_token": first}))
        .await
        .ok();
    let second = yard.claim("w").await.unwrap();
    yard.post(
        &path("start"),
        &json!({"lease_token": second["lease_token"]}),
    )
    .await
    .ok();
    yard.pass(Duration::from_secs(80));
    yard.sweep().await;
    yard.worker("v").await;
    let third = yard.claim("v").await.unwrap();
    let late = json!({"lease_token": second["lease_token"], "output": "late"});
    yard.post(&path("complete"), &late)
        .await
        .refused(409, "stale_lease");
    let running = yard.get(&path("attempts")).await.ok();
    yard.post(
        &path("complete"),
        &json!({"lease_token": third["lease_token"]}),
    )
    .await
    .ok();

    assert_eq!(running["items"][2]["outcome"], json!(null));
    assert_eq!(running["items"][2]["worker_id"], "v");
    insta::assert_json_snapshot!(yard.get(&path("attempts")).await.ok());
}

#[tokio::test]
async fn a_task_that_never_went_out_has_no_attempts() {
    let yard = Yard::new();
    let id = yard.submit("echo").await;
    yard.post_text(&format!("/api/v1/tasks/{id}/cancel"), "")
        .await
        .ok();

    let attempts = yard.get(&format!("/api/v1/tasks/{id}/attempts")).await.ok();

    assert_eq!(attempts, json!({"items": [], "late_results": []}));
}
