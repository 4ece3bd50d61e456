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

#[tokio::test]
async fn long_details_are_left_out_and_the_task_shows_the_latest() {
    let yard = Yard::with(|settings| settings.limits.attempt_detail_max = 10);
    let (id, mut token) = yard.leased().await;
    let fits = json!("x".repeat(8));
    let long = json!("x".repeat(9));
    for detail in [&fits, &long, &long] {
        let body = json!({
            "lease_token": token,
            "error": {"code": "e", "message": "m", "detail": detail},
        });
        yard.post(&format!("/api/v1/tasks/{id}/fail"), &body)
            .await
            .ok();
        yard.pass(Duration::from_secs(60));
        yard.promote().await;
        token = yard.claim("w").await.unwrap()["lease_token"]
            .as_str()
            .unwrap()
            .to_owned();
    }
    let last = json!({
        "lease_token": token, "retry": false,
        "error": {"code": "e", "message": "m", "detail": long},
    });
    yard.post(&format!("/api/v1/tasks/{id}/fail"), &last)
        .await
        .ok();

    let attempts = yard.get(&format!("/api/v1/tasks/{id}/attempts")).await.ok();

    let items = attempts["items"].as_array().unwrap();
    let errors: Vec<_> = items.iter().map(|item| &item["error"]).collect();
    assert_eq!(errors[0]["detail"], fits);
    let short = json!({"code": "e", "message": "m"});
    assert_eq!(errors[1..], [&short, &short, &short]);
    assert_eq!(yard.task(&id).await["error"]["detail"], long);
}
