//! A worker's reports on the routes of its task.

use std::time::Duration;

use serde_json::{Value, json};

use crate::yard::{Reply, Yard};

struct Run {
    yard: Yard,
    id: String,
    token: String,
}

impl Run {
    async fn new() -> Self {
        let yard = Yard::new();
        let (id, token) = yard.leased().await;
        Self { yard, id, token }
    }

    async fn say(&self, verb: &str, mut body: Value) -> Reply {
        body["lease_token"] = json!(self.token);
        let path = format!("/api/v1/tasks/{}/{verb}", self.id);
        self.yard.post(&path, &body).await
    }

    async fn status(&self) -> String {
        self.yard.status(&self.id).await
    }

    async fn late_results(&self) -> Value {
        let path = format!("/api/v1/tasks/{}/attempts", self.id);
        self.yard.get(&path).await.ok()["late_results"].take()
    }
}

#[tokio::test]
async fn each_verb_leads_where_it_says() {
    for (verb, body, status) in [
        ("start", json!({}), "running"),
        ("progress", json!({"progress": {"fraction": 1}}), "running"),
        ("complete", json!({"output": [1]}), "completed"),
        (
            "fail",
            json!({"error": {"code": "e", "message": "m"}}),
            "scheduled",
        ),
        (
            "fail",
            json!({"error": {"code": "e", "message": "m"}, "retry": false}),
            "failed",
        ),
        ("snooze", json!({"delay_ms": 1000}), "scheduled"),
        ("release", json!({}), "pending"),
    ] {
        let run = Run::new().await;

        let answer = run.say(verb, body.clone()).await.ok();

        assert_eq!(answer["status"], status, "{verb} {body}");
        assert_eq!(answer["task_id"], run.id);
        assert_eq!(run.status().await, status, "{verb} {body}");
    }
}

#[tokio::test]
async fn a_start_and_progress_tell_until_when_the_lease_holds() {
    let run = Run::new().await;

    let started = run.say("start", json!({})).await.ok();
    run.yard.pass(Duration::from_secs(40));
    let renewed = run.say("progress", json!({})).await.ok();

    let at = |minute: u64, second: u64| {
        let noon: jiff::Timestamp = started["started_at"].as_str().unwrap().parse().unwrap();
        let then = noon + Duration::from_secs(60 * minute + second);
        format!("{then:.3}")
    };
    assert_eq!(started["lease_expires_at"], at(1, 15));
    assert_eq!(renewed["lease_expires_at"], at(1, 55));
}

#[tokio::test]
async fn a_checkpoint_travels_to_the_next_attempt() {
    let run = Run::new().await;
    run.say("progress", json!({"checkpoint": {"page": 7}}))
        .await
        .ok();
    run.say("release", json!({})).await.ok();

    let next = run.yard.claim("w").await.unwrap();

    assert_eq!(next["checkpoint"], json!({"page": 7}));
    assert_ne!(next["lease_token"], run.token);
}

#[tokio::test]
async fn the_same_result_twice_gets_the_same_answer_and_another_is_refused() {
    let run = Run::new().await;

    let first = run.say("complete", json!({"output": {"a": 1}})).await.ok();
    let again = run.say("complete", json!({"output": {"a": 1}})).await.ok();
    let other = run.say("complete", json!({"output": {"a": 2}})).await;
    let failed = run
        .say("fail", json!({"error": {"code": "e", "message": "m"}}))
        .await;

    assert_eq!(first, again);
    other.refused(409, "reported_otherwise");
    failed.refused(409, "reported_otherwise");
    assert_eq!(run.yard.task(&run.id).await["output"], json!({"a": 1}));
    // The latest of them.
    assert_eq!(run.late_results().await[0]["outcome"], "failed");
}

#[tokio::test]
async fn a_late_result_is_refused_and_kept_to_be_seen() {
    let run = Run::new().await;
    run.yard.pass(Duration::from_secs(80));
    run.yard.sweep().await;

    let reply = run.say("complete", json!({"output": "late"})).await;

    reply.refused(409, "stale_lease");
    let late = run.late_results().await;
    assert_eq!(
        (&late[0]["output"], &late[0]["fence"]),
        (&json!("late"), &json!(1))
    );
    assert_eq!(run.status().await, "pending");
}

