//! `POST /tasks/cancel`, `POST /tasks/retry` and `/operations`.

use serde_json::{Value, json};
use taskyard_core::policy::Policy;
use taskyard_engine::services::operations;

use crate::yard::Yard;

const CANCEL: &str = "/api/v1/tasks/cancel";
const RETRY: &str = "/api/v1/tasks/retry";

/// As the service does until there is nothing left to do.
async fn work_off(yard: &Yard) {
    while operations::run_once(yard.app.engine()).await.unwrap() {}
}

async fn submit(yard: &Yard, kind: &str, count: usize) -> Vec<String> {
    let mut made = Vec::new();
    for _ in 0..count {
        made.push(yard.submit(kind).await);
        yard.pass(std::time::Duration::from_millis(1));
    }
    made
}

async fn total(yard: &Yard, status: &str) -> Value {
    let stats = yard.get("/api/v1/tasks/stats").await.ok();
    stats["by_status"][status].clone()
}

#[tokio::test]
async fn what_fits_is_cancelled_and_how_far_that_is_can_be_seen() {
    let yard = Yard::new();
    submit(&yard, "echo", 3).await;
    let other = yard.submit("sleep").await;
    let body = json!({"filter": {"kind": "echo", "status": ["pending", "completed"]}});

    let begun = yard.post(CANCEL, &body).await;

    assert_eq!(begun.status, 202);
    let operation = begun.json();
    let path = format!("/api/v1/operations/{}", operation["id"].as_str().unwrap());
    assert_eq!(begun.header("location"), path);
    assert_eq!(
        operation["filter"],
        json!({"kind": "echo", "status": ["pending"]})
    );
    assert_eq!(
        (&operation["status"], &operation["matched"]),
        (&json!("running"), &json!(0))
    );
    work_off(&yard).await;
    let ended = yard.get(&path).await.ok();
    assert_eq!(
        (
            &ended["status"],
            &ended["matched"],
            &ended["done"],
            &ended["skipped"]
        ),
        (&json!("done"), &json!(3), &json!(3), &json!(0))
    );
    assert!(ended["ended_at"].is_string());
    assert_eq!(total(&yard, "cancelled").await, 3);
    assert_eq!(yard.status(&other).await, "pending");
}

#[tokio::test]
async fn what_has_ended_runs_again_as_new_tasks() {
    let yard = Yard::new();
    let ids = submit(&yard, "echo", 2).await;
    for id in &ids {
        yard.post(&format!("/api/v1/tasks/{id}/cancel"), &json!({}))
            .await
            .ok();
    }
    submit(&yard, "echo", 1).await;
    let body = json!({"filter": {"status": ["cancelled", "failed"]}});

    let begun = yard.post(RETRY, &body).await.json();
    work_off(&yard).await;

    let path = format!("/api/v1/operations/{}", begun["id"].as_str().unwrap());
    let ended = yard.get(&path).await.ok();
    assert_eq!(
        (&ended["act"], &ended["done"]),
        (&json!("retry"), &json!(2))
    );
    assert_eq!(total(&yard, "pending").await, 3);
    let metrics = yard.get("/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.bytes);
    let submitted = "taskyard_tasks_submitted_total{kind=\"echo\"} 5";
    assert!(metrics.contains(submitted), "{metrics}");
    let newest = yard.get("/api/v1/tasks?limit=1").await.ok();
    assert_eq!(newest["items"][0]["retry_of"], json!(ids[0]));
}

#[tokio::test]
async fn a_dry_run_counts_and_changes_nothing() {
    let yard = Yard::with(|settings| settings.limits.matching_max = 3);
    submit(&yard, "echo", 3).await;
    let body = json!({"filter": {"kind": "echo"}, "dry_run": true});

    let counted = yard.post(CANCEL, &body).await.ok();
    assert_eq!(counted, json!({"matched": 3, "at_least": false}));
    let nothing = yard.post(RETRY, &body).await.ok();
    assert_eq!(nothing, json!({"matched": 0, "at_least": false}));
    // A single status needs no array around it.
    let one = json!({"filter": {"status": "pending"}, "dry_run": true});
    let counted = yard.post(CANCEL, &one).await.ok();
    assert_eq!(counted["matched"], 3);
    let wrong = json!({"filter": {"status": "waiting"}, "dry_run": true});
    yard.post(CANCEL, &wrong)
        .await
        .wrong_at(&["/filter/status"]);
    submit(&yard, "echo", 1).await;
    let counted = yard.post(CANCEL, &body).await.ok();
    assert_eq!(counted, json!({"matched": 3, "at_least": true}));

    assert_eq!(total(&yard, "pending").await, 4);
    let operations = yard.get("/api/v1/operations").await.ok();
    assert_eq!(operations["items"], json!([]));
}

#[tokio::test]
async fn every_task_is_meant_only_where_that_is_said() {
    let yard = Yard::new();
    submit(&yard, "echo", 1).await;
    for body in [
        json!({}),
        json!({"filter": null}),
        json!({"filter": {"status": [], "kind": null}, "all": false}),
    ] {
        let problem = yard.post(CANCEL, &body).await.wrong_at(&["/filter"]);
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("\"all\": true"), "{detail}");
    }

    let begun = yard.post(CANCEL, &json!({"all": true})).await;

    assert_eq!(begun.status, 202);
    work_off(&yard).await;
    assert_eq!(total(&yard, "cancelled").await, 1);
}

