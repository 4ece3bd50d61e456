//! Several servers whose PostgreSQL is behind a pooler in transaction mode, with few connections for all of them. Nobody
//! is told anything there, and everything is found.

use std::time::Duration;

use serde_json::{Value, json};
use taskyard_api::logs::{Followed, LogsQuery};
use taskyard_api::task::Status;
use tokio::time::timeout;
use url::Url;

use super::several::{TIMES, both, ended_as_if_nothing_had_been, waits_for, worker};
use super::telling::{append, until, waiting};
use crate::pooler::Pooler;
use crate::shop::Shop;
use crate::yard::{PATIENCE, Server, Yard, run};

/// No server looks again within the time of these tests for what it was not told of, but as this says.
const POOLED: [&str; 3] = ["--pooled", "--poll", "100ms"];

fn name_of(url: &str) -> String {
    Url::parse(url)
        .unwrap()
        .path()
        .trim_start_matches('/')
        .to_owned()
}

struct Behind {
    yard: Yard,
    pooler: Pooler,
}

impl Behind {
    /// None where there is no PostgreSQL server, or no pooler.
    async fn a_pooler() -> Option<Self> {
        let yard = Yard::on_postgres().await?;
        let pooler = Pooler::before(&yard.database())?;
        Some(Self { yard, pooler })
    }

    fn serve(&self, arguments: &[&str]) -> Server {
        let database = self.pooler.url(&name_of(&self.yard.database()));
        let arguments = [&POOLED[..], arguments].concat();
        self.yard.serve_on(&database, "127.0.0.1:0", &arguments)
    }

    /// Nothing of what the servers did outlives them.
    async fn is_clean(&self) {
        let kept = self.pooler.kept(&name_of(&self.yard.database())).await;
        assert_eq!(kept, [""; 0]);
        self.yard.is_well();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_at_one_server_finds_what_is_done_at_another() {
    let Some(behind) = Behind::a_pooler().await else {
        return;
    };
    let serve = || behind.serve(&["--internal-workers", "0"]);
    let (one, two) = (serve(), serve());
    for (there, here) in [(&one, &two), (&two, &one)] {
        for kind in ["new", "old"] {
            let claim = waiting(here, &format!("{kind}-{}", here.process.id())).await;
            let task = there.submit(kind, json!(1)).await;
            let runs = timeout(PATIENCE, claim).await.unwrap().unwrap();
            assert_eq!(runs.iter().map(|run| run.id).collect::<Vec<_>>(), [task]);
            until(there, "taskyard_hints_up", |up| up == 0).await;
        }
    }

    let claim = waiting(&two, "w").await;
    let task = one.submit("work", json!(1)).await;
    let run = claim.await.unwrap().remove(0);
    append(&two, &run, "first").await;
    let query = LogsQuery::default();
    let mut follow = one.client.follow_logs(task, &query).await.unwrap();
    for line in ["first", "second"] {
        if line == "second" {
            append(&two, &run, line).await;
        }
        let told = timeout(PATIENCE, follow.next()).await.unwrap().unwrap();
        assert!(
            matches!(&told, Some(Followed::Line(told)) if told.line == line),
            "{told:?}"
        );
    }

    let client = one.client.clone();
    let wait = Some(Duration::from_mins(1));
    let looking = tokio::spawn(async move { client.task(task, wait).await.unwrap() });
    until(&one, "taskyard_tasks_waited_for", |tasks| tasks == 1).await;
    two.client.cancel(task).await.unwrap();
    let seen = timeout(PATIENCE, looking).await.unwrap().unwrap();
    assert_eq!(seen.status, Status::Cancelled);

    assert_eq!(one.stop().code(), Some(0));
    assert_eq!(two.stop().code(), Some(0));
    behind.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_keeps_its_runs_where_its_server_dies() {
    let Some(behind) = Behind::a_pooler().await else {
        return;
    };
    let serve = || behind.serve(&TIMES);
    let (one, two) = (serve(), serve());
    let _worker = worker(&behind.yard, &both(&one, &two), &[]);
    let (gate, runs) = (behind.yard.path("gate"), behind.yard.path("runs"));
    let task = two.submit("command", waits_for(&gate, &runs)).await;
    two.until(task, |task| task.status == Status::Running).await;

    one.process.kill();
    // It is known that the worker has found its way by what it says there.
    let renewed = two.client.worker("w").await.unwrap().expires_at;
    let until = tokio::time::Instant::now() + PATIENCE;
    while two.client.worker("w").await.unwrap().expires_at <= renewed {
        assert!(tokio::time::Instant::now() < until, "{}", two.process.log());
    }
    std::fs::write(&gate, "").unwrap();

    ended_as_if_nothing_had_been(&two, task).await;
    assert_eq!(two.stop().code(), Some(0));
    behind.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_taken_over_from_an_inbox_behind_a_pooler() {
    let Some(behind) = Behind::a_pooler().await else {
        return;
    };
    let shop = Shop::open("pooled").await.unwrap();
    let inbox = behind.pooler.url(&name_of(&shop.url));
    let serve = || behind.serve(&["--inbox", &inbox]);
    let servers = [serve(), serve()];

    shop.run("insert into taskyard.inbox (kind, input) select 'echo', to_jsonb(n) from generate_series(1, 300) as n")
        .await;
    shop.until("true", 0).await;
    let id = shop.submit(r#"'echo', '{"w": 640}'"#).await;
    servers[0].taken(id).await;

    let task = servers[1].ended(id).await;
    let output: Value = serde_json::from_str(task.output.unwrap().get()).unwrap();
    assert_eq!(output, json!({"w": 640}));
    assert_eq!(servers[0].tasks().await, 301);
    for server in servers {
        assert_eq!(server.stop().code(), Some(0));
    }
    assert_eq!(behind.pooler.kept(&name_of(&shop.url)).await, [""; 0]);
    behind.is_clean().await;
    shop.close().await;
}

#[tokio::test]
async fn what_no_pooler_passes_on_is_refused_before_anything_is_touched() {
    let yard = Yard::new();
    let options = "postgres://me@127.0.0.1:1/yard?options=-c%20jit%3Doff";
    for (arguments, why) in [
        (
            &["--database", "sqlite:x.db"][..],
            "--pooled is for PostgreSQL",
        ),
        (
            &["--database", options],
            "has options, which a pooler does not pass on",
        ),
        (
            &["--database", "sqlite:x.db", "--inbox", options],
            "has options, which a pooler does not pass on",
        ),
    ] {
        let arguments = [&["serve", "--pooled"][..], arguments].concat();
        let refused = run(yard.directory.path(), &arguments, &[]);
        assert_eq!(refused.code, 2, "{arguments:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
    }
    assert!(!yard.path("x.db").exists());
}
