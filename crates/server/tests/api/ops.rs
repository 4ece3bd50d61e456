//! `POST /ops/reset`.

use serde_json::json;

use crate::yard::Yard;

const RESET: &str = "/api/v1/ops/reset";

#[tokio::test]
async fn nothing_is_taken_away_but_by_a_server_for_development() {
    let yard = Yard::new();
    let id = yard.submit("echo").await;

    let problem = yard.post_text(RESET, "").await.refused(403, "only_in_dev");

    assert!(
        problem["detail"].as_str().unwrap().contains("--dev"),
        "{problem}"
    );
    assert_eq!(yard.status(&id).await, "pending");
}

#[tokio::test]
async fn what_was_given_out_before_is_refused_afterwards() {
    let yard = Yard::with(|settings| settings.dev = true);
    let registered = yard.worker("w").await;
    for _ in 0..3 {
        yard.submit("echo").await;
    }
    let run = yard.claim("w").await.unwrap();
    let page = yard.get("/api/v1/tasks?limit=1").await.ok();
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(yard.total().await, 3);

    let emptied = yard.post_text(RESET, "").await.ok();

    let incarnation = emptied["incarnation"].as_str().unwrap();
    assert_eq!(incarnation.len(), 32, "{incarnation}");
    assert_eq!(yard.total().await, 0);
    for list in ["tasks", "workers", "queues", "operations"] {
        let listed = yard.get(&format!("/api/v1/{list}")).await.ok();
        assert_eq!(listed["items"], json!([]), "{list}");
    }
    let id = run["id"].as_str().unwrap();
    let done = json!({"lease_token": run["lease_token"], "output": 1});
    let complete = format!("/api/v1/tasks/{id}/complete");
    yard.post(&complete, &done).await.refused(404, "not_found");
    let next = format!("/api/v1/tasks?limit=1&cursor={cursor}");
    let problem = yard.get(&next).await.wrong_at(&["cursor"]);
    assert!(
        problem["detail"].to_string().contains("cursor"),
        "{problem}"
    );
    let claim = json!({"limit": 1, "epoch": registered["epoch"]});
    let path = "/api/v1/workers/w/claim";
    yard.post(path, &claim).await.refused(404, "not_found");

    yard.worker("w").await;
    yard.post(path, &claim)
        .await
        .refused(409, "worker_replaced");
    // Under a client's own id the same task may come again: the lease of before is not of it.
    let again = json!({"kind": "echo", "input": {"n": 1}, "id": id});
    yard.post("/api/v1/tasks", &again).await.ok();
    assert!(yard.claim("w").await.is_some());
    yard.post(&complete, &done)
        .await
        .refused(409, "stale_lease");
}

#[tokio::test]
async fn twice_and_empty_are_no_trouble_and_a_body_is() {
    let yard = Yard::with(|settings| settings.dev = true);
    let one = yard.post_text(RESET, "").await.ok();
    let two = yard.post_text(RESET, "").await.ok();
    assert_ne!(one, two);
    yard.post_text(RESET, "{\"really\": true}")
        .await
        .refused(422, "unknown_field");
}
