//! Reads beside ten million finished and a million waiting tasks, as whoever asks over HTTP waits for them; and what a bulk
//! act does with those that wait, and to the claims beside it.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::fill::{Filled, LONG_AGO, RARE, fill, worker};
use crate::bench::apart::apart;
use crate::bench::http::Connection;
use crate::bench::yard::Yard;
use crate::bench::{Figure, Run};

const FINISHED: f64 = 10_000_000.0;
const WAITING: f64 = 1_000_000.0;
/// How often each is read.
const READS: usize = 200;
/// So many claims are made between two looks at the operation.
const CLAIMS: usize = 20;
/// Before it, to compare with.
const CLAIMS_ALONE: usize = 2000;

pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let [finished, waiting] = [FINISHED, WAITING].map(|tasks| (tasks * run.scale) as usize);
    let fresh = run.databases.fresh().await?;
    let url = fresh.url.clone();
    let begun = Instant::now();
    let filled = apart(move || async move { fill(&url, finished, waiting).await }).await?;
    let took = begun.elapsed();

    let yard = Yard::over(fresh).await?;
    let settings = yard.settings(json!({ "finished": finished, "waiting": waiting }));
    let figure = |workload, value, unit, more: Value| {
        let mut settings = settings.clone();
        if let (Value::Object(settings), Value::Object(more)) = (&mut settings, more) {
            settings.extend(more);
        }
        Figure {
            workload,
            value,
            unit,
            settings,
        }
    };
    let pace = (finished + waiting) as f64 / took.as_secs_f64();
    let mut figures = vec![figure("W9-fill", pace, "tasks/s", json!({}))];
    let mut connection = yard.connection().await?;
    for (workload, path) in reads(&filled) {
        let (times, found) = read(&mut connection, &path).await?;
        let more = json!({ "path": path, "found": found, "p50_ms": times.at(0.5) });
        figures.push(figure(workload, times.at(0.99), "ms", more));
    }

    let mut claims = Claims::begin(&yard).await?;
    claims.make(CLAIMS_ALONE).await?;
    let alone = claims.take();
    let begun = Instant::now();
    let cancel = json!({ "filter": { "status": ["pending"] } }).to_string();
    let operation = connection.post("/api/v1/tasks/cancel", cancel).await?;
    let operation: Value = serde_json::from_slice(&operation)?;
    let path = format!("/api/v1/operations/{}", text(&operation["id"])?);
    let done = loop {
        claims.make(CLAIMS).await?;
        let now: Value = connection.get(&path).await?;
        if now["status"] != "running" {
            break now["done"].clone();
        }
    };
    let took = begun.elapsed().as_secs_f64();
    let beside = claims.take();
    let (times, _) = read(&mut connection, &path).await?;
    figures.push(figure(
        "W9-operation",
        times.at(0.99),
        "ms",
        json!({ "p50_ms": times.at(0.5) }),
    ));
    figures.push(figure("W9-cancel", took, "s", json!({ "done": done })));
    for (workload, times) in [("W9-claim-alone", alone), ("W9-claim-beside", beside)] {
        let more = json!({ "p50_ms": times.at(0.5), "claims": times.0.len() });
        figures.push(figure(workload, times.at(0.99), "ms", more));
    }
    yard.stop().await?;
    Ok(figures)
}

