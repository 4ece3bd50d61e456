//! `POST /tasks`.

use serde_json::{Value, json};
use taskyard_core::policy::Policy;

use crate::yard::Yard;

const TASKS: &str = "/api/v1/tasks";

#[tokio::test]
async fn a_submitted_task_is_there_when_it_is_answered() {
    let yard = Yard::new();

    let reply = yard
        .post(TASKS, &json!({"kind": "echo", "input": {"a": [1, 2]}}))
        .await;

    assert_eq!(reply.status, 201);
    let submitted = reply.ok();
    let id = submitted["id"].as_str().unwrap();
    assert_eq!(submitted["status"], "pending");
    assert_eq!(reply.header("location"), format!("{TASKS}/{id}"));
    assert_eq!(yard.task(id).await["input"], json!({"a": [1, 2]}));
}

#[tokio::test]
async fn everything_that_can_be_said_of_a_task_is_kept() {
    let yard = Yard::new();
    let body = json!({
        "kind": "ml/train:v2", "input": null, "queue": "slow", "priority": -100,
        "run_at": "2100-01-31T13:00:00+01:00", "max_attempts": 7, "timeout_ms": 1, "max_losses": 2,
        "labels": {"user": "ann"}, "requires": {"memory_gb": ">= 16.0"},
        "retry": {"backoff_ms": 0, "factor": 1.5, "max_ms": 60000, "jitter": 1}, "exclusive": true,
        "unique_key": "nightly",
    });

    let submitted = yard.post(TASKS, &body).await.ok();

    assert_eq!(submitted["status"], "scheduled");
    let task = yard.task(submitted["id"].as_str().unwrap()).await;
    insta::assert_json_snapshot!(task, {".id" => "[id]"});
}

#[tokio::test]
async fn a_wait_of_none_is_due_at_once() {
    let yard = Yard::new();
    for (field, value, status) in [
        ("delay_ms", json!(0), "pending"),
        ("delay_ms", json!(1), "scheduled"),
        ("run_at", json!("1969-07-20T20:17:40Z"), "pending"),
    ] {
        let mut body = json!({"kind": "echo", "input": 1});
        body[field] = value;
        assert_eq!(yard.post(TASKS, &body).await.ok()["status"], status);
    }
}

async fn check(fields: Value, pointers: &[&str]) {
    let yard = Yard::new();
    let mut body = json!({"kind": "echo", "input": 1});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }

    let reply = yard.post(TASKS, &body).await;

    if pointers.is_empty() {
        reply.ok();
    } else {
        reply.wrong_at(pointers);
        assert_eq!(yard.total().await, 0, "{body}");
    }
}

#[tokio::test]
async fn each_number_is_taken_at_its_edges_and_refused_one_beyond() {
    const WAIT_MAX: i64 = 315_360_000_000;
    for (field, min, max) in [
        ("priority", -100, 100),
        ("delay_ms", 0, WAIT_MAX),
        ("max_attempts", 1, 1_000_000),
        ("max_losses", 1, 1_000_000),
        ("timeout_ms", 1, WAIT_MAX),
    ] {
        let pointer = format!("/{field}");
        check(json!({field: min}), &[]).await;
        check(json!({field: max}), &[]).await;
        check(json!({field: min - 1}), &[&pointer]).await;
        check(json!({field: max + 1}), &[&pointer]).await;
    }
    for (field, max) in [("backoff_ms", WAIT_MAX), ("max_ms", WAIT_MAX)] {
        check(json!({"retry": {field: max}}), &[]).await;
        let pointer = format!("/retry/{field}");
        check(json!({"retry": {field: max + 1}}), &[&pointer]).await;
    }
    for (field, fits, beyond) in [
        ("factor", [1.0, 1000.0], [0.99, 1000.1]),
        ("jitter", [0.0, 1.0], [-0.01, 1.01]),
    ] {
        let pointer = format!("/retry/{field}");
        for value in fits {
            check(json!({"retry": {field: value}}), &[]).await;
        }
        for value in beyond {
            check(json!({"retry": {field: value}}), &[&pointer]).await;
        }
    }
}

#[tokio::test]
async fn a_time_is_taken_up_to_the_last_that_can_be_written() {
    check(json!({"run_at": "9999-12-30T21:59:59.999Z"}), &[]).await;
    check(json!({"run_at": "9999-12-30T22:00:00Z"}), &["/run_at"]).await;
    check(json!({"run_at": "2100-01-31T13:00:00+25:00"}), &["/run_at"]).await;
}

