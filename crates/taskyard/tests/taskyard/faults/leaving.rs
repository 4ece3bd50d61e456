//! Workers that somebody has leave: drained, killed, or one too many inside of a server.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use taskyard_api::pool::Pool;
use taskyard_api::task::Status;
use taskyard_api::worker::WorkerStatus;
use taskyard_core::id::TaskId;

use crate::yard::{PATIENCE, QUICK, Server, Yard};

/// A command that says what its process is, and runs until this file is there.
fn waits_for(gate: &Path, pids: &Path) -> Value {
    let (gate, pids) = (gate.display(), pids.display());
    let waits = format!("echo $$ >>{pids}; until test -e {gate}; do sleep 0.05; done");
    json!({ "argv": ["sh", "-c", waits] })
}

/// The process of its first run, once that goes on.
async fn first_process(server: &Server, task: TaskId, pids: &Path) -> u32 {
    let runs = server.until(task, |task| task.status == Status::Running);
    runs.await;
    loop {
        let said = std::fs::read_to_string(pids).unwrap_or_default();
        if let Some(pid) = said.lines().next() {
            return pid.parse().unwrap();
        }
        tokio::task::yield_now().await;
    }
}

fn is_there(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat"));
    // One that has ended and that nobody has asked after is none.
    status.is_ok_and(|status| !status.contains(") Z "))
}

