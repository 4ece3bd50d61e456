//! How long one task takes on an idle system.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::bench::http::Connection;
use crate::bench::mark::Mark;
use crate::bench::yard::Yard;
use crate::bench::{Figure, Run};

pub(super) const TASKS: usize = 300;

pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let yard = Yard::start(run).await?;
    let (submitter, claimer) = (yard.connection().await?, yard.connection().await?);
    let mut started = until_start(submitter, claimer, &yard.mark).await?;
    let worker = yard.worker(1)?;
    let mut known = until_known(&yard).await?;
    worker.stop().await?;
    let settings = yard.settings(json!({ "tasks": TASKS, "workers": 1 }));
    yard.stop().await?;
    let figure = |workload, times: &mut Vec<Duration>, share| Figure {
        workload,
        value: at(times, share),
        unit: "ms",
        settings: settings.clone(),
    };
    Ok(vec![
        figure("W3-p50", &mut known, 0.5),
        figure("W3-p99", &mut known, 0.99),
        figure("W3s-p50", &mut started, 0.5),
        figure("W3s-p99", &mut started, 0.99),
    ])
}

/// What such a share of these times is at most, in milliseconds.
pub(super) fn at(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let place = ((times.len() - 1) as f64 * share).round() as usize;
    times[place].as_secs_f64() * 1000.0
}

/// From sending the submit to having the result, which a request is held for; the worker is a process of its own.
async fn until_known(yard: &Yard) -> anyhow::Result<Vec<Duration>> {
    let body = yard.mark.task(json!({})).to_string();
    let mut connection = yard.connection().await?;
    let mut times = Vec::with_capacity(TASKS);
    // The first one finds the worker just starting.
    for number in 0..=TASKS {
        let begun = Instant::now();
        let answer = connection.post("/api/v1/tasks", body.clone()).await?;
        let submitted: Value = serde_json::from_slice(&answer)?;
        let id = submitted["id"].as_str().unwrap_or_default();
        let ended: Value = connection
            .get(&format!("/api/v1/tasks/{id}?wait_ms=30000"))
            .await?;
        anyhow::ensure!(
            ended["status"] == "completed",
            "the task is {}",
            ended["status"]
        );
        if number > 0 {
            times.push(begun.elapsed());
        }
    }
    Ok(times)
}

/// From sending the submit to a waiting worker having the task in hand; this process is the worker. The two may be at two
/// servers.
pub(super) async fn until_start(
    mut submitter: Connection,
    mut claimer: Connection,
    mark: &Mark,
) -> anyhow::Result<Vec<Duration>> {
    let body = mark.task(json!({})).to_string();
    let register = mark.worker("bench", json!({}));
    claimer.post("/api/v1/workers/register", register).await?;
    let mut times = Vec::with_capacity(TASKS);
    for _ in 0..TASKS {
        let waits = async {
            let claim = json!({ "limit": 1, "wait_ms": 30_000, "begin": true });
            let claimed = claimer
                .post("/api/v1/workers/bench/claim", claim.to_string())
                .await?;
            anyhow::Ok((Instant::now(), claimed))
        };
        let submits = async {
            // The claim is to be waiting already.
            tokio::time::sleep(Duration::from_millis(2)).await;
            let begun = Instant::now();
            submitter.post("/api/v1/tasks", body.clone()).await?;
            anyhow::Ok(begun)
        };
        let ((had, claimed), begun) = tokio::try_join!(waits, submits)?;
        times.push(had - begun);
        let claimed: Value = serde_json::from_slice(&claimed)?;
        let run = &claimed["tasks"][0];
        let path = format!(
            "/api/v1/tasks/{}/complete",
            run["id"].as_str().unwrap_or_default()
        );
        let complete = json!({ "lease_token": run["lease_token"] });
        claimer.post(&path, complete.to_string()).await?;
    }
    Ok(times)
}
