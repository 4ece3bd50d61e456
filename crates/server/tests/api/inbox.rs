//! Rows of an inbox, as whoever picks them hands them over.

use std::time::Duration;

use serde_json::{Value, json};
use taskyard_core::id::TaskId;
use taskyard_core::policy::Policy;
use taskyard_server::inbox::{Fate, OPTIONS_MAX, Row, Text, submit};

use crate::yard::Yard;

/// An id made now, unlike the others.
fn id(yard: &Yard) -> TaskId {
    yard.app.engine().new_task()
}

fn row<'a>(id: TaskId, kind: &'a str, input: &'a str, options: &'a str) -> Row<'a> {
    Row {
        id: id.as_uuid(),
        kind,
        input: Text::Whole(input),
        options: Text::Whole(options),
    }
}

/// Why it is refused: the code, and what is said.
#[track_caller]
fn refused(fate: Fate) -> (String, String) {
    let Fate::Refused(reason) = fate else {
        panic!("it is not refused: {fate:?}");
    };
    let reason: Value = serde_json::from_str(&reason).unwrap();
    let text = |name: &str| reason[name].as_str().unwrap().to_owned();
    (text("code"), text("message"))
}

#[track_caller]
fn taken(fate: &Fate) {
    assert!(matches!(fate, Fate::Taken), "{fate:?}");
}

#[tokio::test]
async fn a_row_becomes_the_task_that_a_request_with_the_same_fields_would() {
    let yard = Yard::new();
    let options = json!({
        "queue": "images", "priority": 7, "max_attempts": 3, "max_losses": 4, "timeout_ms": 1000,
        "labels": {"user": "7"}, "requires": {"gpu": "a100"}, "exclusive": true, "unique_key": "k",
        "retry": {"backoff_ms": 5, "factor": 3.0, "max_ms": 50, "jitter": 0.0}, "delay_ms": 60_000,
    });
    let by_row = id(&yard);

    let fate = submit(
        &yard.app,
        &row(by_row, "resize", r#"{"w": 640}"#, &options.to_string()),
    )
    .await;

    taken(&fate);
    let mut body = options;
    body["kind"] = json!("resize");
    body["input"] = json!({"w": 640});
    body["unique_key"] = json!("another");
    let by_request = yard.post("/api/v1/tasks", &body).await.ok();
    let show = async |id: &str| {
        let mut task = yard.get(&format!("/api/v1/tasks/{id}")).await.ok();
        for other in ["id", "unique_key"] {
            task.as_object_mut().unwrap().remove(other);
        }
        task
    };
    let by_request = show(by_request["id"].as_str().unwrap()).await;
    assert_eq!(show(&by_row.to_string()).await, by_request);
    assert_eq!(by_request["status"], "scheduled");
}

#[tokio::test]
async fn a_row_that_is_submitted_again_finds_its_task_whatever_became_of_it() {
    let yard = Yard::new();
    let id = id(&yard);
    let row = row(id, "a", "null", "{}");

    taken(&submit(&yard.app, &row).await);
    taken(&submit(&yard.app, &row).await);
    yard.post(&format!("/api/v1/tasks/{id}/cancel"), &json!({}))
        .await
        .ok();
    taken(&submit(&yard.app, &row).await);

    let all = yard.get("/api/v1/tasks").await.ok();
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all}");
    let other = Row { kind: "b", ..row };
    let (code, message) = refused(submit(&yard.app, &other).await);
    assert_eq!(code, "id_taken");
    assert!(message.contains(&id.to_string()), "{message}");
}

#[tokio::test]
async fn a_row_is_taken_however_long_it_waited() {
    let yard = Yard::new();
    let id = id(&yard);
    yard.pass(Duration::from_hours(24 * 365));

    taken(&submit(&yard.app, &row(id, "a", "1", "{}")).await);

    let task = yard.get(&format!("/api/v1/tasks/{id}")).await.ok();
    assert_eq!(task["status"], "pending");
}