/// The pool as soon as it is so.
async fn until(server: &Server, mut is_so: impl FnMut(&Pool) -> bool) -> Pool {
    let looks = async {
        loop {
            let pool = server.client.pool().await.unwrap();
            if is_so(&pool) {
                return pool;
            }
        }
    };
    let looked = tokio::time::timeout(PATIENCE, looks).await;
    looked.expect("the pool never came to that")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_inside_is_killed_with_its_command_which_runs_elsewhere() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "2", "--allow-command", "sh"]);
    let (gate, pids) = (yard.path("gate"), yard.path("pids"));
    let task = server.submit("command", waits_for(&gate, &pids)).await;
    let process = first_process(&server, task, &pids).await;
    let held_by = server
        .client
        .task(task, None)
        .await
        .unwrap()
        .worker_id
        .unwrap();

    let killed = server.client.kill_worker(&held_by).await.unwrap();

    assert_eq!((killed.status, killed.held), (WorkerStatus::Offline, 0));
    assert!(!is_there(process), "its process goes on");
    let pool = server.client.pool().await.unwrap();
    assert_eq!((pool.desired, pool.running), (1, 1));
    std::fs::write(gate, "").unwrap();
    let ended = server.ended(task).await;
    assert_eq!(ended.status, Status::Completed);
    assert_eq!((ended.attempts, ended.failures, ended.losses), (2, 0, 0));
    assert_ne!(ended.worker_id.as_deref(), Some(held_by.as_str()));

    let scaled = server.client.scale_pool(2).await.unwrap();
    assert_eq!((scaled.desired, scaled.running), (2, 2));
    let names: Vec<&str> = scaled.workers.iter().map(|it| &*it.worker_id).collect();
    assert_eq!(names, ["worker-1", "worker-2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_left_in_order_are_offline_at_once() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "5"]);
    let outside = yard.worker(&server, "outside", &[]);
    let ended = server.submit("echo", json!(1)).await;
    server.ended(ended).await;
    let online = async || {
        let workers = server.client.all_workers().await.unwrap();
        let online = workers
            .iter()
            .filter(|it| it.status != WorkerStatus::Offline);
        online.count()
    };
    while online().await != 6 {}

    server.client.scale_pool(1).await.unwrap();
    until(&server, |pool| pool.workers.len() == 1).await;
    assert_eq!(online().await, 2);

    assert!(outside.stop().success());
    assert_eq!(online().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_inside_come_and_go_under_load_and_no_task_is_run_twice() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "3"]);
    let mut tasks = Vec::new();
    for _ in 0..300 {
        tasks.push(server.submit("sleep", json!({ "ms": 10 })).await);
    }

    for count in [8, 1, 20, 0, 50, 2, 5] {
        let (one, other) = tokio::join!(server.client.scale_pool(count), server.client.pool());
        assert_eq!(i64::from(one.unwrap().desired), count);
        other.unwrap();
    }
    let stopped = server.client.stop_pool().await.unwrap();
    assert_eq!((stopped.desired, stopped.running), (5, 0));
    until(&server, |pool| pool.workers.is_empty()).await;
    let scaled = server.client.scale_pool(4).await.unwrap();
    assert_eq!(
        (scaled.desired, scaled.running),
        (4, 0),
        "what starting brings"
    );
    let started = server.client.start_pool().await.unwrap();
    assert_eq!((started.desired, started.running), (4, 4));

    for task in tasks {
        let ended = server.ended(task).await;
        assert_eq!(ended.status, Status::Completed);
        assert_eq!((ended.attempts, ended.failures, ended.losses), (1, 0, 0));
    }
    let pool = until(&server, |pool| pool.workers.len() == 4).await;
    assert!(
        pool.workers.iter().all(|worker| !worker.draining),
        "{pool:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_inside_that_is_one_too_many_finishes_its_task_first() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "1", "--allow-command", "sh"]);
    let (gate, pids) = (yard.path("gate"), yard.path("pids"));
    let task = server.submit("command", waits_for(&gate, &pids)).await;
    first_process(&server, task, &pids).await;

    let scaled = server.client.scale_pool(0).await.unwrap();

    assert_eq!((scaled.desired, scaled.running), (0, 0));
    assert!(scaled.workers[0].draining);
    let draining = async {
        while server.client.worker("worker-1").await.unwrap().status != WorkerStatus::Draining {}
    };
    tokio::time::timeout(PATIENCE, draining).await.unwrap();
    let back = server.client.scale_pool(1).await.unwrap();
    assert_eq!(back.running, 1, "another one begins at once");
    std::fs::write(gate, "").unwrap();
    let ended = server.ended(task).await;
    assert_eq!((ended.status, ended.attempts), (Status::Completed, 1));
    assert_eq!(ended.worker_id.as_deref(), Some("worker-1"));
    let pool = until(&server, |pool| pool.workers.len() == 1).await;
    assert_eq!(pool.workers[0].worker_id, "worker-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_inside_that_is_drained_by_name_is_wanted_no_more() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "2"]);
    let known = async { while server.client.worker("worker-2").await.is_err() {} };
    tokio::time::timeout(PATIENCE, known).await.unwrap();

    server.client.drain_worker("worker-2").await.unwrap();

    let pool = until(&server, |pool| pool.workers.len() == 1).await;
    assert_eq!((pool.desired, pool.running), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_worker_finishes_its_task_and_ends_with_0() {
    let yard = Yard::new();
    let server = yard.serve(&[&QUICK[..], &["--internal-workers", "0"]].concat());
    let allowed = ["--concurrency", "1", "--allow-command", "sh"];
    let mut worker = yard.worker(&server, "leaving", &allowed);
    let (gate, pids) = (yard.path("gate"), yard.path("pids"));
    let task = server.submit("command", waits_for(&gate, &pids)).await;
    first_process(&server, task, &pids).await;
    let waits = server.submit("echo", json!(1)).await;

    let drained = server.client.drain_worker("leaving").await.unwrap();

    assert_eq!(drained.status, WorkerStatus::Draining);
    std::fs::write(gate, "").unwrap();
    assert_eq!(worker.wait().code(), Some(0), "{}", worker.log());
    assert_eq!(server.ended(task).await.status, Status::Completed);
    let left = server.client.task(waits, None).await.unwrap();
    assert_eq!(left.status, Status::Pending);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_outside_ends_its_command_and_says_why_it_stops() {
    let yard = Yard::new();
    let server = yard.serve(&[&QUICK[..], &["--internal-workers", "0"]].concat());
    let mut worker = yard.worker(&server, "victim", &["--allow-command", "sh"]);
    let (gate, pids) = (yard.path("gate"), yard.path("pids"));
    let task = server.submit("command", waits_for(&gate, &pids)).await;
    let process = first_process(&server, task, &pids).await;

    server.client.kill_worker("victim").await.unwrap();

    assert_eq!(worker.wait().code(), Some(1));
    assert!(!is_there(process), "its process goes on");
    let said = worker.log();
    assert!(said.contains("worker victim was killed"), "{said}");
    let back = server.client.task(task, None).await.unwrap();
    assert_eq!((back.status, back.attempts), (Status::Pending, 1));
    assert_eq!((back.failures, back.losses), (0, 0));
    server.client.delete_worker("victim").await.unwrap();
    assert_eq!(server.client.all_workers().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_drains_does_so_after_a_restart_of_the_server() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    server.register_for_all("w").await;
    server.client.drain_worker("w").await.unwrap();
    assert_eq!(server.stop().code(), Some(0));

    let server = yard.serve(&["--internal-workers", "0"]);

    let shown = server.client.worker("w").await.unwrap();
    assert_eq!(shown.status, WorkerStatus::Draining);
    let before = tokio::time::Instant::now();
    let claim = taskyard_api::worker::Claim {
        limit: 1,
        wait_ms: Some(60_000),
        ..taskyard_api::worker::Claim::default()
    };
    let claimed = server.client.claim("w", &claim).await.unwrap();
    assert!(claimed.drain && before.elapsed() < Duration::from_secs(50));
}
