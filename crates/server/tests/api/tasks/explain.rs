//! `GET /tasks/{id}/explain`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::yard::Yard;

const UNKNOWN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// The codes, each of which stands in the documentation, and what would help.
async fn told(yard: &Yard, id: &str) -> (Vec<String>, Vec<String>) {
    let path = format!("/api/v1/tasks/{id}/explain");
    let told = yard.get(&path).await.ok();
    assert_eq!(told["task_id"], json!(id));
    assert_eq!(told["status"], json!(yard.status(id).await));
    let reasons = told["reasons"].as_array().unwrap();
    let word = |reason: &Value, field: &str| reason[field].as_str().map(str::to_owned);
    let codes: Vec<String> = reasons.iter().filter_map(|it| word(it, "code")).collect();
    let documented = include_str!("../../../../../docs/api.md");
    for code in &codes {
        assert!(documented.contains(&format!("| `{code}` |")), "{code}");
    }
    assert!(
        reasons
            .iter()
            .all(|it| word(it, "detail").is_some_and(|detail| detail.len() > 10))
    );
    (
        codes,
        reasons.iter().filter_map(|it| word(it, "action")).collect(),
    )
}

#[tokio::test]
async fn what_keeps_a_task_is_told_with_what_would_help() {
    let yard = Yard::new();
    let id = yard.submit("resize").await;
    let (codes, actions) = told(&yard, &id).await;
    assert_eq!(codes, ["no_worker_for_kind"]);
    assert!(
        actions[0].contains("taskyard worker --kinds resize"),
        "{actions:?}"
    );

    yard.worker("w").await;
    let (codes, _) = told(&yard, &id).await;
    assert_eq!(codes, ["waits_for_claim"]);

    yard.post_text("/api/v1/queues/default/pause", "")
        .await
        .ok();
    let (codes, actions) = told(&yard, &id).await;
    assert_eq!(codes, ["queue_paused"]);
    assert_eq!(actions, ["taskyard queues resume default"]);

    yard.post_text("/api/v1/queues/default/resume", "")
        .await
        .ok();
    yard.claim("w").await.unwrap();
    let behind = yard.submit("resize").await;
    assert_eq!(told(&yard, &id).await.0, ["assigned"]);
    assert_eq!(told(&yard, &behind).await.0, ["workers_busy"]);

    yard.pass(Duration::from_secs(40));
    assert_eq!(told(&yard, &id).await.0, ["assigned", "worker_silent"]);
    yard.post_text(&format!("/api/v1/tasks/{id}/cancel"), "")
        .await
        .ok();
    let (codes, actions) = told(&yard, &id).await;
    assert_eq!(codes, ["ended"]);
    assert_eq!(
        actions,
        [format!("run it again, as a new task: taskyard retry {id}")]
    );
}

#[tokio::test]
async fn times_to_come_and_demands_are_told_in_full() {
    let yard = Yard::new();
    yard.worker("w").await;
    let later = json!({"kind": "resize", "input": 1, "delay_ms": 60_000, "requires": {"memory_gb": ">=16"}});
    let made = yard.post("/api/v1/tasks", &later).await.ok();
    let id = made["id"].as_str().unwrap();

    let (codes, actions) = told(&yard, id).await;

    assert_eq!(codes, ["waits_for_run_at", "requires_unmet"]);
    assert!(actions[0].contains("{\"delay_ms\": 0}"), "{actions:?}");
    assert!(actions[1].ends_with("--label memory_gb=16"), "{actions:?}");
    yard.pass(Duration::from_mins(1));
    yard.promote().await;
    yard.worker("w").await;
    assert_eq!(told(&yard, id).await.0, ["requires_unmet"]);
}

#[tokio::test]
async fn what_cannot_be_explained_is_refused() {
    let yard = Yard::new();
    let path = |id: &str, query: &str| format!("/api/v1/tasks/{id}/explain{query}");
    yard.get(&path(UNKNOWN, "")).await.refused(404, "not_found");
    yard.get(&path("42", "")).await.refused(404, "not_found");
    let id = yard.submit("echo").await;
    let refused = yard.get(&path(&id, "?verbose=1")).await;
    refused.refused(422, "unknown_field");
}