#[tokio::test]
async fn a_row_from_a_clock_that_is_ahead_says_so() {
    let yard = Yard::new();
    let ahead = yard.app.engine().store().now() + Duration::from_hours(1);
    let id = TaskId::new(ahead, 1);

    let (code, message) = refused(submit(&yard.app, &row(id, "a", "1", "{}")).await);

    assert_eq!(code, "invalid");
    assert!(
        message.starts_with("/id: ") && message.contains("clock"),
        "{message}"
    );
    yard.pass(Duration::from_hours(1));
    taken(&submit(&yard.app, &row(id, "a", "1", "{}")).await);
}

#[tokio::test]
async fn a_bad_row_is_refused_with_its_field_and_what_would_do() {
    let yard = Yard::new();
    let deep = "[".repeat(65) + &"]".repeat(65);
    let many: Value = (0..33)
        .map(|n| (format!("l{n}"), json!("x")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let many = json!({"labels": many}).to_string();
    let far = r#"{"run_at": "9999-12-31T23:59:59Z"}"#;
    for (kind, input, options, code, said) in [
        ("", "1", "{}", "invalid", &["/kind: "][..]),
        ("a b", "1", "{}", "invalid", &["/kind: "]),
        (&"k".repeat(1000), "1", "{}", "invalid", &["/kind: ", "64"]),
        ("a", &deep, "{}", "invalid", &["/input/0", "64"]),
        ("a", r#"{"a":1,"a":2}"#, "{}", "invalid", &["/input"]),
        ("a", "1", "[]", "invalid", &["/options: must be an object"]),
        (
            "a",
            "1",
            "null",
            "invalid",
            &["/options: must be an object"],
        ),
        (
            "a",
            "1",
            r#"{"prioritty": 1}"#,
            "unknown_field",
            &["/options/prioritty: ", "`priority`"],
        ),
        (
            "a",
            "1",
            r#"{"kind": "b"}"#,
            "invalid",
            &["/options/kind: ", "column"],
        ),
        (
            "a",
            "1",
            r#"{"input": 2}"#,
            "invalid",
            &["/options/input: ", "column"],
        ),
        (
            "a",
            "1",
            r#"{"queue": "q", "id": "x"}"#,
            "invalid",
            &["/options/id: ", "column"],
        ),
        (
            "a",
            "1",
            r#"{"priority": "high"}"#,
            "invalid",
            &["/options/priority: ", "whole number"],
        ),
        (
            "a",
            "1",
            r#"{"priority": 101}"#,
            "invalid",
            &["/options/priority: ", "100"],
        ),
        (
            "a",
            "1",
            r#"{"priority": 1.5}"#,
            "invalid",
            &["/options/priority: "],
        ),
        (
            "a",
            "1",
            r#"{"queue": "a b"}"#,
            "invalid",
            &["/options/queue: "],
        ),
        (
            "a",
            "1",
            r#"{"queue": ["a"]}"#,
            "invalid",
            &["/options/queue: "],
        ),
        (
            "a",
            "1",
            r#"{"run_at": "soon"}"#,
            "invalid",
            &["/options/run_at: "],
        ),
        ("a", "1", far, "invalid", &["/options/run_at: "]),
        (
            "a",
            "1",
            r#"{"run_at": "2026-01-01T00:00:00Z", "delay_ms": 1}"#,
            "invalid",
            &["/options/delay_ms: "],
        ),
        (
            "a",
            "1",
            r#"{"delay_ms": -1}"#,
            "invalid",
            &["/options/delay_ms: "],
        ),
        (
            "a",
            "1",
            r#"{"max_attempts": 0}"#,
            "invalid",
            &["/options/max_attempts: "],
        ),
        (
            "a",
            "1",
            r#"{"timeout_ms": 1e99}"#,
            "invalid",
            &["/options/timeout_ms: "],
        ),
        (
            "a",
            "1",
            r#"{"labels": {"a": 1}}"#,
            "invalid",
            &["/options/labels/a: "],
        ),
        ("a", "1", &many, "invalid", &["/options/labels: "]),
        (
            "a",
            "1",
            r#"{"requires": {"memory": ">=x"}}"#,
            "invalid",
            &["/options/requires/memory: "],
        ),
        (
            "a",
            "1",
            r#"{"retry": {"factor": 0}}"#,
            "invalid",
            &["/options/retry/factor: "],
        ),
        (
            "a",
            "1",
            r#"{"unique_key": ""}"#,
            "invalid",
            &["/options/unique_key: "],
        ),
        (
            "a",
            "1",
            r#"{"exclusive": "yes"}"#,
            "invalid",
            &["/options/exclusive: "],
        ),
        (
            "a b",
            "1",
            r#"{"priority": 101, "queue": "a b"}"#,
            "invalid",
            &["/kind: ", "; /options/queue: ", "; /options/priority: "],
        ),
        ("\"},{", "1", "{}", "invalid", &["/kind: "]),
    ] {
        let fate = submit(&yard.app, &row(id(&yard), kind, input, options)).await;

        let (found, message) = refused(fate);
        assert_eq!(found, code, "{kind} {options}: {message}");
        for said in said {
            assert!(message.contains(said), "{kind} {options}: {message}");
        }
    }
    let all = yard.get("/api/v1/tasks").await.ok();
    assert_eq!(all["items"], json!([]));
}

#[tokio::test]
async fn a_row_whose_id_is_none_says_what_one_is() {
    let yard = Yard::new();
    let row = Row {
        id: uuid::Uuid::from_u128(7),
        ..row(id(&yard), "a", "1", "{}")
    };

    let (code, message) = refused(submit(&yard.app, &row).await);

    assert_eq!(code, "invalid");
    assert!(
        message.contains("/id: ") && message.contains("UUIDv7"),
        "{message}"
    );
}

#[tokio::test]
async fn what_is_as_long_as_it_may_be_is_taken_and_a_byte_more_is_not() {
    let yard = Yard::new();
    let max = yard.app.settings().limits.input_max;
    let input = format!("\"{}\"", "x".repeat(max - 2));
    let long = format!("\"{}\"", "x".repeat(max - 1));

    taken(&submit(&yard.app, &row(id(&yard), "a", &input, "{}")).await);
    let over = refused(submit(&yard.app, &row(id(&yard), "a", &long, "{}")).await);
    let unread = Row {
        input: Text::TooLong(max + 1),
        ..row(id(&yard), "a", "", "{}")
    };
    let unread = refused(submit(&yard.app, &unread).await);
    let options = Row {
        options: Text::TooLong(OPTIONS_MAX + 1),
        ..row(id(&yard), "a", "1", "")
    };
    let options = refused(submit(&yard.app, &options).await);

    assert_eq!(over, unread);
    let says = |field: &str, bytes: usize, max: usize| {
        format!("/{field}: holds {bytes} bytes, at most {max} are taken")
    };
    let too_large = "too_large".to_owned();
    assert_eq!(over, (too_large.clone(), says("input", max + 1, max)));
    assert_eq!(
        options,
        (too_large, says("options", OPTIONS_MAX + 1, OPTIONS_MAX))
    );
}

#[tokio::test]
async fn where_lanes_are_used_up_a_row_is_refused_for_that() {
    let yard = Yard::under(Policy {
        lanes_max: 1,
        ..Policy::default()
    });
    taken(&submit(&yard.app, &row(id(&yard), "a", "1", "{}")).await);

    let (code, message) = refused(submit(&yard.app, &row(id(&yard), "b", "1", "{}")).await);

    assert_eq!(code, "too_many_lanes");
    assert!(message.contains("use fewer"), "{message}");
}

#[tokio::test]
async fn a_row_whose_unique_key_another_task_has_is_taken_and_makes_none() {
    let yard = Yard::new();
    let (first, second) = (id(&yard), id(&yard));

    for id in [first, second] {
        taken(&submit(&yard.app, &row(id, "a", "1", r#"{"unique_key": "k"}"#)).await);
    }

    yard.get(&format!("/api/v1/tasks/{first}")).await.ok();
    yard.get(&format!("/api/v1/tasks/{second}"))
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn while_the_server_takes_nothing_a_row_is_for_later() {
    let yard = Yard::new();
    yard.stop.cancel();

    let fate = submit(&yard.app, &row(id(&yard), "a", "1", "{}")).await;

    assert!(matches!(fate, Fate::Later(_)), "{fate:?}");
}
