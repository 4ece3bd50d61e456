//! `GET /tasks/{id}/explain`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use taskyard_server::settings::Commands;

use crate::trouble::Full;
use crate::workers::pool::Told;
use crate::yard::{Clock, Yard};

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
        actions[0].starts_with("start your own worker for `resize`"),
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
    assert_eq!(told(&yard, &id).await.0, ["worker_silent", "assigned"]);
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
async fn who_only_gives_signs_of_life_could_not_run_it() {
    let yard = Yard::new();
    let id = yard.submit("resize").await;
    let says = async || words(&yard, &id).await.remove(0).0;
    yard.post_text("/workers/simple-1/heartbeat", "").await.ok();

    let (codes, _) = told(&yard, &id).await;
    assert_eq!(codes, ["no_worker_for_kind"]);
    assert_eq!(
        says().await,
        "the only worker that is online does not run the kind `resize`, and takes only tasks that it names"
    );
    yard.post_text("/workers/simple-2/heartbeat", "").await.ok();
    assert_eq!(
        says().await,
        "none of the 2 workers that are online runs the kind `resize`; 2 of them take only tasks that they name"
    );

    yard.worker("w").await;
    assert_eq!(
        says().await,
        "1 worker could run it and has room: it gets it when it asks"
    );
}

#[tokio::test]
async fn what_is_offered_to_be_typed_is_quoted_and_meets_what_is_required() {
    let yard = Yard::with(|settings| settings.built_in = vec!["echo".to_owned()]);
    let worker = json!({"worker_id": "w", "kinds": ["echo"]});
    yard.post("/api/v1/workers/register", &worker).await.ok();
    for (requires, flags) in [
        (json!({"gpu": "a100"}), "--label gpu=a100"),
        (json!({"city": "São Paulo"}), "--label city='São Paulo'"),
        (json!({"g": "x; touch y"}), "--label g='x; touch y'"),
        (json!({"g": "it's"}), r"--label g='it'\''s'"),
        (json!({"g": "a,b"}), r"--label g='a\,b'"),
        (json!({"-g": "x"}), "--label=-g=x"),
        (json!({"a": ">16", "b": "<8"}), "--label a=17 --label b=7"),
    ] {
        let task = json!({"kind": "echo", "input": 1, "requires": requires});
        let made = yard.post("/api/v1/tasks", &task).await.ok();

        let (codes, actions) = told(&yard, made["id"].as_str().unwrap()).await;

        assert_eq!(codes, ["requires_unmet"]);
        let command = format!(": taskyard worker --kinds echo {flags}");
        assert!(actions[0].ends_with(&command), "{actions:?}");
    }
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
    let now = format!("to run it now: taskyard patch {id} --now");
    assert_eq!(actions[0], now);
    assert!(
        actions[1].contains("`resize` with the labels memory_gb=16"),
        "{actions:?}"
    );
    yard.pass(Duration::from_mins(1));
    yard.promote().await;
    yard.worker("w").await;
    assert_eq!(told(&yard, id).await.0, ["requires_unmet"]);
}

/// The detail and action of each reason.
async fn words(yard: &Yard, id: &str) -> Vec<(String, String)> {
    let told = yard.get(&format!("/api/v1/tasks/{id}/explain")).await.ok();
    let reasons = told["reasons"].as_array().unwrap().iter();
    let word = |reason: &Value, field| reason[field].as_str().unwrap_or_default().to_owned();
    reasons
        .map(|reason| (word(reason, "detail"), word(reason, "action")))
        .collect()
}

#[tokio::test]
async fn the_programs_own_worker_is_advised_for_what_it_runs_alone() {
    let yard = Yard::with(|settings| settings.built_in = vec!["echo".to_owned()]);
    let submit = async |kind: &str, queue: &str, requires: Value| {
        let task = json!({"kind": kind, "queue": queue, "input": 1, "requires": requires});
        let made = yard.post("/api/v1/tasks", &task).await.ok();
        made["id"].as_str().unwrap().to_owned()
    };
    let helps = async |id: String| words(&yard, &id).await.remove(0).1;
    let echo = submit("echo", "default", json!({})).await;
    assert_eq!(
        helps(echo).await,
        "start a worker: taskyard worker --kinds echo"
    );
    let http = submit("http", "default", json!({})).await;
    assert!(helps(http).await.contains("--allow-http"));

    let of_queue = json!({"worker_id": "w", "kinds": ["*"], "queues": ["default"]});
    yard.post("/api/v1/workers/register", &of_queue).await.ok();
    let queue = async |kind| helps(submit(kind, "slow", json!({})).await).await;
    assert!(
        queue("echo")
            .await
            .ends_with("taskyard worker --kinds echo --queues slow")
    );
    let command = "taskyard worker --kinds command --allow-command PROGRAM --queues slow";
    assert!(queue("command").await.ends_with(command));
    assert!(
        queue("mail")
            .await
            .contains("your own worker for `mail` that serves the queue `slow`")
    );
    let label = async |kind| helps(submit(kind, "default", json!({"disk": "ssd"})).await).await;
    assert!(
        label("echo")
            .await
            .ends_with("--kinds echo --label disk=ssd")
    );
    assert!(label("mail").await.contains("docs/workers.md"));

    yard.post_text("/api/v1/workers/w/drain", "").await.ok();
    let drains = async |kind| helps(submit(kind, "default", json!({})).await).await;
    assert!(
        drains("echo")
            .await
            .ends_with("taskyard worker --kinds echo")
    );
    assert!(drains("mail").await.contains("docs/workers.md"));
}

