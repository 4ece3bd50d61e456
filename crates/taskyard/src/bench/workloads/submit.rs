//! Submits alone.

use bytes::Bytes;
use serde_json::json;

use crate::bench::http::Connection;
use crate::bench::load::{Pace, closed_loop};
use crate::bench::mark::Mark;
use crate::bench::yard::{BATCH, BATCH_CONNECTIONS, Yard};
use crate::bench::{Figure, Run};

pub(super) async fn one_by_one(
    run: &Run<'_>,
    workload: &'static str,
    connections: usize,
) -> anyhow::Result<Vec<Figure>> {
    let body = |mark: &Mark| mark.task(json!({})).to_string().into();
    submits(run, workload, connections, "/api/v1/tasks", body, 1).await
}

pub(super) async fn in_bulk(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let body = |mark: &Mark| mark.batch((0..BATCH).map(|_| json!({})));
    submits(
        run,
        "W1-bulk",
        BATCH_CONNECTIONS,
        "/api/v1/tasks/batch",
        body,
        BATCH as u64,
    )
    .await
}

async fn submits(
    run: &Run<'_>,
    workload: &'static str,
    connections: usize,
    path: &'static str,
    body: impl Fn(&Mark) -> Bytes,
    tasks: u64,
) -> anyhow::Result<Vec<Figure>> {
    let yard = Yard::start(run).await?;
    let body = body(&yard.mark);
    let pace = over(yard.connect(connections).await?, run, path, body, tasks).await?;
    let settings = yard.settings(json!({ "connections": connections, "tasks_a_call": tasks }));
    yard.stop().await?;
    Ok(vec![Figure {
        workload,
        value: pace.per_second(),
        unit: "tasks/s",
        settings,
    }])
}

/// Each of these connections posts this, which submits so many tasks, over and over.
pub(super) async fn over(
    connections: Vec<Connection>,
    run: &Run<'_>,
    path: &'static str,
    body: Bytes,
    tasks: u64,
) -> anyhow::Result<Pace> {
    closed_loop(connections, run.seconds, move |_, mut connection| {
        let body = body.clone();
        async move {
            connection.post(path, body).await?;
            Ok((connection, tasks))
        }
    })
    .await
}
