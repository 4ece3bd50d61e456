//! `GET /tasks/{id}/attempts`.

use std::time::Duration;

use serde_json::{Value, json};

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

/// The only run of a task with these fields, once `end` ended both.
async fn ended(fields: Value, end: impl AsyncFnOnce(&Yard, &str, &str)) -> (String, Value) {
    let yard = Yard::new();
    yard.worker("w").await;
    let mut task = json!({"kind": "echo", "input": 1});
    task.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    yard.post("/api/v1/tasks", &task).await.ok();
    let run = yard.claim("w").await.unwrap();
    let text = |field: &str| run[field].as_str().unwrap();
    let (path, token) = (format!("/api/v1/tasks/{}", text("id")), text("lease_token"));
    let begun = json!({"lease_token": token});
    yard.post(&format!("{path}/start"), &begun).await.ok();

    end(&yard, &path, token).await;

    let attempts = yard.get(&format!("{path}/attempts")).await.ok();
    assert_eq!(attempts["items"].as_array().unwrap().len(), 1, "{attempts}");
    let status = yard.status(text("id")).await;
    (status, attempts["items"][0].clone())
}

#[tokio::test]
async fn the_run_that_ended_a_task_tells_how() {
    let check = |(status, attempt): (String, Value), word: &str, outcome: &str, code: Value| {
        assert_eq!((&*status, &attempt["outcome"]), (word, &json!(outcome)));
        assert_eq!(attempt["error"]["code"], code);
    };

    let lost = ended(json!({"max_losses": 1}), async |yard, _, _| {
        yard.pass(Duration::from_secs(80));
        yard.sweep().await;
    });
    check(lost.await, "failed", "lost", json!("worker_lost"));

    let overdue = json!({"max_attempts": 1, "timeout_ms": 1000});
    let overdue = ended(overdue, async |yard, _, _| {
        yard.pass(Duration::from_secs(20));
        yard.sweep().await;
    });
    check(overdue.await, "timeout", "timed_out", json!("timeout"));

    let cancelled = ended(json!({}), async |yard, path, _| {
        yard.post_text(&format!("{path}/cancel"), "").await.ok();
    });
    check(cancelled.await, "cancelled", "cancelled", json!(null));

    // Whatever a worker calls it, a run that it reports was not lost.
    let failed = ended(json!({}), async |yard, path, token| {
        let body = json!({
            "lease_token": token, "retry": false,
            "error": {"code": "worker_lost", "message": "it says"},
        });
        yard.post(&format!("{path}/fail"), &body).await.ok();
    });
    check(failed.await, "failed", "failed", json!("worker_lost"));

    let completed = ended(json!({}), async |yard, path, token| {
        let body = json!({"lease_token": token, "output": 1});
        yard.post(&format!("{path}/complete"), &body).await.ok();
    });
    check(completed.await, "completed", "completed", json!(null));
}