#[tokio::test]
async fn workers_inside_that_were_stopped_are_told_of() {
    let yard = Yard::with_pool(Arc::new(Told::default()));
    let (echo, mail) = (yard.submit("echo").await, yard.submit("mail").await);
    yard.post("/api/v1/workers/internal/scale", &json!({"count": 2}))
        .await
        .ok();

    let helps = async |id: &str| words(&yard, id).await.remove(0).1;
    let stopped = "2 internal workers of this server are stopped: taskyard workers start";
    assert_eq!(helps(&echo).await, stopped);
    assert!(
        helps(&mail).await.contains("your own worker"),
        "they do not run it"
    );
    yard.post_text("/api/v1/workers/internal/start", "")
        .await
        .ok();
    assert_ne!(helps(&echo).await, stopped);
}

/// It would run what is not to be run.
#[tokio::test]
async fn where_commands_are_simulated_no_worker_outside_is_advised() {
    let simulated = Commands::Simulated {
        picked_after: Duration::ZERO,
    };
    let submitted = async |yard: &Yard, queue: &str, requires: Value| {
        let input = json!({"argv": ["echo"]});
        let task = json!({"kind": "command", "queue": queue, "input": input, "requires": requires});
        let made = yard.post("/api/v1/tasks", &task).await.ok();
        made["id"].as_str().unwrap().to_owned()
    };
    let pool = Told::running_also(&["command"]);
    let yard = Yard::with_pool_and(Arc::new(pool), |settings| {
        settings.commands = simulated.clone();
    });
    let plain = submitted(&yard, "default", json!({})).await;
    let slow = submitted(&yard, "slow", json!({})).await;
    let picky = submitted(&yard, "default", json!({"disk": "ssd"})).await;
    let helps = async |id: &str, expected: &str| {
        let (detail, help) = words(&yard, id).await.remove(0);
        assert!(help.contains(expected), "{detail}: {help}");
        assert!(!help.contains("taskyard worker "), "{detail}: {help}");
    };
    let scaled = async |count: u16| {
        let path = "/api/v1/workers/internal";
        yard.post(&format!("{path}/scale"), &json!({"count": count}))
            .await
            .ok();
        yard.post_text(&format!("{path}/start"), "").await.ok();
    };
    let first = "which has no internal workers: taskyard workers scale 1";

    helps(&plain, first).await;
    let outside = json!({"worker_id": "w", "kinds": ["*"], "queues": ["default"]});
    yard.post("/api/v1/workers/register", &outside).await.ok();
    helps(&slow, first).await;
    helps(&picky, "without `requires`").await;
    yard.post_text("/api/v1/workers/w/drain", "").await.ok();
    helps(&plain, first).await;
    scaled(2).await;
    for id in [&plain, &slow] {
        helps(id, "taskyard workers scale 3").await;
    }
    scaled(50).await;
    for id in [&plain, &slow] {
        helps(id, "its 50 internal workers").await;
    }

    let yard = Yard::with_pool_and(Arc::new(Told::default()), |settings| {
        settings.commands = simulated.clone();
        settings.not_inside.left_out = vec!["command".to_owned()];
    });
    yard.post("/api/v1/workers/register", &outside).await.ok();
    let slow = submitted(&yard, "slow", json!({})).await;
    let help = words(&yard, &slow).await.remove(0).1;
    assert_eq!(
        help,
        "start this server again with `command` among --internal-kinds and --internal-workers 1"
    );
}

#[tokio::test]
async fn a_full_disk_is_told_before_all_else() {
    let clock = Clock::new();
    let store = Full::store(&clock);
    let yard = Yard::around(store.clone(), clock, |_| {});
    let id = yard.submit("echo").await;
    store.is_full.store(true, Ordering::SeqCst);
    let another = json!({"kind": "echo", "input": 1});
    yard.post("/api/v1/tasks", &another)
        .await
        .refused(507, "disk_full");

    let (codes, actions) = told(&yard, &id).await;
    assert_eq!(codes, ["database_trouble", "no_worker_for_kind"]);
    assert!(actions[0].starts_with("make room there"), "{actions:?}");
    let health = yard.get("/health").await;
    assert_eq!(health.status.as_u16(), 503);

    store.is_full.store(false, Ordering::SeqCst);
    yard.submit("echo").await;
    assert_eq!(told(&yard, &id).await.0, ["no_worker_for_kind"]);
}

#[tokio::test]
async fn of_a_worker_that_should_have_been_heard_it_is_said_since_when() {
    let yard = Yard::new();
    let (id, _) = yard.leased().await;
    let says = async || words(&yard, &id).await.pop().unwrap().0;

    yard.pass(Duration::from_secs(15));
    assert!(!says().await.contains("last heard"));
    yard.pass(Duration::from_secs(6));
    let said = says().await;
    assert!(
        said.contains("last heard 21 s ago, and is given up at 2026-"),
        "{said}"
    );
    yard.pass(Duration::from_secs(9));
    let said = says().await;
    assert!(said.contains("is offline, last heard 30 s ago"), "{said}");
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
