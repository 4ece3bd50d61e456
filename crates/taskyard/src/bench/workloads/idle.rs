//! What a server takes of the machine while nobody asks anything of it.

use std::time::Duration;

use anyhow::bail;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::bench::weight;
use crate::bench::yard::{INTERNAL_WORKERS, Yard};
use crate::bench::{Figure, Run};

/// How many tasks its own workers have run before.
const TASKS: f64 = 10_000.0;
/// What it was asked for before, once: what people look at, with the description that a page loads, and whoever watches.
const PAGES: [&str; 4] = ["/ui/", "/docs", "/openapi.json", "/metrics"];
/// It is looked at for so many times as long as others run: with 3 s each, longer than from one heartbeat to the next.
const TIMES: u32 = 4;
const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let tasks = (TASKS * run.scale) as usize;
    let yard = Yard::with_workers(run.databases.fresh().await?).await?;
    // It comes to rest, also behind the work below.
    sleep(run.seconds).await;
    let new = weight::memory(yard.process()?)?;
    yard.fill(tasks, |_| json!({})).await?;
    until_completed(&yard, tasks as u64).await?;
    let mut connection = yard.connection().await?;
    for page in PAGES {
        connection.read(page).await?;
    }
    drop(connection);
    sleep(run.seconds).await;

    let process = yard.process()?;
    let (begun, before) = (Instant::now(), weight::processor_time(process)?);
    sleep(run.seconds * TIMES).await;
    let spent = weight::processor_time(process)?.saturating_sub(before);
    let took = begun.elapsed();
    let used = weight::memory(process)?;
    let settings = yard.settings(json!({
        "internal_workers": INTERNAL_WORKERS,
        "tasks_before": tasks,
        "asked_before": PAGES,
        "seconds": took.as_secs_f64().round(),
        "peak_mb": used.peak_mb.round(),
    }));
    yard.stop().await?;
    let figure = |workload, value, unit| Figure {
        workload,
        value,
        unit,
        settings: settings.clone(),
    };
    let share = spent.as_secs_f64() / took.as_secs_f64();
    Ok(vec![
        figure("idle-memory", new.resident_mb, "MB"),
        figure("idle-memory-used", used.resident_mb, "MB"),
        figure("idle-core", share * 100.0, "%"),
    ])
}

async fn until_completed(yard: &Yard, tasks: u64) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let done = yard.stats().await?.by_status.completed;
        if done >= tasks {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            bail!("{done} of {tasks} tasks after {} s", PATIENCE.as_secs());
        }
        sleep(LOOK).await;
    }
}
