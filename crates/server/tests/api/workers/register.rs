//! `POST /workers/register`.

use std::time::Duration;

use serde_json::{Value, json};
use taskyard_api::worker::{Limits, Registered, TIMEOUT_MARGIN_MS};
use taskyard_core::policy::Policy;
use taskyard_server::v1::workers;

use crate::yard::{Yard, places};

const REGISTER: &str = "/api/v1/workers/register";

#[tokio::test]
async fn a_worker_learns_its_number_and_the_times_to_keep() {
    let yard = Yard::new();

    let reply = yard
        .post(REGISTER, &json!({"worker_id": "w", "kinds": ["resize"]}))
        .await;
    let again = yard.worker("w").await;

    assert_eq!(reply.status, 201);
    insta::assert_json_snapshot!(reply.ok());
    assert_eq!((&again["number"], &again["epoch"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn a_worker_is_told_what_was_set_of_its_limits() {
    let yard = Yard::made_of(
        Policy {
            timeout_margin: Duration::from_secs(3),
            ..Policy::default()
        },
        |settings| {
            settings.limits.tasks_max = 5;
            settings.limits.bulk_max = 2000;
            settings.limits.checkpoint_max = 70;
        },
    );

    let told = yard.worker("w").await;

    let limits = json!({
        "runs_max": 5, "claim_max": 1000, "body_bytes_max": 2000, "checkpoint_bytes_max": 70, "message_bytes_max": 1024,
    });
    assert_eq!(
        (&told["timeout_margin_ms"], &told["limits"]),
        (&json!(3000), &limits)
    );
}

#[tokio::test]
async fn what_workers_take_for_granted_is_what_a_server_takes_by_default() {
    let yard = Yard::new();

    let told: Registered = serde_json::from_value(yard.worker("w").await).unwrap();

    assert_eq!(told.limits, Limits::default());
    assert_eq!(told.timeout_margin_ms, TIMEOUT_MARGIN_MS);
}

#[tokio::test]
async fn a_worker_that_was_replaced_is_told_so() {
    let yard = Yard::new();
    yard.worker("w").await;
    yard.worker("w").await;

    for (verb, body) in [
        ("claim", json!({"limit": 1, "epoch": 1})),
        ("heartbeat", json!({"held": [], "epoch": 1})),
        ("report", json!({"results": [], "epoch": 1})),
        (
            "report",
            json!({"results": [], "epoch": 1, "claim": {"limit": 1}}),
        ),
    ] {
        let reply = yard.post(&format!("/api/v1/workers/w/{verb}"), &body).await;
        reply.refused(409, "worker_replaced");
    }
    let current = json!({"limit": 1, "epoch": 2});
    yard.post("/api/v1/workers/w/claim", &current).await.ok();
}

#[tokio::test]
async fn everything_wrong_in_a_registration_is_told_at_once() {
    let yard = Yard::new();
    let names = |count: usize| -> Vec<String> { (0..count).map(|n| format!("k{n}")).collect() };
    for (body, pointers) in [
        (
            json!({"worker_id": "a/b", "kinds": ["a b"], "capacity": 0}),
            &["/worker_id", "/kinds/0", "/capacity"][..],
        ),
        (
            json!({"worker_id": "w".repeat(65), "kinds": ["a"]}),
            &["/worker_id"],
        ),
        // An address that ends in it means another.
        (json!({"worker_id": "..", "kinds": ["a"]}), &["/worker_id"]),
        (
            json!({"worker_id": "register", "kinds": ["a"]}),
            &["/worker_id"],
        ),
        (
            json!({"worker_id": "connect", "kinds": ["a"]}),
            &["/worker_id"],
        ),
        (json!({"worker_id": "w", "kinds": []}), &["/kinds"]),
        (
            json!({"worker_id": "w", "kinds": ["a", "*"]}),
            &["/kinds/1"],
        ),
        (
            json!({"worker_id": "w", "kinds": ["*"], "queues": []}),
            &["/queues"],
        ),
        (
            json!({"worker_id": "w", "kinds": ["*"], "queues": ["*"]}),
            &["/queues/0"],
        ),
        (json!({"worker_id": "w", "kinds": names(257)}), &["/kinds"]),
        (
            json!({"worker_id": "w", "kinds": ["a"], "labels": {"gpu": ""}}),
            &["/labels/gpu"],
        ),
        (
            json!({"worker_id": "w", "kinds": ["a"], "capacity": 1_000_001}),
            &["/capacity"],
        ),
    ] {
        yard.post(REGISTER, &body).await.wrong_at(pointers);
    }
    let workers = yard.get("/api/v1/workers").await.ok();
    assert_eq!(workers["items"], Value::Array(Vec::new()));

    let edge = json!({"worker_id": "w".repeat(64), "kinds": names(256), "capacity": 1_000_000});
    yard.post(REGISTER, &edge).await.ok();
}

#[tokio::test]
async fn the_name_of_an_internal_worker_is_refused_with_the_field_and_the_fix() {
    let yard = Yard::new();
    yard.internal_worker("worker-1").await;

    let body = json!({"worker_id": "worker-1", "kinds": ["resize"]});
    let reply = yard.post(REGISTER, &body).await;

    let problem = reply.refused(409, "worker_is_internal");
    assert_eq!(places(&problem), ["/worker_id"]);
    let fix = problem["detail"].as_str().unwrap();
    assert!(fix.contains("choose another"), "{fix}");
    assert!(fix.contains("DELETE /api/v1/workers/{id}"), "{fix}");
}

#[tokio::test]
async fn the_name_of_an_internal_worker_that_was_deleted_is_free() {
    let yard = Yard::new();
    yard.internal_worker("worker-1").await;
    yard.pass(Duration::from_hours(1));
    let body = json!({"worker_id": "worker-1", "kinds": ["resize"]});
    yard.post(REGISTER, &body)
        .await
        .refused(409, "worker_is_internal");

    yard.delete("/api/v1/workers/worker-1").await;

    yard.post(REGISTER, &body).await.ok();
    let claim = json!({"limit": 1});
    yard.post("/api/v1/workers/worker-1/claim", &claim)
        .await
        .ok();
}

#[tokio::test]
async fn nobody_outside_acts_as_an_internal_worker() {
    let yard = Yard::new();
    let outside = yard.worker("worker-2").await;
    yard.worker("worker-x").await;
    // It had the name before, and lives no longer.
    yard.worker("worker-1").await;
    yard.pass(Duration::from_hours(1));
    let registered = yard.internal_worker("worker-1").await;
    let id = yard.submit("echo").await;

    for (verb, body) in [
        ("claim", json!({"limit": 1})),
        ("claim", json!({"limit": 1, "epoch": registered.epoch})),
        ("heartbeat", json!({"held": []})),
        ("report", json!({"results": []})),
        ("report", json!({"results": [], "claim": {"limit": 1}})),
    ] {
        let path = format!("/api/v1/workers/worker-1/{verb}");
        let problem = yard
            .post(&path, &body)
            .await
            .refused(409, "worker_is_internal");
        assert_eq!(places(&problem), ["id"], "{verb}");
    }
    let replaced = json!({"limit": 1, "epoch": registered.epoch - 1});
    yard.post("/api/v1/workers/worker-1/claim", &replaced)
        .await
        .refused(409, "worker_replaced");
    assert_eq!(yard.status(&id).await, "pending");

    // Names alone mean nothing.
    let claim = json!({"limit": 1, "epoch": outside["epoch"]});
    yard.post("/api/v1/workers/worker-2/claim", &claim)
        .await
        .ok();
    assert!(yard.claim("worker-x").await.is_none());
    yard.post("/api/v1/workers/worker-3/claim", &claim)
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn the_verbs_of_workers_work_without_http_as_well() {
    use taskyard_api::payload::Payload;
    use taskyard_api::report::{Report, Reported, RunResult, Said};
    use taskyard_api::worker::Claim;

    let yard = Yard::new();
    yard.internal_worker("worker-1").await;
    let id = yard.submit("echo").await;
    let claim = Claim {
        limit: 1,
        ..Claim::default()
    };
    let claimed = workers::claim(&yard.app, "worker-1", &claim, |claimed| Ok(claimed.clone()));
    let claimed = claimed.await.unwrap();
    let result = |output: &str| {
        let run = &claimed.tasks[0];
        RunResult {
            output: Some(serde_json::from_str::<Box<serde_json::value::RawValue>>(output).unwrap()),
            ..RunResult::new(run.id, run.lease_token.clone(), Said::Completed)
        }
    };
    let report = |output| Report {
        results: vec![result(output)],
        claim: None,
        epoch: None,
    };

    // An executor's own output was checked by nobody yet.
    let told = |reported: &Reported<Payload>| Ok(reported.clone());
    let doubtful = report(r#"{"a":1,"a":2}"#);
    let doubtful = workers::report(&yard.app, "worker-1", &doubtful, told).await;
    let doubtful = doubtful.unwrap();
    assert!(
        matches!(&doubtful.results[0], taskyard_api::answered::Answered::Refused(problem) if problem.code == "invalid")
    );
    workers::report(&yard.app, "worker-1", &report(r#"{"a":1}"#), told)
        .await
        .unwrap();

    assert_eq!(yard.task(&id).await["output"], json!({"a": 1}));
    let listed = yard.get("/api/v1/workers").await.ok();
    assert_eq!(listed["items"][0]["internal"], true);
}
