//! One worker process empties a queue.

use std::time::Duration;

use anyhow::bail;
use serde_json::json;
use tokio::time::Instant;

use crate::bench::peer::Peer;
use crate::bench::yard::{Worker, Yard};
use crate::bench::{Figure, Run};

const TASKS: f64 = 200_000.0;
const CONCURRENCY: usize = 1000;
const LOOK: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let yard = Yard::start(run).await?;
    let tasks = tasks(run);
    yard.fill(tasks, |_| json!({})).await?;
    let took = drain(&yard, tasks).await?;
    let settings =
        yard.settings(json!({ "tasks": tasks, "workers": 1, "concurrency": CONCURRENCY }));
    yard.stop().await?;
    Ok(vec![Figure {
        workload: "W2",
        value: tasks as f64 / took.as_secs_f64(),
        unit: "tasks/s",
        settings,
    }])
}

/// How many it is.
pub(super) fn tasks(run: &Run<'_>) -> usize {
    (TASKS * run.scale) as usize
}

/// Starts a worker and waits until so many more tasks are completed; timed from when the first one is.
pub(in crate::bench) async fn drain(yard: &Yard, tasks: usize) -> anyhow::Result<Duration> {
    drain_at(yard, &[&yard.peer], tasks).await
}

/// The same with a worker at each of these servers, which share the thousand runs.
pub(super) async fn drain_at(
    yard: &Yard,
    peers: &[&Peer],
    tasks: usize,
) -> anyhow::Result<Duration> {
    let before = yard.stats().await?.by_status.completed;
    let start = |peer: &&Peer| yard.worker_at(peer, CONCURRENCY / peers.len());
    let mut workers: Vec<Worker> = peers.iter().map(start).collect::<anyhow::Result<_>>()?;
    let begun = Instant::now();
    let mut first = None;
    let took = loop {
        // Of a server that others use, what has ended may go meanwhile.
        let done = yard
            .stats()
            .await?
            .by_status
            .completed
            .saturating_sub(before);
        if done > 0 && first.is_none() {
            first = Some((Instant::now(), done));
        }
        if done >= tasks as u64 {
            let (since, already) = first.unwrap_or((begun, 0));
            // What was done before the first look counts as work of the same pace.
            let share = tasks as f64 / (tasks as f64 - already as f64).max(1.0);
            break since.elapsed().mul_f64(share);
        }
        workers.iter_mut().try_for_each(Worker::goes_on)?;
        if begun.elapsed() > PATIENCE {
            bail!("{done} of {tasks} tasks after {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    };
    for worker in workers {
        worker.stop().await?;
    }
    Ok(took)
}
