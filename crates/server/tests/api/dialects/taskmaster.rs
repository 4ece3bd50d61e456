//! Commands at their times, and the workers inside. What is asked and answered is recorded beside the tests of the
//! program.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use taskyard_core::policy::Policy;
use taskyard_server::settings::Commands;

use crate::workers::pool::Told;
use crate::yard::Yard;

const DUE: &str = "2024-01-23T10:00:00.000Z";

async fn scheduled(yard: &Yard, command: &str, at: &str) -> String {
    let body = json!({"command": command, "scheduled_at": at});
    let task = yard.post("/api/schedule", &body).await.ok();
    assert_eq!(
        (&task["status"], &task["scheduled_at"]),
        (&json!("scheduled"), &json!(at))
    );
    task["task_id"].as_str().unwrap().to_owned()
}

async fn seen(yard: &Yard, id: &str) -> Value {
    yard.get(&format!("/api/status?task_id={id}")).await.ok()
}

#[tokio::test]
async fn a_command_waits_for_its_time() {
    let yard = Yard::new();
    yard.worker("w").await;
    let now = yard.app.engine().store().now();
    let later = (now + Duration::from_secs(10)).to_string();
    let id = scheduled(&yard, "echo later", &later).await;
    assert!(yard.claim("w").await.is_none());

    yard.pass(Duration::from_secs(10));
    yard.promote().await;

    let run = yard.claim("w").await.unwrap();
    assert_eq!((&run["id"], &run["kind"]), (&json!(id), &json!("command")));
    assert_eq!(run["input"], json!({"command": "echo later"}));
    let shown = seen(&yard, &id).await;
    assert_eq!(shown["status"], "assigned");
    assert_eq!(shown["scheduled_at"], later);
}

#[tokio::test]
async fn why_a_command_will_be_refused_is_told_before_its_time() {
    let policy = Policy {
        commands_refused: Some("none may be run"),
        ..Policy::default()
    };
    let yard = Yard::made_of(policy, |settings| {
        settings.not_inside.left_out = vec!["command".to_owned()];
    });
    let later = (yard.app.engine().store().now() + Duration::from_secs(10)).to_string();
    let id = scheduled(&yard, "echo later", &later).await;

    let told = yard.get(&format!("/api/v1/tasks/{id}/explain")).await.ok();

    let [reason] = &told["reasons"].as_array().unwrap()[..] else {
        panic!("one reason: {told}");
    };
    assert_eq!(reason["code"], "command_not_allowed");
    assert!(reason["detail"].as_str().unwrap().contains(&later));
    let action = reason["action"].as_str().unwrap();
    for flag in [
        "--allow-command",
        "--simulate",
        "`command` among --internal-kinds",
        "--internal-workers 0",
    ] {
        assert!(action.contains(flag), "{action}");
    }
    assert!(!action.contains("--now"), "{action}");
}

#[tokio::test]
async fn a_command_is_shown_under_its_older_kind_too() {
    let yard = Yard::new();
    let task = json!({"kind": "command-refused", "input": {"command": "echo it is done"}});
    let task = yard.post("/api/v1/tasks", &task).await.ok();

    let shown = seen(&yard, task["id"].as_str().unwrap()).await;

    assert_eq!(shown["command"], "echo it is done");
}

