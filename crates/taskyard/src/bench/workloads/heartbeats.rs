//! A fleet that only says that it lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::bench::load::closed_loop;
use crate::bench::yard::Yard;
use crate::bench::{Figure, Run};

const WORKERS: usize = 1000;
const LEASES: usize = 10;
const CONNECTIONS: usize = 64;

pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let yard = Yard::start(run).await?;
    yard.fill(WORKERS * LEASES, |_| json!({})).await?;
    let mut connections = yard.connect(CONNECTIONS).await?;
    let mut beats = Vec::with_capacity(WORKERS);
    for number in 0..WORKERS {
        let connection = &mut connections[number % CONNECTIONS];
        let name = format!("bench-{number}");
        let register = yard.mark.worker(&name, json!({ "capacity": LEASES }));
        connection
            .post("/api/v1/workers/register", register)
            .await?;
        let claim = json!({ "limit": LEASES });
        let claimed = connection
            .post(&format!("/api/v1/workers/{name}/claim"), claim.to_string())
            .await?;
        let claimed: Value = serde_json::from_slice(&claimed)?;
        let tasks = claimed["tasks"].as_array().cloned().unwrap_or_default();
        let held: Vec<Value> = tasks
            .iter()
            .map(|run| json!({ "task_id": run["id"], "lease_token": run["lease_token"], "running": true }))
            .collect();
        anyhow::ensure!(held.len() == LEASES, "a worker got {} leases", held.len());
        beats.push(json!({ "held": held }).to_string());
    }
    let beats = Arc::new(beats);
    let turn = Arc::new(AtomicUsize::new(0));
    let pace = closed_loop(connections, run.seconds, move |_, mut connection| {
        let (beats, turn) = (Arc::clone(&beats), Arc::clone(&turn));
        async move {
            let number = turn.fetch_add(1, Ordering::Relaxed) % WORKERS;
            connection
                .post(
                    &format!("/api/v1/workers/bench-{number}/heartbeat"),
                    beats[number].clone(),
                )
                .await?;
            Ok((connection, 1))
        }
    })
    .await?;
    let settings = yard.settings(
        json!({ "workers": WORKERS, "leases_a_worker": LEASES, "connections": CONNECTIONS }),
    );
    yard.stop().await?;
    Ok(vec![Figure {
        workload: "W7",
        value: pace.per_second(),
        unit: "heartbeats/s",
        settings,
    }])
}
