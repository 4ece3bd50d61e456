//! `GET` and `DELETE /workers/{id}`, `POST /workers/{id}/drain` and `/kill`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::yard::{Reply, Yard, settle};

const W: &str = "/api/v1/workers/w";
const DRAIN: &str = "/api/v1/workers/w/drain";
const KILL: &str = "/api/v1/workers/w/kill";
const HEARTBEAT: &str = "/api/v1/workers/w/heartbeat";
const CLAIM: &str = "/api/v1/workers/w/claim";
const REPORT: &str = "/api/v1/workers/w/report";

#[tokio::test]
async fn a_worker_is_shown_with_what_it_holds() {
    let yard = Yard::new();
    let (id, token) = yard.leased().await;
    let progress = json!({"fraction": 0.5, "message": "half"});
    let held = json!({"task_id": id, "lease_token": token, "running": true, "progress": progress});
    yard.post(HEARTBEAT, &json!({"held": [held]})).await.ok();

    let shown = yard.get(W).await.ok();

    assert_eq!(
        (&shown["worker_id"], &shown["status"], &shown["held"]),
        (&json!("w"), &json!("busy"), &json!(1))
    );
    assert_eq!(
        (&shown["completed"], &shown["failed"]),
        (&json!(0), &json!(0))
    );
    let run = &shown["running"][0];
    assert_eq!(
        (&run["task_id"], &run["status"], &run["attempt"]),
        (&json!(id), &json!("running"), &json!(1))
    );
    assert_eq!(
        (&run["kind"], &run["queue"]),
        (&json!("echo"), &json!("default"))
    );
    assert_eq!(run["progress"], progress);
    assert!(run["started_at"].is_string(), "{run}");
    let listed = yard.get("/api/v1/workers").await.ok();
    assert!(listed["items"][0].get("running").is_none());
}