/// What is asked for, and by which name.
fn reads(filled: &Filled) -> Vec<(&'static str, String)> {
    let [ended, waits] = [filled.ended, filled.waits].map(|id| id.to_string());
    let worker = |number, more: &str| format!("worker_id={}{more}", worker(number));
    let lists = [
        ("W9-list-all", String::new()),
        ("W9-list-oldest", "sort=created".to_owned()),
        ("W9-list-pending", "status=pending".to_owned()),
        (
            "W9-list-pending-oldest",
            "status=pending&sort=created".to_owned(),
        ),
        ("W9-list-completed", "status=completed".to_owned()),
        ("W9-list-failed", "status=failed".to_owned()),
        ("W9-list-running", "status=running".to_owned()),
        ("W9-list-cancelled", "status=cancelled".to_owned()),
        ("W9-list-queue", "queue=images".to_owned()),
        ("W9-list-kind", "kind=resize".to_owned()),
        ("W9-list-kind-rare", "kind=rare".to_owned()),
        ("W9-list-kind-unknown", "kind=unknown".to_owned()),
        (
            "W9-list-pending-kind",
            "status=pending&kind=resize".to_owned(),
        ),
        (
            "W9-list-pending-rare",
            "status=pending&kind=rare".to_owned(),
        ),
        (
            "W9-list-completed-kind",
            "status=completed&kind=kind-7".to_owned(),
        ),
        (
            "W9-list-failed-queue",
            "status=failed&queue=images".to_owned(),
        ),
        ("W9-list-failed-rare", "status=failed&kind=rare".to_owned()),
        ("W9-list-worker", worker(1, "")),
        ("W9-list-worker-oldest", worker(1, "&sort=created")),
        ("W9-list-worker-long-ago", worker(LONG_AGO, "")),
        ("W9-list-worker-rare", worker(RARE, "")),
        ("W9-list-worker-failed", worker(1, "&status=failed")),
        ("W9-list-worker-kind", worker(1, "&kind=kind-7")),
        ("W9-list-label", "label=customer=77".to_owned()),
        ("W9-list-words", "q=resize+nowhere".to_owned()),
        ("W9-list-id", format!("q={}", &ended[..13])),
    ];
    let lists = lists.map(|(workload, query)| (workload, format!("/api/v1/tasks?{query}")));
    let others = [
        ("W9-task", format!("/api/v1/tasks/{ended}")),
        ("W9-explain-ended", format!("/api/v1/tasks/{ended}/explain")),
        ("W9-explain-waits", format!("/api/v1/tasks/{waits}/explain")),
        ("W9-stats", "/api/v1/tasks/stats".to_owned()),
    ];
    lists.into_iter().chain(others).collect()
}

/// Milliseconds, the shortest first.
struct Times(Vec<f64>);

impl Times {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_unstable_by(f64::total_cmp);
        Self(times)
    }

    fn at(&self, share: f64) -> f64 {
        let place = (self.0.len().saturating_sub(1)) as f64 * share;
        let time = self.0.get(place.round() as usize).copied();
        (time.unwrap_or_default() * 1000.0).round() / 1000.0
    }
}

/// How long it took each time, and how many tasks came, where it is a list.
async fn read(connection: &mut Connection, path: &str) -> anyhow::Result<(Times, Value)> {
    let mut times = Vec::with_capacity(READS);
    let mut body = connection.read(path).await?;
    for _ in 0..READS {
        let begun = Instant::now();
        body = connection.read(path).await?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    let answer: Value = serde_json::from_slice(&body)?;
    let found = answer["items"].as_array().map(Vec::len);
    Ok((Times::of(times), json!(found)))
}

/// One worker that takes a task at a time and hands in the one before.
struct Claims {
    connection: Connection,
    times: Vec<f64>,
}

const CLAIM: &str = "/api/v1/workers/claimer/claim";
const REPORT: &str = "/api/v1/workers/claimer/report";

impl Claims {
    async fn begin(yard: &Yard) -> anyhow::Result<Self> {
        let mut connection = yard.connection().await?;
        let register = json!({ "worker_id": "claimer", "kinds": ["*"] }).to_string();
        connection
            .post("/api/v1/workers/register", register)
            .await?;
        Ok(Self {
            connection,
            times: Vec::new(),
        })
    }

    async fn make(&mut self, claims: usize) -> anyhow::Result<()> {
        for _ in 0..claims {
            let begun = Instant::now();
            let claimed = self.connection.post(CLAIM, r#"{"limit":1}"#).await?;
            self.times.push(begun.elapsed().as_secs_f64() * 1000.0);
            let claimed: Value = serde_json::from_slice(&claimed)?;
            let runs = claimed["tasks"].as_array().into_iter().flatten();
            let results: Vec<Value> = runs
                .map(|run| {
                    json!({
                        "task_id": run["id"],
                        "lease_token": run["lease_token"],
                        "outcome": "completed",
                        "output": null,
                    })
                })
                .collect();
            if !results.is_empty() {
                let report = json!({ "results": results }).to_string();
                self.connection.post(REPORT, report).await?;
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Times {
        Times::of(std::mem::take(&mut self.times))
    }
}

fn text(value: &Value) -> anyhow::Result<&str> {
    value
        .as_str()
        .ok_or_else(|| anyhow::anyhow!("no text: {value}"))
}