#[tokio::test]
async fn a_wrong_condition_is_named() {
    let yard = Yard::new();
    for (path, body, pointers) in [
        (CANCEL, json!({"filter": {"kind": "a b"}}), "/filter/kind"),
        (CANCEL, json!({"filter": {"queue": ""}}), "/filter/queue"),
        (
            CANCEL,
            json!({"filter": {"worker_id": "a/b"}}),
            "/filter/worker_id",
        ),
        (CANCEL, json!({"filter": {"label": ["n"]}}), "/filter/label"),
        (
            CANCEL,
            json!({"filter": {"label": [format!("n={}", "x".repeat(65))]}}),
            "/filter/label",
        ),
        (CANCEL, json!({"filter": {"q": " "}}), "/filter/q"),
        (
            CANCEL,
            json!({"filter": {"created_after": "2026-01-31T13:00:00+25:00"}}),
            "/filter/created_after",
        ),
        (
            CANCEL,
            json!({"filter": {"status": ["done"]}}),
            "/filter/status/0",
        ),
        (
            CANCEL,
            json!({"filter": {"status": ["failed"]}}),
            "/filter/status",
        ),
        (
            RETRY,
            json!({"filter": {"status": ["pending"]}}),
            "/filter/status",
        ),
        (RETRY, json!({"all": 1}), "/all"),
    ] {
        yard.post(path, &body).await.wrong_at(&[pointers]);
    }
    let reply = yard
        .post(CANCEL, &json!({"filter": {"colour": "red"}}))
        .await;
    reply.refused(422, "unknown_field");
    let path = format!("{CANCEL}?dry_run=true");
    let reply = yard.post(&path, &json!({"all": true})).await;
    reply.refused(422, "unknown_field");
}

#[tokio::test]
async fn the_same_key_begins_it_once() {
    let yard = Yard::new();
    let (all, other) = (r#"{"all":true}"#, r#"{"filter":{"kind":"echo"}}"#);

    let first = yard.post_keyed(CANCEL, "nightly", all).await;
    work_off(&yard).await;
    let again = yard.post_keyed(CANCEL, "nightly", all).await;

    assert_eq!((first.status.as_u16(), again.status.as_u16()), (202, 202));
    assert_eq!(first.json()["id"], again.json()["id"]);
    assert_eq!(again.json()["status"], "done");
    let reused = yard.post_keyed(CANCEL, "nightly", other).await;
    reused.refused(422, "idempotency_key_reused");
    // It is another key on another route.
    let retried = yard.post_keyed(RETRY, "nightly", all).await;
    assert_eq!(retried.status, 202);
    let operations = yard.get("/api/v1/operations").await.ok();
    assert_eq!(operations["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_operation_is_stopped_and_only_while_it_runs() {
    let yard = Yard::new();
    submit(&yard, "echo", 2).await;
    let begun = yard.post(CANCEL, &json!({"all": true})).await.json();
    let path = format!("/api/v1/operations/{}", begun["id"].as_str().unwrap());

    let stopped = yard.post_text(&format!("{path}/cancel"), "").await.ok();

    assert_eq!(stopped["status"], "cancelled");
    work_off(&yard).await;
    assert_eq!(yard.get(&path).await.ok(), stopped);
    assert_eq!(total(&yard, "pending").await, 2);
    let again = yard.post(&format!("{path}/cancel"), &json!({})).await;
    again.refused(409, "operation_ended");
    for path in ["/api/v1/operations/7", "/api/v1/operations/7/cancel"] {
        let reply = if path.ends_with("cancel") {
            yard.post_text(path, "").await
        } else {
            yard.get(path).await
        };
        reply.refused(404, "not_found");
    }
}

#[tokio::test]
async fn as_many_operations_as_may_be_are_under_way() {
    let yard = Yard::under(Policy {
        operations_max: 2,
        ..Policy::default()
    });
    for _ in 0..2 {
        let begun = yard.post(CANCEL, &json!({"all": true})).await;
        assert_eq!(begun.status, 202);
    }

    let one_more = yard.post(CANCEL, &json!({"all": true})).await;
    one_more.refused(429, "too_many_operations");
    assert_eq!(one_more.header("retry-after"), "1");
    work_off(&yard).await;

    let begun = yard.post(CANCEL, &json!({"all": true})).await;
    assert_eq!(begun.status, 202);
}

#[tokio::test]
async fn operations_are_listed_in_pages_newest_first() {
    let yard = Yard::new();
    let mut made = Vec::new();
    for _ in 0..3 {
        let begun = yard.post(CANCEL, &json!({"all": true})).await.json();
        made.push(begun["id"].clone());
        yard.pass(std::time::Duration::from_millis(1));
    }
    made.reverse();

    let first = yard.get("/api/v1/operations?limit=2").await.ok();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = format!("/api/v1/operations?limit=2&cursor={cursor}");
    let second = yard.get(&second).await.ok();

    let pages = [&first, &second].map(|page| page["items"].as_array().unwrap().clone());
    let ids = pages.iter().flatten().map(|row| row["id"].clone());
    assert_eq!(ids.collect::<Vec<_>>(), made);
    assert_eq!(second["next_cursor"], Value::Null);
    for query in ["limit=0", "cursor=x", "cursor="] {
        let reply = yard.get(&format!("/api/v1/operations?{query}")).await;
        reply.wrong_at(&[query.split('=').next().unwrap()]);
    }
    let tasks = format!("/api/v1/tasks?cursor={cursor}");
    yard.get(&tasks).await.wrong_at(&["cursor"]);
}