#[tokio::test]
async fn a_worker_that_leaves_is_offline_until_it_calls_again() {
    let yard = Yard::new();
    let (id, token) = yard.leased().await;
    let held = json!({"task_id": id, "lease_token": token, "running": true});
    let status = async || yard.get(W).await.ok()["status"].clone();

    let holds = json!({"held": [held], "leaves": true});
    let refused = yard.post(HEARTBEAT, &holds).await;
    let problem = refused.refused(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/leaves", "{problem}");
    assert_eq!(status().await, "busy");

    let result = json!({"task_id": id, "lease_token": token, "outcome": "completed"});
    yard.post(REPORT, &json!({"results": [result]})).await.ok();
    let leaves = json!({"held": [], "epoch": 1, "leaves": true});
    yard.post(HEARTBEAT, &leaves).await.ok();
    assert_eq!(status().await, "offline");

    // At once, however lately it was heard.
    yard.post(CLAIM, &json!({"limit": 1})).await.ok();
    yard.post(HEARTBEAT, &json!({"held": []})).await.ok();
    assert_eq!(status().await, "idle");
}

#[tokio::test]
async fn whoever_is_no_worker_is_not_found() {
    let yard = Yard::new();
    for name in ["nobody", "a%2Fb"] {
        let path = format!("/api/v1/workers/{name}");
        yard.get(&path).await.refused(404, "not_found");
        yard.delete(&path).await.refused(404, "not_found");
        for verb in ["drain", "kill"] {
            let path = format!("{path}/{verb}");
            yard.post_text(&path, "").await.refused(404, "not_found");
        }
    }
}

#[tokio::test]
async fn a_draining_worker_is_told_by_each_answer_and_gets_nothing_more() {
    let yard = Yard::new();
    let (id, token) = yard.leased().await;
    let waits = yard.submit("echo").await;

    for _ in 0..2 {
        let drained = yard.post_text(DRAIN, "").await.ok();
        assert_eq!(drained["status"], "draining");
    }

    let heard = yard.post(HEARTBEAT, &json!({"held": []})).await.ok();
    assert_eq!(heard["drain"], true);
    let claimed = yard.post(CLAIM, &json!({"limit": 1})).await.ok();
    assert_eq!(
        (&claimed["tasks"], &claimed["drain"]),
        (&json!([]), &json!(true))
    );
    let result = json!({"task_id": id, "lease_token": token, "outcome": "completed"});
    let reported = yard.post(REPORT, &json!({"results": [result]})).await.ok();
    assert_eq!(reported["drain"], true);
    assert_eq!(yard.status(&id).await, "completed");
    assert_eq!(yard.status(&waits).await, "pending");
    assert_eq!(yard.get(W).await.ok()["status"], "draining");

    yard.worker("w").await;
    assert_eq!(yard.get(W).await.ok()["status"], "idle");
    let claimed = yard.post(CLAIM, &json!({"limit": 1})).await.ok();
    assert_eq!(
        (&claimed["tasks"][0]["id"], claimed.get("drain")),
        (&json!(waits), None)
    );
}

/// A claim of `w` that may be held back.
fn claims(yard: &Arc<Yard>) -> JoinHandle<Reply> {
    let yard = Arc::clone(yard);
    let body = json!({"limit": 1, "wait_ms": 60_000});
    tokio::spawn(async move { yard.post(CLAIM, &body).await })
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_waits_is_answered_at_once_when_its_worker_is_to_go() {
    let yard = Arc::new(Yard::on_model());
    yard.worker("w").await;
    let drained = claims(&yard);
    settle().await;
    assert!(!drained.is_finished());
    tokio::time::advance(Duration::from_secs(1)).await;
    yard.post_text(DRAIN, "").await.ok();
    let began = tokio::time::Instant::now();
    assert_eq!(drained.await.unwrap().ok()["drain"], true);
    assert_eq!(began.elapsed(), Duration::ZERO);

    let began = tokio::time::Instant::now();
    yard.worker("w").await;
    let killed = claims(&yard);
    settle().await;
    assert!(!killed.is_finished());
    yard.post_text(KILL, "{}").await.ok();
    killed.await.unwrap().refused(409, "worker_replaced");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn a_killed_worker_is_nobody_and_its_task_runs_elsewhere() {
    let yard = Yard::new();
    let (id, token) = yard.leased().await;

    let killed = yard.post_text(KILL, "").await.ok();

    assert_eq!(
        (&killed["status"], &killed["held"]),
        (&json!("offline"), &json!(0))
    );
    assert_eq!(killed["heard_at"], json!(null), "it is not kept");
    let again = yard.post_text(KILL, "").await.ok();
    assert_eq!(again["epoch"], killed["epoch"], "nothing happens");
    for (path, body) in [
        (HEARTBEAT, json!({"held": []})),
        (HEARTBEAT, json!({"held": [], "epoch": 1})),
        (HEARTBEAT, json!({"held": [], "epoch": killed["epoch"]})),
        (CLAIM, json!({"limit": 1})),
        (CLAIM, json!({"limit": 1, "epoch": 1})),
        (REPORT, json!({"results": []})),
    ] {
        yard.post(path, &body).await.refused(409, "worker_replaced");
    }
    let complete = format!("/api/v1/tasks/{id}/complete");
    let body = json!({"lease_token": token, "output": 1});
    yard.post(&complete, &body)
        .await
        .refused(409, "stale_lease");
    yard.worker("other").await;
    let run = yard.claim("other").await.unwrap();
    assert_eq!((&run["id"], &run["attempt"]), (&json!(id), &json!(1)));
    let attempts = yard.get(&format!("/api/v1/tasks/{id}/attempts")).await.ok();
    assert_eq!(attempts["items"][0]["outcome"], "released");
    assert_eq!(attempts["items"][0]["error"]["code"], "worker_killed");
}

#[tokio::test]
async fn only_a_worker_that_is_offline_is_deleted() {
    let yard = Yard::new();
    yard.worker("w").await;
    let problem = yard.delete(W).await.refused(409, "worker_online");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("drain it") && detail.contains("kill it"),
        "{detail}"
    );
    yard.post_text(KILL, "").await.ok();

    let deleted = yard.delete(W).await;

    assert_eq!((deleted.status.as_u16(), deleted.bytes.len()), (204, 0));
    yard.get(W).await.refused(404, "not_found");
    yard.delete(W).await.refused(404, "not_found");
    assert_eq!(yard.get("/api/v1/workers").await.ok()["items"], json!([]));
    yard.worker("w").await;
    assert_eq!(yard.get(W).await.ok()["status"], json!("idle"));
}

#[tokio::test]
async fn a_drained_worker_that_is_deleted_and_lives_is_shown_again_from_its_next_sign_of_life() {
    for (path, body) in [
        (CLAIM, json!({"limit": 1})),
        (HEARTBEAT, json!({"held": []})),
        (REPORT, json!({"results": []})),
    ] {
        let yard = Yard::new();
        yard.worker("w").await;
        yard.post_text(DRAIN, "").await.ok();
        assert_eq!(yard.delete(W).await.status.as_u16(), 204);
        yard.get(W).await.refused(404, "not_found");

        yard.post(path, &body).await.ok();
        settle().await;

        let status = yard.get(W).await.ok()["status"].take();
        assert_eq!(status, json!("draining"), "{path}");
    }
}

#[tokio::test]
async fn what_is_no_empty_object_is_refused() {
    let yard = Yard::new();
    yard.worker("w").await;
    for path in [DRAIN, KILL] {
        let odd = yard.post(path, &json!({"force": true})).await;
        odd.refused(422, "unknown_field");
        let odd = yard.post(&format!("{path}?force=1"), &json!({})).await;
        odd.refused(422, "unknown_field");
    }
    assert_eq!(yard.get(W).await.ok()["status"], Value::from("idle"));
}
