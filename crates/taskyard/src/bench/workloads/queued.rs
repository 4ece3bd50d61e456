//! What a server has in memory of tasks that wait.

use serde_json::json;
use tokio::time::sleep;

use crate::bench::weight::{self, Memory};
use crate::bench::yard::{BATCH, BATCH_CONNECTIONS, INTERNAL_WORKERS, Yard};
use crate::bench::{Figure, Run};

const TASKS: f64 = 1_000_000.0;

pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let tasks = (TASKS * run.scale) as usize;
    let yard = Yard::with_workers(run.databases.fresh().await?).await?;
    // Of a kind that no worker here runs.
    yard.fill(tasks, |_| json!({ "kind": "other" })).await?;
    // It comes to rest.
    sleep(run.seconds).await;
    let waiting = yard.stats().await?.by_status.pending;
    anyhow::ensure!(waiting == tasks as u64, "{waiting} of {tasks} tasks wait");
    let Memory {
        resident_mb,
        peak_mb,
    } = weight::memory(yard.process()?)?;
    let settings = yard.settings(json!({
        "internal_workers": INTERNAL_WORKERS,
        "tasks": tasks,
        "tasks_a_call": BATCH,
        "connections": BATCH_CONNECTIONS,
    }));
    yard.stop().await?;
    let figure = |workload, value| Figure {
        workload,
        value,
        unit: "MB",
        settings: settings.clone(),
    };
    Ok(vec![
        figure("queued", resident_mb),
        figure("queued-peak", peak_mb),
    ])
}
