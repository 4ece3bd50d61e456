//! What else is in the store, and what a claim costs beside it.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::drain::drain;
use crate::bench::yard::Yard;
use crate::bench::{Figure, Run};

/// How many tasks are claimed, over how many connections, one at a time.
const CLAIMED: usize = 20_000;
const CONNECTIONS: usize = 64;
const LYING_ABOUT: f64 = 1_000_000.0;
const FOREIGN: usize = 100_000;
const LANES: usize = 1000;

pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let about = (LYING_ABOUT * run.scale) as usize;
    let mut figures = Vec::new();

    let yard = Yard::start(run).await?;
    figures.push(claims(&yard, "W6-empty", |_| json!({})).await?);
    yard.stop().await?;

    let yard = Yard::start(run).await?;
    yard.fill(about, |_| json!({})).await?;
    drain(&yard, about).await?;
    yard.fill(about, |_| json!({ "delay_ms": 86_400_000 }))
        .await?;
    figures.push(claims(&yard, "W6-full", |_| json!({})).await?);
    yard.stop().await?;

    let yard = Yard::start(run).await?;
    figures.push(
        claims(
            &yard,
            "W6-lanes",
            |number| json!({ "queue": format!("queue-{}", number % LANES) }),
        )
        .await?,
    );
    yard.stop().await?;

    let yard = Yard::start(run).await?;
    yard.fill(FOREIGN, |_| json!({ "kind": "other" })).await?;
    figures.push(claims(&yard, "W6-foreign", |_| json!({})).await?);
    yard.stop().await?;
    Ok(figures)
}

/// Fills in what is to be claimed, and claims it.
pub(super) async fn claims(
    yard: &Yard,
    workload: &'static str,
    more: impl Fn(usize) -> Value,
) -> anyhow::Result<Figure> {
    yard.fill(CLAIMED, more).await?;
    let mut connections = yard.connect(CONNECTIONS).await?;
    let register = yard.mark.worker("bench", json!({}));
    connections[0]
        .post("/api/v1/workers/register", register)
        .await?;
    let mut callers = tokio::task::JoinSet::new();
    let begun = Instant::now();
    for mut connection in connections {
        callers.spawn(async move {
            for _ in 0..CLAIMED / CONNECTIONS {
                connection
                    .post(
                        "/api/v1/workers/bench/claim",
                        r#"{"limit":1,"wait_ms":1000}"#,
                    )
                    .await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(claimed) = callers.join_next().await {
        claimed??;
    }
    let claimed = CLAIMED / CONNECTIONS * CONNECTIONS;
    Ok(Figure {
        workload,
        value: claimed as f64 / begun.elapsed().as_secs_f64(),
        unit: "claims/s",
        settings: yard.settings(json!({ "connections": CONNECTIONS, "claims": claimed })),
    })
}
