//! PostgreSQL stopped, killed, cut off, blocked and failed over under a server at work: it says so, loses nothing,
//! and goes on by itself.

#[allow(dead_code, reason = "the tests of each crate use a part of it")]
#[path = "../../../../../tests/support/cluster.rs"]
mod support;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use taskyard_api::submit::Submit;
use taskyard_api::task::Status;
use taskyard_core::id::TaskId;
use tokio::time::{Instant, timeout};
use tokio_postgres::{Client, NoTls};

use self::support::{Cluster, url_of};
use crate::yard::{PATIENCE, Server, Yard};

/// One that writes, four that read, one of the logs, one that hears others, one that looks after all.
const CONNECTIONS_MAX: u32 = 8;
const LOOK_EVERY: Duration = Duration::from_millis(20);
const CONNECTED: &str = "select count(*) from pg_stat_activity where application_name = 'taskyard'";

/// A server over this database, with short times.
fn serve(yard: &Yard, database: &str) -> Server {
    let inside = ["--internal-workers", "1", "--allow-command", "sh"];
    let arguments = [["--grace", "3s"].as_slice(), inside.as_slice()].concat();
    tokio::task::block_in_place(|| yard.serve_on(database, "127.0.0.1:0", &arguments))
}

/// What `/ready` answers: the status, and why not.
async fn ready(server: &Server) -> (u16, String) {
    let answer = reqwest::get(format!("{}/ready", server.url)).await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["message"].as_str().unwrap_or("").to_owned())
}

/// What it says once it answers so.
async fn until_ready_is(server: &Server, expected: u16) -> String {
    let log = || server.process.log();
    until(async || match ready(server).await {
        (status, why) if status == expected => Ok(why),
        (status, why) => Err(format!("{status}: {why}\n{}", log())),
    })
    .await
}