#[tokio::test]
async fn a_token_that_is_made_up_is_refused_and_what_it_says_kept_as_of_no_run() {
    let run = Run::new().await;
    let forged = {
        let mut token = run.token.clone().into_bytes();
        let last = token.last_mut().unwrap();
        *last = if *last == b'A' { b'Q' } else { b'A' };
        String::from_utf8(token).unwrap()
    };
    for token in [
        forged.as_str(),
        "",
        "guess",
        "\u{1f511}",
        &"A".repeat(30),
        &"A".repeat(9999),
    ] {
        for (verb, mut body) in [
            ("start", json!({})),
            ("progress", json!({})),
            ("complete", json!({"output": "forged"})),
            ("fail", json!({"error": {"code": "e", "message": "m"}})),
            ("snooze", json!({"delay_ms": 1})),
            ("release", json!({})),
        ] {
            body["lease_token"] = json!(token);
            let path = format!("/api/v1/tasks/{}/{verb}", run.id);
            run.yard
                .post(&path, &body)
                .await
                .refused(409, "stale_lease");
        }
    }

    assert_eq!(run.status().await, "assigned");
    let late = run.late_results().await;
    assert!(late.as_array().unwrap().len() <= 2, "{late}");
    run.say("complete", json!({})).await.ok();
}

#[tokio::test]
async fn a_refused_call_of_a_run_is_no_sign_of_life_of_its_worker() {
    let run = Run::new().await;
    let heard = async || {
        let workers = run.yard.get("/api/v1/workers").await.ok();
        workers["items"][0]["expires_at"].clone()
    };
    let expires_at = heard().await;
    run.yard.pass(Duration::from_secs(20));

    for (verb, body) in [
        ("start", json!({"lease_token": "x"})),
        (
            "progress",
            json!({"lease_token": "x", "progress": {"fraction": 0.1}}),
        ),
        ("complete", json!({"lease_token": "x"})),
        ("release", json!({"lease_token": "x"})),
    ] {
        let path = format!("/api/v1/tasks/{}/{verb}", run.id);
        run.yard
            .post(&path, &body)
            .await
            .refused(409, "stale_lease");
        assert_eq!(heard().await, expires_at, "{verb}");
    }

    assert_eq!(run.status().await, "assigned");
    run.say("progress", json!({})).await.ok();
    assert_ne!(heard().await, expires_at);
}

#[tokio::test]
async fn the_progress_of_a_replaced_process_is_no_sign_of_life_of_its_successor() {
    let run = Run::new().await;
    run.yard.worker("w").await;
    run.yard.pass(Duration::from_secs(20));

    let reply = run.say("progress", json!({})).await;

    reply.refused(409, "worker_replaced");
    run.yard.pass(Duration::from_secs(11));
    let workers = run.yard.get("/api/v1/workers").await.ok();
    assert_eq!(workers["items"][0]["status"], "offline");
}

#[tokio::test]
async fn a_cancelled_run_is_told_so() {
    let run = Run::new().await;
    run.yard
        .post_text(&format!("/api/v1/tasks/{}/cancel", run.id), "")
        .await
        .ok();

    for verb in ["start", "progress"] {
        let problem = run.say(verb, json!({})).await.refused(409, "already_ended");
        assert_eq!(problem["task_status"], "cancelled");
    }
    run.say("complete", json!({}))
        .await
        .refused(409, "stale_lease");
}

#[tokio::test]
async fn a_result_of_no_task_is_not_found() {
    let run = Run::new().await;
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (verb, body) in [
        ("start", json!({"lease_token": run.token})),
        ("progress", json!({"lease_token": run.token})),
        ("complete", json!({"lease_token": run.token})),
    ] {
        let reply = run
            .yard
            .post(&format!("/api/v1/tasks/{id}/{verb}"), &body)
            .await;
        reply.refused(404, "not_found");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_the_run_goes_on() {
    let run = Run::new().await;
    for (verb, body, pointers) in [
        ("snooze", json!({"delay_ms": -1}), &["/delay_ms"][..]),
        (
            "progress",
            json!({"progress": {"fraction": 1.1}}),
            &["/progress/fraction"],
        ),
        (
            "fail",
            json!({"error": {"code": "", "message": ""}}),
            &["/error/code"],
        ),
        (
            "fail",
            json!({"error": {"code": "é".repeat(65), "message": ""}}),
            &["/error/code"],
        ),
        (
            "fail",
            json!({"error": {"code": "\u{1b}[2J", "message": ""}}),
            &["/error/code"],
        ),
        (
            "fail",
            json!({"error": {"code": "a\nb", "message": ""}}),
            &["/error/code"],
        ),
    ] {
        run.say(verb, body).await.wrong_at(pointers);
    }
    for (verb, body) in [
        ("progress", json!({"checkpoint": "x".repeat(64 << 10)})),
        (
            "progress",
            json!({"progress": {"message": "x".repeat(1025)}}),
        ),
        (
            "fail",
            json!({"error": {"code": "e", "message": "x".repeat((16 << 10) + 1)}}),
        ),
        ("complete", json!({"output": "x".repeat(8 << 20)})),
    ] {
        run.say(verb, body).await.refused(413, "too_large");
    }
    assert_eq!(run.status().await, "assigned");

    let longest = json!({"output": "x".repeat((8 << 20) - 2)});
    run.say(
        "progress",
        json!({"checkpoint": "x".repeat((64 << 10) - 2)}),
    )
    .await
    .ok();
    run.say("complete", longest).await.ok();
}
