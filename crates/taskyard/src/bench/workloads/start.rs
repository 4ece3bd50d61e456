//! How long a server takes to serve again, over what it has left behind.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::drain::drain;
use crate::bench::yard::{INTERNAL_WORKERS, Yard};
use crate::bench::{Figure, Run};

const STARTS: usize = 11;
/// So many have ended, and so many wait.
const TASKS: f64 = 100_000.0;
const QUEUES: usize = 1000;

pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let tasks = (TASKS * run.scale) as usize;
    let mut yard = Yard::over(run.databases.fresh().await?).await?;
    yard.fill(tasks, |_| json!({})).await?;
    drain(&yard, tasks).await?;
    // Of a kind that no worker here runs: nothing goes on while the server starts.
    yard.fill(
        tasks,
        |number| json!({ "kind": "other", "queue": format!("queue-{}", number % QUEUES) }),
    )
    .await?;

    let mut times = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let database = yard.close().await?;
        let begun = Instant::now();
        yard = Yard::with_workers(database).await?;
        // Its address is known once it serves; it is asked all the same, as whoever waits for it would.
        let mut connection = yard.connection().await?;
        connection.read("/ready").await?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let settings = yard.settings(json!({
        "starts": STARTS,
        "internal_workers": INTERNAL_WORKERS,
        "finished": tasks,
        "waiting": tasks,
        "queues": QUEUES,
    }));
    yard.stop().await?;
    let figure = |workload, time: Duration| Figure {
        workload,
        value: time.as_secs_f64() * 1000.0,
        unit: "ms",
        settings: settings.clone(),
    };
    Ok(vec![
        figure("start", times[STARTS / 2]),
        figure("start-worst", times[STARTS - 1]),
    ])
}