/// What it comes to, however soon; that it never does fails a test that would hang.
async fn until<T>(mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(so_far) => assert!(begun.elapsed() < PATIENCE, "never: {so_far}"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn no_connection_is_left_over(postgres: &Cluster) {
    until(async || match postgres.ask(CONNECTED).parse::<u32>() {
        Ok(count) if count <= CONNECTIONS_MAX => Ok(()),
        count => Err(format!("{count:?} connections")),
    })
    .await;
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

/// Under an id of its own, by which it is stored once however often it is sent.
async fn submit_until_taken(server: &Server, input: Value) -> TaskId {
    let mut task = Submit::new("echo", input);
    let now = server.client.server_time().expect("it has answered").0;
    task.id = Some(TaskId::new(now, rand::random()));
    until(async || match server.client.submit(&task).await {
        Ok(taken) => Ok(taken.id),
        Err(error) if error.is_worth_repeating() => Err(error.to_string()),
        Err(error) => panic!("{error}"),
    })
    .await
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

/// A run that goes on over the trouble.
async fn long_run(yard: &Yard, server: &Server) -> TaskId {
    let waits = format!(
        "until test -e {}; do sleep 0.05; done",
        gate(yard).display()
    );
    let input = json!({ "argv": ["sh", "-c", waits] });
    let task = server.submit("command", input).await;
    server
        .until(task, |task| task.status == Status::Running)
        .await;
    task
}

fn gate(yard: &Yard) -> PathBuf {
    yard.path("gate")
}

async fn ends_at_its_first_run(yard: &Yard, server: &Server, task: TaskId) {
    std::fs::write(gate(yard), "").unwrap();
    let ended = server.ended(task).await;
    assert_eq!(
        (ended.status, ended.attempts, ended.losses),
        (Status::Completed, 1, 0),
        "{ended:?}"
    );
}

/// What a session of somebody else's holds, in a transaction.
struct Held(Client);

impl Held {
    async fn at(postgres: &Cluster, what: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(&postgres.url(), NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        let begin = format!("begin; {what}");
        client.batch_execute(&begin).await.unwrap();
        Self(client)
    }

    async fn let_go(self) {
        self.0.batch_execute("rollback").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_and_a_crash_of_postgres_are_told_and_passed_over() {
    let Some(mut postgres) = Cluster::new() else {
        return;
    };
    let yard = Yard::new();
    let server = serve(&yard, &postgres.url());
    let task = long_run(&yard, &server).await;
    let mut acknowledged = Vec::new();

    for how in [Cluster::stop, Cluster::stop_at_once, Cluster::kill] {
        acknowledged.push(server.submit("nobody-runs-this", json!(1)).await);
        how(&mut postgres);
        let why = until_ready_is(&server, 503).await;
        assert!(!why.is_empty());
        is_refused_for_now(&server).await;

        postgres.start();
        until_ready_is(&server, 200).await;
    }

    ends_at_its_first_run(&yard, &server, task).await;
    for id in acknowledged {
        assert_eq!(
            server.client.task(id, None).await.unwrap().status,
            Status::Pending
        );
    }
    assert_eq!(server.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stands_still_is_told_and_costs_no_lease() {
    let Some(postgres) = Cluster::new() else {
        return;
    };
    let yard = Yard::new();
    let server = serve(&yard, &postgres.url());
    let task = long_run(&yard, &server).await;

    postgres.pause();
    until_ready_is(&server, 503).await;
    is_refused_for_now(&server).await;
    server
        .process
        .log_with("there are no connections until it can");
    // Those who come are told at once by now: were each to wait until a connection is given up, it would be twice the patience.
    let all_are_told = async {
        for _ in 0..40 {
            is_refused_for_now(&server).await;
        }
    };
    timeout(PATIENCE, all_are_told).await.unwrap();
    postgres.resume();
    until_ready_is(&server, 200).await;

    ends_at_its_first_run(&yard, &server, task).await;
    no_connection_is_left_over(&postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_is_told_and_waited_for_by_nobody_for_long() {
    let Some(postgres) = Cluster::new() else {
        return;
    };
    let yard = Yard::new();
    let server = serve(&yard, &postgres.url());
    server.submit("nobody-runs-this", json!(1)).await;
    let held = Held::at(&postgres, "lock table task").await;

    tokio::join!(until_ready_is(&server, 503), is_refused_for_now(&server));

    held.let_go().await;
    until_ready_is(&server, 200).await;
    server.submit("nobody-runs-this", json!(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_again_and_again_cost_no_task() {
    let Some(postgres) = Cluster::new() else {
        return;
    };
    let yard = Yard::new();
    let server = serve(&yard, &postgres.url());
    // Ten clients at once, each of which says again what was not answered, or of which nobody knows what became.
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'taskyard' order by random() limit 1";
    server.client.stats().await.unwrap();
    let taken = AtomicUsize::new(0);
    let submits = (0..10).map(|client| {
        let (server, taken) = (&server, &taken);
        async move {
            let mut ids = Vec::new();
            for serial in 0..20 {
                ids.push(submit_until_taken(server, json!([client, serial])).await);
                taken.fetch_add(1, Ordering::SeqCst);
            }
            ids
        }
    });
    let load = futures_util::future::join_all(submits);
    let trouble = async {
        for round in 1..=40 {
            tokio::task::block_in_place(|| postgres.ask(cut));
            until(async || match taken.load(Ordering::SeqCst) {
                count if count >= round * 5 => Ok(()),
                count => Err(format!("{count} were taken")),
            })
            .await;
        }
    };

    let (ids, ()) = tokio::join!(load, trouble);

    until_ready_is(&server, 200).await;
    let ids: Vec<TaskId> = ids.into_iter().flatten().collect();
    for id in &ids {
        assert_eq!(server.ended(*id).await.status, Status::Completed);
    }
    let kept = postgres.ask("select count(*) from task where retry_of is null");
    assert_eq!(kept.parse(), Ok(ids.len()));
    no_connection_is_left_over(&postgres).await;
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
    let task = long_run(&yard, &server).await;
    let before = server.submit("nobody-runs-this", json!(1)).await;

    old.kill();
    until_ready_is(&server, 503).await;
    new.promote();
    until_ready_is(&server, 200).await;
    ends_at_its_first_run(&yard, &server, task).await;
    assert_eq!(
        server.client.task(before, None).await.unwrap().status,
        Status::Pending
    );

    old.start();
    let kept = "select count(*) from task";
    let had = old.ask(kept);
    new.stop();
    until(async || match ready(&server).await {
        (503, why) if why.contains("old primary") => Ok(()),
        // What was found before is told for a second.
        other => Err(format!("{other:?}")),
    })
    .await;
    is_refused_for_now(&server).await;
    assert_eq!(old.ask(kept), had);
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
    postgres.ask("drop table log_chunk");
    postgres.ask(
        "create table log_line (run bigint, seq integer, at bigint, stream smallint, line text)",
    );
    postgres.ask(&format!("update meta set schema = {}", schema - 1));
    let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%log_line%'
        and application_name = 'taskyard'";

    let held = Held::at(&postgres, "lock table log_line in access share mode").await;
    let url = postgres.url();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--database", &url];
    let migrates = yard.alone("migrates", &arguments, &[]);
    until(async || match postgres.ask(waits).as_str() {
        "0" => Err(migrates.log()),
        _ => Ok(()),
    })
    .await;
    migrates.kill();
    held.let_go().await;

    assert_eq!(postgres.ask(last), (schema - 1).to_string());
    let server = serve(&yard, &postgres.url());
    assert_eq!(postgres.ask(last), schema.to_string());
    server.submit("nobody-runs-this", json!(1)).await;
}
