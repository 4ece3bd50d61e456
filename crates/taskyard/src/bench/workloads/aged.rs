//! What a claim costs in a database through which millions of tasks have gone, against a fresh one; and while somebody
//! looks on from long ago, so that nothing that went since can be cleared away.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use taskyard_store::postgres::scratch;
use tokio::time::sleep;

use super::claims::claims;
use super::fill::fill;
use super::lifecycle;
use crate::bench::apart::apart;
use crate::bench::yard::Yard;
use crate::bench::{Figure, Run};

const ENDED: f64 = 5_000_000.0;
/// So many whole lives at a time go on while somebody looks on, for so long.
const CONNECTIONS: usize = 64;
const LOOKED_ON: Duration = Duration::from_mins(1);
/// How often it is looked whether all is put away.
const LOOK: Duration = Duration::from_millis(50);

pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let ended = (ENDED * run.scale) as usize;
    let fresh = run.databases.fresh().await?;
    let url = fresh.url.clone();

    let yard = Yard::over(fresh).await?;
    let mut figures = vec![claims(&yard, "W12-fresh", |_| json!({})).await?];
    put_away(&yard).await?;
    let database = yard.close().await?;

    apart(move || async move { fill(&url, ended, 1).await }).await?;
    let yard = Yard::over(database).await?;
    figures.push(claims(&yard, "W12-after", |_| json!({})).await?);
    put_away(&yard).await?;

    let onlooker = scratch::look_on(yard.database()?).await?;
    let lives = Run {
        seconds: LOOKED_ON.mul_f64(run.scale),
        ..*run
    };
    let connections = yard.connect(CONNECTIONS).await?;
    lifecycle::over(connections, &lives, &yard.mark).await?;
    figures.push(claims(&yard, "W12-held", |_| json!({})).await?);
    drop(onlooker);
    yard.stop().await?;

    for figure in &mut figures {
        figure.settings["ended"] = json!(ended);
    }
    Ok(figures)
}

/// Cancels what was claimed. Nobody ends it: it would count as lost while the next part is measured, and its tasks would be
/// given out one by one from then on.
async fn put_away(yard: &Yard) -> anyhow::Result<()> {
    let mut connection = yard.connection().await?;
    let unfinished = json!({ "status": ["pending", "assigned", "running"] });
    let cancel = json!({ "filter": unfinished }).to_string();
    let operation = connection.post("/api/v1/tasks/cancel", cancel).await?;
    let mut operation: Value = serde_json::from_slice(&operation)?;
    let path = format!(
        "/api/v1/operations/{}",
        operation["id"].as_str().unwrap_or_default()
    );
    while operation["status"] == "running" {
        sleep(LOOK).await;
        operation = connection.get(&path).await?;
    }
    let left = yard.stats().await?.by_status;
    ensure!(
        left.pending + left.assigned + left.running == 0,
        "not all is put away: {operation}"
    );
    Ok(())
}