#[tokio::test]
async fn names_are_taken_up_to_64_characters() {
    check(
        json!({"kind": "k".repeat(64), "queue": "q".repeat(64)}),
        &[],
    )
    .await;
    check(json!({"kind": "k".repeat(65)}), &["/kind"]).await;
    check(json!({"queue": "q".repeat(65)}), &["/queue"]).await;
    check(json!({"kind": ""}), &["/kind"]).await;
    check(json!({"kind": "a\r\nSet-Cookie: x"}), &["/kind"]).await;
    check(json!({"labels": {"n".repeat(64): "v".repeat(64)}}), &[]).await;
    check(json!({"labels": {"n": "v".repeat(65)}}), &["/labels/n"]).await;
    check(json!({"labels": {"a/b": "v"}}), &["/labels/a~1b"]).await;
    check(json!({"requires": {"gb": ">=much"}}), &["/requires/gb"]).await;
}

#[tokio::test]
async fn a_task_has_up_to_32_labels() {
    let labels = |count: usize| -> Value {
        (0..count)
            .map(|n| (format!("l{n}"), json!("v")))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    check(json!({"labels": labels(32)}), &[]).await;
    check(json!({"labels": labels(33)}), &["/labels"]).await;
}

#[tokio::test]
async fn everything_wrong_in_one_body_is_told_at_once() {
    let fields = json!({
        "kind": "a b", "queue": "", "priority": 101, "run_at": "2026-01-01T00:00:00Z", "delay_ms": 1,
        "max_attempts": 0, "timeout_ms": 0, "retry": {"factor": 0, "jitter": 2},
    });
    let pointers = [
        "/kind",
        "/queue",
        "/priority",
        "/delay_ms",
        "/max_attempts",
        "/timeout_ms",
        "/retry/factor",
        "/retry/jitter",
    ];

    check(fields, &pointers).await;
}

#[tokio::test]
async fn a_range_is_stated_where_it_was_left() {
    let yard = Yard::new();

    let reply = yard
        .post(TASKS, &json!({"kind": "echo", "input": 1, "delay_ms": -1}))
        .await;

    let problem = reply.wrong_at(&["/delay_ms"]);
    assert_eq!(
        problem["errors"][0]["detail"],
        "must be from 0 to 315360000000"
    );
}

#[tokio::test]
async fn an_input_of_1_mib_is_taken_and_one_byte_more_is_not() {
    let yard = Yard::new();
    let with = |length: usize| {
        let text = "x".repeat(length - 2);
        format!(r#"{{"kind":"echo","input":"{text}"}}"#)
    };

    yard.post_text(TASKS, with(1 << 20)).await.ok();
    let reply = yard.post_text(TASKS, with((1 << 20) + 1)).await;

    let problem = reply.refused(413, "too_large");
    assert_eq!(crate::yard::places(&problem), ["/input"]);
    assert_eq!(yard.total().await, 1);
}

#[tokio::test]
async fn an_unknown_field_is_refused_and_named() {
    let yard = Yard::new();

    let reply = yard
        .post(TASKS, &json!({"kind": "echo", "input": 1, "pirority": 3}))
        .await;

    let problem = reply.refused(422, "unknown_field");
    assert_eq!(crate::yard::places(&problem), ["/pirority"]);
    assert_eq!(yard.total().await, 0);
}

#[tokio::test]
async fn too_many_lanes_are_refused() {
    let yard = Yard::under(Policy {
        lanes_max: 2,
        ..Policy::default()
    });
    yard.submit("one").await;
    yard.submit("two").await;

    let reply = yard.post(TASKS, &json!({"kind": "new", "input": 1})).await;

    reply.refused(422, "too_many_lanes");
    yard.submit("two").await;
}

#[tokio::test]
async fn the_older_form_takes_what_the_newer_one_says_of_a_task() {
    let yard = Yard::new();
    let older = json!({
        "problem_id": "p", "priority": 10, "labels": {"a": "b"}, "queue": "slow", "timeout_ms": 5000, "max_attempts": 3,
        "unique_key": null, "nobody_knows": 1,
    });

    let id = yard.post(TASKS, &older).await.ok()["id"].take();

    let path = format!("{TASKS}/{}", id.as_str().unwrap());
    let task = yard.get(&path).await.ok();
    assert_eq!(task["kind"], "problem");
    assert_eq!(task["problem_id"], "p");
    for field in ["priority", "labels", "queue", "timeout_ms", "max_attempts"] {
        assert_eq!(task[field], older[field], "{field}");
    }
    for (body, place) in [
        (json!({"problem_id": "p", "priority": 101}), "/priority"),
        (json!({"problem_id": "p", "priority": "high"}), "/priority"),
        (json!({"problem_id": "p", "input": 1}), "/input"),
        (json!({"problem_id": "p", "kind": "problem"}), "/kind"),
        (json!({"problem_id": "p", "kind": 7}), "/kind"),
        (
            json!({"problem_id": "p", "delay_ms": 1, "run_at": "2026-01-01T00:00:00Z"}),
            "/delay_ms",
        ),
        (
            json!({"problem_id": "p", "run_at": "2026-01-01T00:00:00+24:00"}),
            "/run_at",
        ),
    ] {
        yard.post(TASKS, &body).await.wrong_at(&[place]);
    }
    assert_eq!(yard.total().await, 1);
}
