//! PostgreSQL stopped, killed, cut off, blocked and failed over under a server at work: it says so in time, loses nothing,
//! and goes on by itself.

#[path = "../../../../../tests/support/cluster.rs"]
mod support;

use std::time::Duration;

use serde_json::{Value, json};
use taskyard_api::submit::Submit;
use taskyard_api::task::Status;
use taskyard_core::id::TaskId;
use tokio::time::Instant;

use self::support::{Cluster, signal, url_of};
use crate::yard::{PATIENCE, Server, Yard};

const IN_TIME: Duration = Duration::from_secs(5);
/// A server that came back: a second or two, and what a busy machine takes.
const SOON: Duration = Duration::from_secs(5);

/// A server over this database, with short times.
fn serve(yard: &Yard, database: &str) -> Server {
    let arguments = ["--grace", "3s", "--internal-workers", "1"];
    tokio::task::block_in_place(|| yard.serve_on(database, "127.0.0.1:0", &arguments))
}

/// What `/ready` answers: the status, and why not.
async fn ready(server: &Server) -> (u16, String) {
    let answer = reqwest::get(format!("{}/ready", server.url)).await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["message"].as_str().unwrap_or("").to_owned())
}

/// How long it took until it was ready, or was not.
async fn until_ready_is(server: &Server, expected: u16) -> (Duration, String) {
    let begun = Instant::now();
    loop {
        let (status, why) = ready(server).await;
        if status == expected {
            return (begun.elapsed(), why);
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{status}: {why}\n{}",
            server.process.log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn not_ready_in_time(server: &Server) -> String {
    let (after, why) = until_ready_is(server, 503).await;
    assert!(after < IN_TIME, "{after:?}");
    why
}

/// Whatever it answers, once: what a client that does not try again sees.
async fn post_once(server: &Server) -> (u16, Value, bool) {
    let client = reqwest::Client::new();
    let answer = client
        .post(format!("{}/api/v1/tasks", server.url))
        .json(&json!({"kind": "nobody-runs-this", "input": 1}))
        .send()
        .await
        .unwrap();
    let comes_back = answer.headers().contains_key("retry-after");
    (
        answer.status().as_u16(),
        answer.json().await.unwrap(),
        comes_back,
    )
}

async fn is_refused_for_now(server: &Server) {
    let (status, problem, comes_back) = post_once(server).await;
    assert_eq!((status, comes_back), (503, true), "{problem}");
    let code = problem["code"].as_str().unwrap();
    assert!(
        ["unavailable", "outcome_unknown"].contains(&code),
        "{problem}"
    );
    let known = problem["task_id"].is_string();
    assert_eq!(known, code == "outcome_unknown", "{problem}");
}

/// A run that goes on over the trouble, at a worker of its own process.
async fn long_run(server: &Server) -> TaskId {
    let task = server.submit("sleep", json!({"ms": 12_000})).await;
    server
        .until(task, |task| task.status == Status::Running)
        .await;
    task
}

async fn ended_at_its_first_run(server: &Server, task: TaskId) {
    let ended = server.ended(task).await;
    assert_eq!(
        (ended.status, ended.losses),
        (Status::Completed, 0),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_and_a_crash_of_postgres_are_told_and_passed_over() {
    let Some(mut postgres) = Cluster::new() else {
        return;
    };
    let yard = Yard::new();
    let server = serve(&yard, &postgres.url());
    let task = long_run(&server).await;
    let mut acknowledged = Vec::new();

    for how in [Cluster::stop, Cluster::stop_at_once, Cluster::kill] {
        acknowledged.push(server.submit("nobody-runs-this", json!(1)).await);
        how(&mut postgres);
        let why = not_ready_in_time(&server).await;
        assert!(!why.is_empty());
        is_refused_for_now(&server).await;

        postgres.start();
        let (after, _) = until_ready_is(&server, 200).await;
        assert!(after < SOON, "{after:?}");
    }

    ended_at_its_first_run(&server, task).await;
    for id in acknowledged {
        assert_eq!(
            server.client.task(id, None).await.unwrap().status,
            Status::Pending
        );
    }
    assert_eq!(server.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stands_still_is_told_in_time_and_costs_no_lease() {
    let Some(postgres) = Cluster::new() else {
        return;
    };
    let yard = Yard::new();
    let server = serve(&yard, &postgres.url());
    let task = long_run(&server).await;

    postgres.pause();
    not_ready_in_time(&server).await;
    is_refused_for_now(&server).await;
    // Those that wait are told at once by now, however many there are.
    let begun = Instant::now();
    let calls = (0..50).map(|_| is_refused_for_now(&server));
    futures_util::future::join_all(calls).await;
    assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());
    postgres.resume();
    let (after, _) = until_ready_is(&server, 200).await;
    assert!(after < SOON, "{after:?}");

    ended_at_its_first_run(&server, task).await;
    let connected = "select count(*) from pg_stat_activity where application_name = 'taskyard'";
    let connected: u32 = postgres.ask(connected).parse().unwrap();
    assert!(connected <= 8, "{connected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_is_told_in_time_and_waited_for_by_nobody_for_long() {
    let Some(postgres) = Cluster::new() else {
        return;
    };
    let yard = Yard::new();
    let server = serve(&yard, &postgres.url());
    server.submit("nobody-runs-this", json!(1)).await;
    let holds = std::thread::scope(|scope| {
        let locks = "begin; lock table task; select pg_sleep(10); commit";
        let holding = scope.spawn(|| postgres.ask(locks));
        while postgres
            .ask("select count(*) from pg_locks where mode = 'AccessExclusiveLock' and granted")
            == "0"
        {}
        let ahead = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| {
            ahead.block_on(async {
                let begun = Instant::now();
                tokio::join!(not_ready_in_time(&server), is_refused_for_now(&server));
                begun.elapsed()
            })
        });
        holding.join().is_ok()
    });

    assert!(holds);
    let (after, _) = until_ready_is(&server, 200).await;
    assert!(after < SOON, "{after:?}");
    server.submit("nobody-runs-this", json!(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_again_and_again_cost_no_task() {
    let Some(postgres) = Cluster::new() else {
        return;
    };
    let yard = Yard::new();
    let server = serve(&yard, &postgres.url());
    // Ten clients at once, each of which says again what was not answered.
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'taskyard' order by random() limit 1";
    let submits = (0..10).map(|client| {
        let server = &server;
        async move {
            let mut ids = Vec::new();
            for serial in 0..20 {
                let task = Submit::new("echo", json!([client, serial]));
                ids.push(server.submit_as(task).await);
            }
            ids
        }
    });
    let load = futures_util::future::join_all(submits);
    let trouble = async {
        for _ in 0..40 {
            tokio::task::block_in_place(|| postgres.ask(cut));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };

    let (ids, ()) = tokio::join!(load, trouble);

    let ids: Vec<TaskId> = ids.into_iter().flatten().collect();
    for id in &ids {
        assert_eq!(server.ended(*id).await.status, Status::Completed);
    }
    let kept = postgres.ask("select count(*) from task where retry_of is null");
    assert_eq!(kept.parse(), Ok(ids.len()));
    until_ready_is(&server, 200).await;
    let connected = "select count(*) from pg_stat_activity where application_name = 'taskyard'";
    let connected: u32 = postgres.ask(connected).parse().unwrap();
    assert!(connected <= 8, "{connected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_moves_over_to_a_promoted_standby_and_refuses_the_old_primary() {
    let Some(mut old) = Cluster::new() else {
        return;
    };
    let yard = Yard::new();
    let mut new = old.standby();
    old.ask("alter system set synchronous_standby_names = '*'");
    old.ask("select pg_reload_conf()");
    let server = serve(&yard, &url_of(&[&old, &new]));
    let task = long_run(&server).await;
    let before = server.submit("nobody-runs-this", json!(1)).await;

    old.kill();
    not_ready_in_time(&server).await;
    new.promote();
    let (after, _) = until_ready_is(&server, 200).await;
    assert!(after < SOON, "{after:?}");
    ended_at_its_first_run(&server, task).await;
    assert_eq!(
        server.client.task(before, None).await.unwrap().status,
        Status::Pending
    );

    old.start();
    new.stop();
    let begun = Instant::now();
    while !ready(&server).await.1.contains("old primary") {
        assert!(begun.elapsed() < PATIENCE, "{:?}", ready(&server).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    is_refused_for_now(&server).await;
    server.process.log_with("is an old primary");
    new.start();
    until_ready_is(&server, 200).await;
    server.submit("nobody-runs-this", json!(1)).await;
    assert_eq!(server.stop().code(), Some(0));
}

/// SIGKILL in the middle of a migration: the next start goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_a_migration_is_followed_by_one_that_ends_it() {
    let Some(postgres) = Cluster::new() else {
        return;
    };
    let yard = Yard::new();
    serve(&yard, &postgres.url()).stop();
    // As the version before left it.
    let last = "select schema from meta";
    let schema: u32 = postgres.ask(last).parse().unwrap();
    postgres.ask("drop index task_by_lane");
    postgres.ask("create index task_by_lane on task (lane, id)");
    postgres.ask(&format!("update meta set schema = {}", schema - 1));
    let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%task_by_lane%'
        and application_name = 'taskyard'";

    std::thread::scope(|scope| {
        let holding = scope.spawn(|| {
            postgres.ask("begin; lock table task in access share mode; select pg_sleep(4); commit")
        });
        let arguments = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--database",
            &postgres.url(),
        ];
        let migrates = yard.alone("migrates", &arguments, &[]);
        while postgres.ask(waits) == "0" {}
        signal("KILL", &[migrates.id()]);
        holding.join().unwrap();
    });

    assert_eq!(postgres.ask(last), (schema - 1).to_string());
    let server = serve(&yard, &postgres.url());
    assert_eq!(postgres.ask(last), schema.to_string());
    server.submit("nobody-runs-this", json!(1)).await;
}
