//! Whole lives of tasks, one by one: what plain HTTP callers do.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::bench::http::Connection;
use crate::bench::load::{Pace, closed_loop};
use crate::bench::mark::Mark;
use crate::bench::yard::Yard;
use crate::bench::{Figure, Run};

/// What is read of a claim's answer.
#[derive(Deserialize)]
struct Claimed<'a> {
    #[serde(borrow)]
    tasks: Vec<Taken<'a>>,
}

#[derive(Deserialize)]
struct Taken<'a> {
    id: &'a str,
    lease_token: &'a str,
    #[serde(rename = "input", borrow)]
    _input: &'a RawValue,
}

pub(super) async fn measure(
    run: &Run<'_>,
    workload: &'static str,
    callers: usize,
) -> anyhow::Result<Vec<Figure>> {
    let yard = Yard::start(run).await?;
    let pace = over(yard.connect(callers).await?, run, &yard.mark).await?;
    let settings = yard.settings(json!({ "connections": callers }));
    yard.stop().await?;
    Ok(vec![Figure {
        workload,
        value: pace.per_second(),
        unit: "tasks/s",
        settings,
    }])
}

/// Each of these connections is a worker that submits what it claims.
pub(super) async fn over(
    mut connections: Vec<Connection>,
    run: &Run<'_>,
    mark: &Mark,
) -> anyhow::Result<Pace> {
    for (number, connection) in connections.iter_mut().enumerate() {
        let register = mark.worker(&format!("bench-{number}"), json!({}));
        connection
            .post("/api/v1/workers/register", register)
            .await?;
    }
    let body = mark.task(json!({})).to_string();
    closed_loop(connections, run.seconds, move |number, connection| {
        one_life(number, connection, body.clone())
    })
    .await
}

async fn one_life(
    number: usize,
    mut connection: Connection,
    body: String,
) -> anyhow::Result<(Connection, u64)> {
    connection.post("/api/v1/tasks", body).await?;
    let path = format!("/api/v1/workers/bench-{number}/claim");
    let answer = connection
        .post(&path, r#"{"limit":1,"wait_ms":1000,"begin":true}"#)
        .await?;
    let claimed: Claimed<'_> = serde_json::from_slice(&answer)?;
    let Some(run) = claimed.tasks.first() else {
        return Ok((connection, 0));
    };
    let path = format!("/api/v1/tasks/{}/complete", run.id);
    let complete = format!(
        r#"{{"lease_token":"{}","output":{{"ok":true}}}}"#,
        run.lease_token
    );
    connection.post(&path, complete).await?;
    Ok((connection, 1))
}
