//! `GET /tasks/stats`.

use std::time::Duration;

use serde_json::{Value, json};
use taskyard_core::policy::Policy;
use taskyard_engine::services::tally;

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

/// Three tasks in two queues: one completes after it waited for 2 s and ran for 3, one fails for good, one waits.
async fn a_minute_of_work(yard: &Yard) {
    yard.worker("w").await;
    for (kind, queue) in [("echo", "a"), ("sleep", "b"), ("echo", "b")] {
        let task = json!({"kind": kind, "queue": queue, "input": 1, "max_attempts": 1});
        yard.post("/api/v1/tasks", &task).await.ok();
    }
    yard.pass(Duration::from_secs(2));
    let (first, second) = (yard.claim("w").await, yard.claim("w").await);
    let (first, second) = (first.unwrap(), second.unwrap());
    yard.pass(Duration::from_secs(3));
    let token = |run: &Value| json!({"lease_token": run["lease_token"], "output": 1});
    let path = |run: &Value, verb| format!("/api/v1/tasks/{}/{verb}", run["id"].as_str().unwrap());
    let completed = path(&first, "complete");
    yard.post(&completed, &token(&first)).await.ok();
    let error = json!({"code": "boom", "message": "it broke"});
    let failed = json!({"lease_token": second["lease_token"], "error": error});
    yard.post(&path(&second, "fail"), &failed).await.ok();
}

#[tokio::test]
async fn rates_and_times_of_the_last_minutes_are_told() {
    let yard = Yard::new();
    a_minute_of_work(&yard).await;
    let before = yard.get("/api/v1/tasks/stats").await.ok();
    assert_eq!(
        before["windows"][0]["all"]["rates"]["submitted"],
        json!(0.0)
    );
    assert_eq!(before["success_rate"], json!(0.5));

    let written = tally::run_once(yard.app.engine()).await.unwrap();
    let stats = yard.get("/api/v1/tasks/stats").await.ok();

    assert_eq!(written, 4, "a row a lane, and the worker's");
    assert_eq!(tally::run_once(yard.app.engine()).await.unwrap(), 0);
    insta::assert_json_snapshot!(stats["windows"][1]);
    let minutes: Vec<_> = (0..3)
        .map(|place| &stats["windows"][place]["minutes"])
        .collect();
    assert_eq!(minutes, [1, 15, 60]);
    let of_last = &stats["windows"][0]["all"]["rates"];
    assert_eq!(of_last["submitted"], json!(0.05));
}

#[tokio::test]
async fn what_happened_leaves_the_windows_one_after_the_other() {
    let yard = Yard::new();
    a_minute_of_work(&yard).await;
    tally::run_once(yard.app.engine()).await.unwrap();
    let mut left = Vec::new();
    for minutes in [2, 14, 46] {
        yard.pass(Duration::from_mins(minutes));
        let stats = yard.get("/api/v1/tasks/stats").await.ok();
        let windows = stats["windows"].as_array().unwrap().clone();
        let has = |window: &Value| window["all"]["rates"]["submitted"] != json!(0.0);
        left.push(windows.iter().filter(|window| has(window)).count());
    }
    assert_eq!(left, [2, 1, 0]);
}

#[tokio::test]
async fn the_largest_lanes_are_told_apart_and_the_others_added_up() {
    let yard = Yard::under(Policy {
        stats_lanes_max: 1,
        ..Policy::default()
    });
    for kind in ["rare", "often", "often", "seldom"] {
        yard.submit(kind).await;
    }
    tally::run_once(yard.app.engine()).await.unwrap();

    let stats = yard.get("/api/v1/tasks/stats").await.ok();

    let kinds = stats["windows"][2]["by_kind"].as_object().unwrap();
    let of = |kind: &str| (kinds[kind]["rates"]["submitted"].as_f64().unwrap() * 3600.0).round();
    assert_eq!(kinds.len(), 2);
    assert_eq!((of("often"), of("other")), (2.0, 2.0));
    let queues = yard.get("/api/v1/queues").await.ok();
    let rates = &queues["items"][0]["rates"];
    assert!(rates["submitted"].as_f64().unwrap() > 0.0, "{rates}");
}

#[tokio::test]
async fn of_many_queues_and_kinds_those_with_most_tasks_are_counted_apart() {
    let yard = Yard::under(Policy {
        stats_lanes_max: 2,
        ..Policy::default()
    });
    for (queue, kind) in [
        ("a", "echo"),
        ("b", "echo"),
        ("b", "sleep"),
        ("c", "echo"),
        ("c", "noop"),
        ("c", "noop"),
        ("d", "simple"),
        ("other", "simple"),
    ] {
        let task = json!({"kind": kind, "queue": queue, "input": 1});
        yard.post("/api/v1/tasks", &task).await.ok();
    }

    let stats = yard.get("/api/v1/tasks/stats").await.ok();

    let pending = |by: &str| {
        let by = stats[by].as_object().unwrap().iter();
        let counts = by.map(|(name, counts)| (name.clone(), counts["pending"].as_u64().unwrap()));
        counts.collect::<Vec<_>>()
    };
    let named = |counts: [(&str, u64); 3]| counts.map(|(name, tasks)| (name.to_owned(), tasks));
    assert_eq!(
        pending("by_queue"),
        named([("b", 2), ("c", 3), ("other", 3)])
    );
    assert_eq!(
        pending("by_kind"),
        named([("echo", 3), ("noop", 2), ("other", 3)])
    );
    assert_eq!(stats["total"], json!(8));
}

#[tokio::test]
async fn queues_tell_what_comes_and_goes_unless_it_cannot_be_known() {
    let yard = Yard::under(Policy {
        stats_lanes_max: 1,
        ..Policy::default()
    });
    let submit = async |queue: &str| {
        let task = json!({"kind": "echo", "queue": queue, "input": 1});
        yard.post("/api/v1/tasks", &task).await.ok();
    };
    let rates = async || {
        tally::run_once(yard.app.engine()).await.unwrap();
        let queues = yard.get("/api/v1/queues").await.ok();
        let queues = queues["items"].as_array().unwrap().clone();
        let of = |queue: &Value| queue["rates"]["submitted"].clone();
        queues.iter().map(of).collect::<Vec<Value>>()
    };
    yard.post_text("/api/v1/queues/idle/pause", "").await.ok();
    submit("large").await;
    submit("large").await;
    assert_eq!(rates().await, [json!(0.0), json!(0.033333)]);

    submit("small").await;
    assert_eq!(rates().await, [Value::Null, json!(0.033333), Value::Null]);
}
