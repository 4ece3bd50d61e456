//! A worker whose runs print.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::bench::load::{closed_loop, connect};
use crate::bench::yard::Yard;
use crate::bench::{Figure, Run};

/// How many of its runs print at once, each over a connection of its own.
const PRINTING: usize = 4;
const RUNS: usize = 400;
/// How many lines a call brings, and how long each is.
const BATCH: usize = 300;
const LINE_BYTES: usize = 80;
/// Then the next run prints, before this one's log is full.
const BATCHES_A_RUN: usize = 100;

pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let yard = Yard::start(run).await?;
    yard.fill(RUNS, |_| json!({})).await?;
    let mut connections = connect(&yard.url, PRINTING).await?;
    let worker = json!({ "worker_id": "bench", "kinds": ["noop"], "capacity": RUNS });
    let first = &mut connections[0];
    first
        .post("/api/v1/workers/register", worker.to_string())
        .await?;
    let claim = json!({ "limit": RUNS, "begin": true });
    let claimed = first
        .post("/api/v1/workers/bench/claim", claim.to_string())
        .await?;
    let claimed: Value = serde_json::from_slice(&claimed)?;
    let runs = claimed["tasks"].as_array().context("no tasks")?;
    anyhow::ensure!(runs.len() == RUNS, "the worker got {} runs", runs.len());
    let line = json!({ "stream": "stdout", "line": "x".repeat(LINE_BYTES) });
    let calls: Vec<(String, String)> = runs
        .iter()
        .map(|run| {
            let path = format!(
                "/api/v1/tasks/{}/logs",
                run["id"].as_str().unwrap_or_default()
            );
            let lines = vec![line.clone(); BATCH];
            let body = json!({ "lease_token": run["lease_token"], "lines": lines });
            (path, body.to_string())
        })
        .collect();
    let calls = Arc::new(calls);
    let sent = Arc::new([const { AtomicUsize::new(0) }; PRINTING]);
    let pace = closed_loop(connections, run.seconds, move |number, mut connection| {
        let (calls, sent) = (Arc::clone(&calls), Arc::clone(&sent));
        async move {
            let before = sent[number].fetch_add(1, Ordering::Relaxed);
            let (path, body) = calls
                .get(before / BATCHES_A_RUN * PRINTING + number)
                .context("there are too few runs for so long")?;
            connection.post(path, body.clone()).await?;
            Ok((connection, BATCH as u64))
        }
    })
    .await?;
    let settings = yard.settings(
        json!({ "runs_at_once": PRINTING, "lines_a_call": BATCH, "line_bytes": LINE_BYTES }),
    );
    yard.stop().await?;
    Ok(vec![Figure {
        workload: "W8",
        value: pace.per_second(),
        unit: "lines/s",
        settings,
    }])
}
