//! What a claim costs in a database through which millions of tasks have gone, against a fresh one; and while somebody
//! looks on from long ago, so that nothing that went since can be cleared away.

use std::time::Duration;

use serde_json::json;
use taskyard_store::postgres::scratch;

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

pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let ended = (ENDED * run.scale) as usize;
    let fresh = run.databases.fresh().await?;
    let url = fresh.url.clone();

    let yard = Yard::over(fresh).await?;
    let mut figures = vec![claims(&yard, "W12-fresh", |_| json!({})).await?];
    let database = yard.close().await?;

    apart(move || async move { fill(&url, ended, 1).await }).await?;
    let yard = Yard::over(database).await?;
    figures.push(claims(&yard, "W12-after", |_| json!({})).await?);

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