#[tokio::test]
async fn what_cannot_be_scheduled_is_named_and_not_kept() {
    let yard = Yard::new();
    let deep = ["[".repeat(10_000), "]".repeat(10_000)].concat();
    for (command, at, place) in [
        ("5", DUE, "/command"),
        ("null", DUE, "/command"),
        (r#""  ""#, DUE, "/command"),
        (r#""a\u0000b""#, DUE, "/command"),
        (r#""a\ud800b""#, DUE, "/command"),
        (&deep, DUE, "/command"),
        (r#""echo","command":"true""#, DUE, "/command"),
        (r#""echo""#, "", "/scheduled_at"),
        (r#""echo""#, "tomorrow", "/scheduled_at"),
        (r#""echo""#, "2024-02-30T10:00:00Z", "/scheduled_at"),
        (r#""echo""#, "2024-01-23T10:00:00", "/scheduled_at"),
        (r#""echo""#, "2024-01-23T10:00:00+25:00", "/scheduled_at"),
        (r#""echo""#, "99999-01-01T00:00:00Z", "/scheduled_at"),
    ] {
        let body = format!(r#"{{"command":{command},"scheduled_at":"{at}"}}"#);
        let problem = yard.post_text("/api/schedule", body).await;
        let problem = problem.refused(422, "invalid");
        let named = problem["errors"][0]["pointer"].as_str().unwrap();
        assert!(named.starts_with(place), "{problem}");
    }
    assert_eq!(yard.total().await, 0);
}

#[tokio::test]
async fn a_task_is_asked_about_once_and_by_its_id() {
    let yard = Yard::new();
    let id = scheduled(&yard, "echo", DUE).await;
    for query in ["", "?id=1", &format!("?task_id={id}&task_id={id}")] {
        let reply = yard.get(&format!("/api/status{query}")).await;
        reply.wrong_at(&["task_id"]);
    }
    for id in ["", "x", "%00", &id.replace('-', ""), &format!("{id}0")] {
        let reply = yard.get(&format!("/api/status?task_id={id}")).await;
        let problem = reply.refused(404, "not_found");
        assert_eq!(crate::yard::places(&problem), ["task_id"], "{id}");
    }
    seen(&yard, &format!("{id}&cache=7")).await;
}

#[tokio::test]
async fn what_ended_otherwise_has_failed() {
    let yard = Yard::new();
    let id = scheduled(&yard, "echo", DUE).await;
    yard.post(&format!("/api/v1/tasks/{id}/cancel"), &json!({}))
        .await
        .ok();

    let shown = seen(&yard, &id).await;

    assert_eq!(shown["status"], "failed");
    assert!(shown["failed_at"].is_string() && shown["completed_at"].is_null());
    let stats = yard.get("/api/stats").await.ok();
    assert_eq!(stats["failed_tasks"], 1);
}

#[tokio::test]
async fn a_command_is_shown_as_its_line_whichever_way_it_came() {
    let yard = Yard::new();
    for input in [
        json!({"argv": ["wc", "-l"]}),
        json!({"command": "wc -l"}),
        json!(7),
    ] {
        let body = json!({"kind": "command", "input": input});
        yard.post("/api/v1/tasks", &body).await.ok();
    }

    let tasks = yard.get("/api/tasks").await.ok()["tasks"].take();

    let commands = tasks.as_array().unwrap().iter();
    let commands: Vec<&Value> = commands.map(|task| &task["command"]).collect();
    assert_eq!(commands, ["command", "wc -l", "wc -l"]);
}

#[tokio::test]
async fn a_list_goes_on_over_tasks_that_gave_back_much() {
    let yard = Yard::new();
    let output = "x".repeat(3 << 20);
    yard.worker("w").await;
    for _ in 0..6 {
        scheduled(&yard, "echo", DUE).await;
        let run = yard.claim("w").await.unwrap();
        let body = json!({"lease_token": run["lease_token"], "output": output});
        let path = format!("/api/v1/tasks/{}/complete", run["id"].as_str().unwrap());
        yard.post(&path, &body).await.ok();
    }

    let tasks = yard.get("/api/tasks").await.ok()["tasks"].take();

    assert_eq!(tasks.as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn a_simulated_command_is_taken_later_than_it_is_due() {
    let picked_after = Duration::from_secs(1);
    let yard = Yard::with(|settings| settings.commands = Commands::Simulated { picked_after });
    yard.worker("w").await;

    let id = scheduled(&yard, "echo", DUE).await;

    assert!(yard.claim("w").await.is_none());
    yard.pass(picked_after);
    yard.promote().await;
    assert_eq!(yard.claim("w").await.unwrap()["id"], id);
}

#[tokio::test]
async fn a_simulated_command_is_scheduled_for_when_it_was_said() {
    let picked_after = Duration::from_secs(1);
    let yard = Yard::with(|settings| settings.commands = Commands::Simulated { picked_after });
    let now = yard.app.engine().store().now();
    let later = (now + Duration::from_secs(10)).to_string();

    let at_once = scheduled(&yard, "echo", DUE).await;
    let in_time = scheduled(&yard, "echo", &later).await;

    assert_eq!(seen(&yard, &at_once).await["scheduled_at"], now.to_string());
    assert_eq!(seen(&yard, &in_time).await["scheduled_at"], later);
    let tasks = yard.get("/api/tasks").await.ok()["tasks"].take();
    assert_eq!(tasks[0]["scheduledAt"], later);
}

#[tokio::test]
async fn a_killed_worker_was_active_until_then() {
    let yard = Yard::new();
    yard.worker("w").await;
    yard.pass(Duration::from_secs(20));
    let killed_at = yard.app.engine().store().now().to_string();
    yard.post("/api/workers/kill", &json!({"name": "w"}))
        .await
        .ok();

    let workers = yard.get("/api/workers").await.ok()["workers"].take();

    assert_eq!(workers[0]["status"], "offline");
    assert_eq!(workers[0]["lastActiveAt"], killed_at);
}

#[tokio::test]
async fn a_command_that_cannot_be_split_into_words_is_named() {
    let yard = Yard::new();
    for command in ["echo 'it", "echo \"it", "''", "\"\" x"] {
        let body = json!({"command": command, "scheduled_at": DUE});
        let reply = yard.post("/api/schedule", &body).await;
        reply.wrong_at(&["/command"]);
    }
    scheduled(&yard, "echo 'it is'", DUE).await;
}

#[tokio::test]
async fn a_schedule_sent_again_with_its_key_is_kept_once() {
    let yard = Yard::new();
    let body = json!({"command": "echo", "scheduled_at": DUE});

    let first = yard
        .post_keyed("/api/schedule", "k", body.to_string())
        .await
        .ok();
    let again = yard
        .post_keyed("/api/schedule", "k", body.to_string())
        .await
        .ok();
    let other = json!({"command": "true", "scheduled_at": DUE});
    let refused = yard
        .post_keyed("/api/schedule", "k", other.to_string())
        .await;

    assert_eq!(again, first);
    refused.refused(422, "idempotency_key_reused");
    assert_eq!(yard.total().await, 1);
}

#[tokio::test]
async fn the_workers_inside_are_scaled_from_1_to_50() {
    let yard = Yard::with_pool(Arc::new(Told::default()));
    let scale = async |count: &str| {
        let body = format!(r#"{{"count":{count}}}"#);
        yard.post_text("/api/workers/scale", body).await
    };
    let desired =
        async || yard.get("/api/v1/workers/internal/status").await.ok()["desired"].clone();

    assert_eq!(scale("1").await.ok()["count"], 1);
    assert_eq!(desired().await, 1);
    yard.post_text("/api/v1/workers/internal/start", "")
        .await
        .ok();
    let scaled = scale("50").await.ok();
    assert_eq!(scaled["count"], 50);
    assert_eq!(scaled["workers"], json!(["worker-1"]));
    for count in [0, 51, -1, i64::MAX] {
        scale(&count.to_string()).await.wrong_at(&["/count"]);
    }
    for count in [
        "\"many\"",
        "null",
        "2.5",
        "2e0",
        "[2]",
        "65539",
        "18446744073709551616",
        "2,\"count\":3",
    ] {
        scale(count).await.wrong_at(&["/count"]);
    }
    assert_eq!(desired().await, 50);
}

#[tokio::test]
async fn where_there_are_no_workers_inside_none_is_scaled() {
    let yard = Yard::new();

    let reply = yard.post("/api/workers/scale", &json!({"count": 2})).await;

    reply.refused(404, "not_found");
}
