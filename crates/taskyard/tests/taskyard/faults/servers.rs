//! A server that dies, or is told to stop.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;
use taskyard_api::submit::Submit;
use taskyard_api::task::Status;
use taskyard_api::worker::Claim;
use taskyard_core::id::TaskId;

use crate::yard::{QUICK, Server, Yard};

/// How often the server is killed, and by how many callers it is kept busy.
const KILLS: u32 = 5;
const CALLERS: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_full_work_loses_nothing_that_it_acknowledged() {
    killed_in_full_work(&Yard::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_full_work_loses_nothing_that_it_acknowledged_to_postgres() {
    if let Some(yard) = Yard::on_postgres().await {
        killed_in_full_work(&yard).await;
    }
}

async fn killed_in_full_work(yard: &Yard) {
    let mut acknowledged: Vec<TaskId> = Vec::new();

    for _ in 0..KILLS {
        let server = yard.serve(&QUICK);
        let stop = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (client, stop) = (server.client.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut ids = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        match client
                            .submit(&Submit::new("echo", json!({ "pad": "x".repeat(200) })))
                            .await
                        {
                            Ok(submitted) => ids.push(submitted.id),
                            Err(_) => break,
                        }
                    }
                    ids
                })
            })
            .collect();
        // In the middle of work: when so many have ended that others are on their way.
        while server.client.stats().await.unwrap().by_status.completed < 50 {}
        server.process.kill();
        stop.store(true, Ordering::Relaxed);
        for caller in callers {
            acknowledged.extend(caller.await.unwrap());
        }
    }

    let server = yard.serve(&QUICK);
    for id in &acknowledged {
        let task = server.ended(*id).await;
        assert_eq!(task.status, Status::Completed, "{task:?}");
        assert!(task.losses <= 1, "{task:?}");
    }
    let stats = server.client.stats().await.unwrap();
    assert!(stats.total >= acknowledged.len() as u64);
    assert_eq!(stats.by_status.failed, 0);
    assert_eq!(server.stop().code(), Some(0));
    yard.is_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_workers_of_a_killed_server_lose_their_tasks_to_the_next_at_once() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "2"]);
    let long = server.submit("sleep", json!({ "ms": 600_000 })).await;
    server
        .until(long, |task| task.status == Status::Running)
        .await;
    server.process.kill();

    // With the usual times: thirty seconds of grace, thirty of silence.
    let server = yard.serve(&["--internal-workers", "1"]);
    let task = server
        .until(long, |task| {
            task.losses == 1 && task.status == Status::Running
        })
        .await;

    assert_eq!((task.attempts, task.failures), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_stop_hands_its_workers_tasks_back() {
    told_to_stop(&Yard::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_stop_hands_its_workers_tasks_back_to_postgres() {
    if let Some(yard) = Yard::on_postgres().await {
        told_to_stop(&yard).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_stop_closes_its_database() {
    let yard = Yard::new();
    // More than one, since who lets go of it last is for chance to say.
    for _ in 0..5 {
        let server = yard.serve(&[]);
        let task = server.submit("echo", json!(1)).await;
        server.ended(task).await;

        assert_eq!(server.stop().code(), Some(0));

        let log = yard.path("tasks.db-wal");
        assert!(!log.exists(), "the log was not taken into the file");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_stop_serves_the_request_whose_body_is_on_its_way() {
    let yard = Yard::new();
    let mut server = yard.serve(&["--internal-workers", "0"]);
    let address = server.url.trim_start_matches("http://").to_owned();
    let body = r#"{"kind":"echo","input":1}"#;
    let mut stream = TcpStream::connect(&address).unwrap();
    let length = body.len();
    let head = format!(
        "POST /api/v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut goes_on = [0; 25];
    stream.read_exact(&mut goes_on).unwrap();
    assert_eq!(&goes_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    server.process.signal(Signal::SIGTERM);
    while TcpStream::connect(&address).is_ok() {}
    stream.write_all(body.as_bytes()).unwrap();

    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(server.process.wait().code(), Some(0));
    let server = yard.serve(&["--internal-workers", "0"]);
    let stats = server.client.stats().await.unwrap();
    assert_eq!(stats.by_status.pending, 1);
}

async fn told_to_stop(yard: &Yard) {
    let server = yard.serve(&["--internal-workers", "2", "--drain", "100ms"]);
    let long = server.submit("sleep", json!({ "ms": 600_000 })).await;
    let short = server.submit("echo", json!("done")).await;
    server
        .until(long, |task| task.status == Status::Running)
        .await;
    server.ended(short).await;
    let waiting = {
        let client = server.client.clone();
        tokio::spawn(async move { client.task(long, Some(Duration::from_secs(60))).await })
    };

    assert_eq!(server.stop().code(), Some(0));

    // Whoever waited was answered, not cut off.
    waiting.await.unwrap().unwrap();
    let server = yard.serve(&["--internal-workers", "0"]);
    let task = server.client.task(long, None).await.unwrap();
    assert_eq!(
        (task.status, task.failures, task.losses),
        (Status::Pending, 0, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_server_at_once() {
    let yard = Yard::new();
    let mut server = yard.serve(&["--internal-workers", "1", "--drain", "10m"]);
    let long = server.submit("sleep", json!({ "ms": 600_000 })).await;
    server
        .until(long, |task| task.status == Status::Running)
        .await;

    server.process.signal(Signal::SIGTERM);
    server.process.signal(Signal::SIGINT);

    let code = server.process.wait().code();
    assert!(matches!(code, Some(130 | 143)), "{code:?}");
    let server = yard.serve(&["--internal-workers", "0"]);
    let task = server.client.task(long, None).await.unwrap();
    assert_eq!(task.id, long);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_stopped_for_long_loses_nobody_when_it_goes_on() {
    let (yard, elsewhere) = (Yard::new(), Yard::new());
    let quick = [&QUICK[..], &["--internal-workers", "0"]].concat();
    let server = yard.serve(&quick);
    let witness = elsewhere.serve(&quick);
    let worker = yard.worker(&server, "outside", &["--concurrency", "1"]);
    let task = server.submit("sleep", json!({ "ms": 4000 })).await;
    server
        .until(task, |task| task.status == Status::Running)
        .await;

    server.process.signal(Signal::SIGSTOP);
    // For as long as another one needs to give up a worker that has been silent since.
    gives_up_a_worker(&witness).await;
    server.process.signal(Signal::SIGCONT);

    let ended = server.ended(task).await;
    assert_eq!(
        (ended.status, ended.attempts, ended.losses),
        (Status::Completed, 1, 0)
    );
    assert_eq!(worker.stop().code(), Some(0));
}

/// Once it has taken a task away from one that said nothing after its claim.
async fn gives_up_a_worker(server: &Server) {
    let task = server.submit("noop", json!(null)).await;
    server.register_for_all("silent").await;
    let claim = Claim {
        limit: 1,
        begin: true,
        ..Claim::default()
    };
    let claimed = server.client.claim("silent", &claim).await.unwrap();
    assert_eq!(claimed.tasks.len(), 1);

    server.until(task, |task| task.losses == 1).await;
}
