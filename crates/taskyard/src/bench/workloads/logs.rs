//! A worker whose runs print: as fast as they can, and at a pace beside work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;

use super::drain::{self, drain};
use crate::bench::http::Connection;
use crate::bench::load::closed_loop;
use crate::bench::yard::Yard;
use crate::bench::{Figure, Run};

/// How many of its runs print at once, each over a connection of its own.
const PRINTING: usize = 4;
const RUNS: usize = 400;
/// How many lines a call brings, and how long each is.
const BATCH: usize = 300;
const LINE_BYTES: usize = 80;
/// They print no longer alone: then there would be too few runs, and their leases would have to be renewed.
const PRINTS_MOST: Duration = Duration::from_secs(10);
/// Then the next run prints, before this one's log is full.
const BATCHES_A_RUN: usize = 100;
/// How many lines a second come beside the work.
const BESIDE: f64 = 50_000.0;

pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let mut figures = vec![as_fast_as_they_can(run).await?];
    figures.extend(beside_work(run).await?);
    Ok(figures)
}

async fn as_fast_as_they_can(run: &Run<'_>) -> anyhow::Result<Figure> {
    let yard = Yard::start(run).await?;
    let (connections, calls) = printing(&yard).await?;
    let length = run.seconds.min(PRINTS_MOST);
    let pace = closed_loop(connections, length, move |number, connection| {
        let calls = Arc::clone(&calls);
        async move { Ok((calls.next(number, connection).await?, BATCH as u64)) }
    })
    .await?;
    let settings = yard.settings(
        json!({ "runs_at_once": PRINTING, "lines_a_call": BATCH, "line_bytes": LINE_BYTES }),
    );
    yard.stop().await?;
    Ok(Figure {
        workload: "W8",
        value: pace.per_second(),
        unit: "lines/s",
        settings,
    })
}

/// The same drain twice, the second time while lines come.
async fn beside_work(run: &Run<'_>) -> anyhow::Result<[Figure; 2]> {
    let yard = Yard::start(run).await?;
    let (connections, calls) = printing(&yard).await?;
    let tasks = drain::tasks(run);
    let figure = |workload, took: Duration, lines: f64| Figure {
        workload,
        value: tasks as f64 / took.as_secs_f64(),
        unit: "tasks/s",
        settings: yard.settings(json!({ "tasks": tasks, "lines_a_second": lines.round() })),
    };
    yard.fill(tasks, |_| json!({})).await?;
    let quiet = figure("W8-quiet", drain(&yard, tasks).await?, 0.0);
    yard.fill(tasks, |_| json!({})).await?;
    let stop = CancellationToken::new();
    let begun = Instant::now();
    let mut printers = JoinSet::new();
    for (number, connection) in connections.into_iter().enumerate() {
        printers.spawn(print(number, connection, Arc::clone(&calls), stop.clone()));
    }
    let took = drain(&yard, tasks).await?;
    stop.cancel();
    let mut lines = 0;
    while let Some(printed) = printers.join_next().await {
        lines += printed??;
    }
    let lines = lines as f64 / begun.elapsed().as_secs_f64();
    anyhow::ensure!(lines > 0.9 * BESIDE, "only {lines:.0} lines/s came through");
    let beside = figure("W8-beside", took, lines);
    yard.stop().await?;
    Ok([quiet, beside])
}

/// One connection's share of the pace; answers how many lines it was.
async fn print(
    number: usize,
    mut connection: Connection,
    calls: Arc<Calls>,
    stop: CancellationToken,
) -> anyhow::Result<usize> {
    let share = BESIDE / PRINTING as f64;
    // A tick that comes late is made up for.
    let mut ticks = interval(Duration::from_secs_f64(BATCH as f64 / share));
    let mut lines = 0;
    while !stop.is_cancelled() {
        ticks.tick().await;
        connection = calls.next(number, connection).await?;
        lines += BATCH;
    }
    Ok(lines)
}

/// The calls of all runs, one a run, and how often each connection has called.
struct Calls {
    calls: Vec<(String, String)>,
    sent: [AtomicUsize; PRINTING],
}

impl Calls {
    async fn next(&self, number: usize, mut connection: Connection) -> anyhow::Result<Connection> {
        let before = self.sent[number].fetch_add(1, Ordering::Relaxed);
        let (path, body) = self
            .calls
            .get(before / BATCHES_A_RUN * PRINTING + number)
            .context("there are too few runs for so long")?;
        connection.post(path, body.clone()).await?;
        Ok(connection)
    }
}

/// A worker with runs that have begun, and its connections.
async fn printing(yard: &Yard) -> anyhow::Result<(Vec<Connection>, Arc<Calls>)> {
    yard.fill(RUNS, |_| json!({})).await?;
    let mut connections = yard.connect(PRINTING).await?;
    let worker = yard.mark.worker("bench", json!({ "capacity": RUNS }));
    let first = &mut connections[0];
    first.post("/api/v1/workers/register", worker).await?;
    let claim = json!({ "limit": RUNS, "begin": true });
    let claimed = first
        .post("/api/v1/workers/bench/claim", claim.to_string())
        .await?;
    let claimed: Value = serde_json::from_slice(&claimed)?;
    let runs = claimed["tasks"].as_array().context("no tasks")?;
    anyhow::ensure!(runs.len() == RUNS, "the worker got {} runs", runs.len());
    let line = json!({ "stream": "stdout", "line": "x".repeat(LINE_BYTES) });
    let call = |run: &Value| {
        let id = run["id"].as_str().unwrap_or_default();
        let lines = vec![line.clone(); BATCH];
        let body = json!({ "lease_token": run["lease_token"], "lines": lines });
        (format!("/api/v1/tasks/{id}/logs"), body.to_string())
    };
    let calls = Calls {
        calls: runs.iter().map(call).collect(),
        sent: Default::default(),
    };
    Ok((connections, Arc::new(calls)))
}
