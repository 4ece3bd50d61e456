//! Commands that were scheduled where none may be run, over a restart: what becomes of them is for the server that is up
//! when their time comes.

use std::time::Duration;

use serde_json::{Value, json};
use taskyard_api::change::Patch;
use taskyard_api::task::Status;
use taskyard_api::worker::{Claim, Claimed};
use taskyard_core::id::TaskId;

use crate::yard::{Server, Yard};

const INSIDE: [&str; 2] = ["--internal-workers", "1"];
const OUTSIDE: [&str; 2] = ["--internal-workers", "0"];
const LONG_AGO: &str = "2024-01-23T10:00:00Z";
const FAR: &str = "2124-01-23T10:00:00Z";

async fn schedule(server: &Server, at: &str) -> TaskId {
    let body = json!({"command": "echo it is done", "scheduled_at": at});
    let asked = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = asked
        .post(format!("{}/api/schedule", server.url))
        .header("content-type", "application/json")
        .body(body.to_string());
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    answer["task_id"].as_str().unwrap().parse().unwrap()
}

async fn claim(server: &Server, wait: Duration) -> Claimed {
    let claim = Claim {
        limit: 9,
        wait_ms: Some(u64::try_from(wait.as_millis()).unwrap()),
        ..Claim::default()
    };
    server.client.claim("w", &claim).await.unwrap()
}

async fn call_now(server: &Server, task: TaskId) {
    let now = Patch {
        delay_ms: Some(0),
        ..Patch::default()
    };
    server.client.patch(task, &now).await.unwrap();
}

async fn is_refused(server: &Server, task: TaskId) {
    let ended = server.ended(task).await;

    assert_eq!((ended.status, ended.attempts), (Status::Failed, 0));
    let error = ended.error.unwrap();
    assert_eq!(error.code, "command_not_allowed");
    assert!(error.message.contains("--allow-command"), "{error:?}");
}

async fn play(yard: Yard) {
    let server = yard.serve(&INSIDE);
    server.register_for_all("w").await;
    let now = schedule(&server, LONG_AGO).await;
    let [second, third, fourth] = [FAR; 3].map(|at| schedule(&server, at));
    let (second, third, fourth) = (second.await, third.await, fourth.await);
    is_refused(&server, now).await;
    assert_eq!(claim(&server, Duration::ZERO).await.tasks.len(), 0);
    assert_eq!(server.stop().code(), Some(0));

    // No more may be run than before, whoever takes all there is.
    let server = yard.serve(&INSIDE);
    server.register_for_all("w").await;
    call_now(&server, second).await;
    is_refused(&server, second).await;
    assert_eq!(claim(&server, Duration::ZERO).await.tasks.len(), 0);
    assert_eq!(server.stop().code(), Some(0));

    // Others are there to run them.
    let server = yard.serve(&OUTSIDE);
    server.register_for_all("w").await;
    call_now(&server, third).await;
    let claimed = claim(&server, Duration::from_secs(60)).await;
    let claimed: Vec<_> = claimed
        .tasks
        .iter()
        .map(|run| (run.id, &*run.kind))
        .collect();
    assert_eq!(claimed, [(third, "command")]);
    assert_eq!(server.stop().code(), Some(0));

    // This one runs them itself.
    let server = yard.serve(&["--internal-workers", "1", "--allow-command", "echo"]);
    call_now(&server, fourth).await;
    assert_eq!(server.ended(fourth).await.status, Status::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_refused_or_run_by_the_server_that_is_up_at_its_time() {
    play(Yard::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_refused_or_run_by_the_server_that_is_up_at_its_time_on_postgres() {
    if let Some(yard) = Yard::on_postgres().await {
        play(yard).await;
    }
}

/// Who brings in a worker for other tasks takes no command from those outside.
#[tokio::test(flavor = "multi_thread")]
async fn how_many_workers_there_are_later_changes_nothing_for_commands() {
    let yard = Yard::new();
    let server = yard.serve(&OUTSIDE);
    assert_eq!(server.client.scale_pool(1).await.unwrap().desired, 1);
    server.register_for_all("w").await;
    let left_alone = schedule(&server, LONG_AGO).await;
    let claimed = claim(&server, Duration::from_secs(60)).await;
    assert_eq!(claimed.tasks[0].id, left_alone);

    let yard = Yard::new();
    let server = yard.serve(&INSIDE);
    assert_eq!(server.client.scale_pool(0).await.unwrap().desired, 0);
    server.register_for_all("w").await;
    let refused = schedule(&server, LONG_AGO).await;
    is_refused(&server, refused).await;
    assert_eq!(claim(&server, Duration::ZERO).await.tasks.len(), 0);
}
