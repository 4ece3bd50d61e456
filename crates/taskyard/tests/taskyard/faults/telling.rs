//! Several servers on one PostgreSQL: what one does, those who wait at another hear of at once. None of them looks by
//! itself as long as these tests take.

use std::time::Duration;

use serde_json::json;
use taskyard_api::Raw;
use taskyard_api::logs::{AppendLogs, Followed, LogsQuery, NewLine, Stream};
use taskyard_api::task::{Status, Task};
use taskyard_api::worker::{Claim, Run};
use taskyard_core::id::TaskId;
use tokio::time::{Instant, timeout};

use crate::yard::{PATIENCE, Server, Yard};

/// Nor does a worker ask before that whether its task was cancelled.
const NO_POLL: [&str; 8] = [
    "--poll",
    "1h",
    "--heartbeat",
    "20m",
    "--heartbeat-ttl",
    "1h",
    "--lease",
    "1h",
];

/// Two servers that hear each other, with so many workers inside each.
async fn two_servers(yard: &Yard, workers: [&str; 2]) -> [Server; 2] {
    let flags = |workers| [&NO_POLL[..], &["--internal-workers", workers]].concat();
    let one = yard.serve(&flags(workers[0]));
    let two = yard.serve(&flags(workers[1]));
    // The second says hello once it listens.
    until(&one, "taskyard_hints_heard_total", |heard| heard >= 1).await;
    for server in [&one, &two] {
        until(server, "taskyard_hints_up", |up| up == 1).await;
    }
    [one, two]
}

/// Until this metric of a server, which has no labels, is so.
pub(super) async fn until(server: &Server, metric: &str, is_so: impl Fn(i64) -> bool) {
    let until = Instant::now() + PATIENCE;
    loop {
        let metrics = reqwest::get(format!("{}/metrics", server.url));
        let metrics = metrics.await.unwrap().text().await.unwrap();
        let mut lines = metrics.lines().filter_map(|line| line.split_once(' '));
        let (_, value) = lines.find(|(name, _)| *name == metric).unwrap();
        if is_so(value.parse().unwrap()) {
            return;
        }
        assert!(
            Instant::now() < until,
            "{metric} is {value}: {}",
            server.process.log()
        );
    }
}

/// A claim that waits, at a server where none did.
pub(super) async fn waiting(
    server: &Server,
    worker: &str,
) -> tokio::task::JoinHandle<Vec<Run<Raw>>> {
    server.register_for_all(worker).await;
    let (client, worker) = (server.client.clone(), worker.to_owned());
    let claim = Claim {
        limit: 1,
        wait_ms: Some(60_000),
        begin: true,
        ..Claim::default()
    };
    let claiming = tokio::spawn(async move { client.claim(&worker, &claim).await.unwrap().tasks });
    until(server, "taskyard_claims_parked", |parked| parked == 1).await;
    claiming
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_waits_at_one_server_gets_what_is_submitted_at_another() {
    let Some(yard) = Yard::on_postgres().await else {
        return;
    };
    let [one, two] = &two_servers(&yard, ["0", "0"]).await;
    for (there, here) in [(one, two), (two, one)] {
        // Of a kind that neither has heard of, and of one that both know by then.
        for kind in ["new", "old"] {
            let claim = waiting(here, &format!("{kind}-{}", here.process.id())).await;

            let task = there.submit(kind, json!(1)).await;

            let runs = timeout(PATIENCE, claim).await.expect("it is told").unwrap();
            assert_eq!(runs.iter().map(|run| run.id).collect::<Vec<_>>(), [task]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_task_at_one_server_hears_of_its_end_at_another() {
    let Some(yard) = Yard::on_postgres().await else {
        return;
    };
    let [one, two] = &two_servers(&yard, ["0", "0"]).await;
    let task = one.submit("work", json!(1)).await;
    let client = one.client.clone();
    let wait = Some(Duration::from_secs(60));
    let looking = tokio::spawn(async move { client.task(task, wait).await.unwrap() });
    until(one, "taskyard_tasks_waited_for", |tasks| tasks == 1).await;

    two.client.cancel(task).await.unwrap();

    let seen: Task = timeout(PATIENCE, looking)
        .await
        .expect("it is told")
        .unwrap();
    assert_eq!(seen.status, Status::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_a_log_at_one_server_sees_lines_that_come_in_at_another() {
    let Some(yard) = Yard::on_postgres().await else {
        return;
    };
    let [one, two] = &two_servers(&yard, ["0", "0"]).await;
    let claim = waiting(two, "w").await;
    let task = two.submit("work", json!(1)).await;
    let run = claim.await.unwrap().remove(0);
    append(two, &run, "first").await;
    let query = LogsQuery::default();
    let mut follow = one.client.follow_logs(task, &query).await.unwrap();
    let mut next = async || timeout(PATIENCE, follow.next()).await.expect("it is told");
    for text in ["first", "second", "third"] {
        if text != "first" {
            append(two, &run, text).await;
        }

        let told = next().await.unwrap();

        let Some(Followed::Line(line)) = told else {
            panic!("{text:?} is next, not {told:?}");
        };
        assert_eq!(line.line, text);
    }
    two.client.cancel(task).await.unwrap();
    let told = next().await.unwrap();
    assert!(matches!(told, Some(Followed::End(end)) if end.status == Some(Status::Cancelled)));
}

/// A line that this run has printed.
pub(super) async fn append(server: &Server, run: &Run<Raw>, line: &str) {
    let append = AppendLogs {
        lease_token: run.lease_token.clone(),
        first_seq: None,
        lines: vec![NewLine {
            at: None,
            stream: Stream::Stdout,
            line: line.to_owned(),
        }],
    };
    server.client.append_logs(run.id, &append).await.unwrap();
}

/// The task runs on the only worker there is, inside of a server.
async fn runs(server: &Server, task: TaskId) {
    let runs = |task: &Task| task.status == Status::Running;
    server.until(task, runs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_inside_one_server_ends_when_it_is_cancelled_at_another() {
    let Some(yard) = Yard::on_postgres().await else {
        return;
    };
    let [one, two] = &two_servers(&yard, ["0", "1"]).await;
    let long = json!({ "ms": 3_600_000 });
    let first = one.submit("sleep", long.clone()).await;
    runs(one, first).await;
    let second = one.submit("sleep", long).await;

    one.client.cancel(first).await.unwrap();

    // Its worker has a hand for the next one.
    runs(one, second).await;
    two.client.cancel(second).await.unwrap();
}
