//! Two servers on one database, against one: the same load, all of it at one server or half at each.

use serde_json::json;

use super::drain::{self, drain_at};
use super::latency::{self, at, until_start};
use super::{lifecycle, submit};
use crate::bench::http::Connection;
use crate::bench::yard::{Beside, Yard};
use crate::bench::{Figure, Run};

const CONNECTIONS: usize = 64;

pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let mut figures = submits(run).await?;
    figures.extend(lives(run).await?);
    figures.extend(drains(run).await?);
    figures.extend(hops(run).await?);
    Ok(figures)
}

async fn submits(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (workload, servers) in [("W10-submit-one", 1), ("W10-submit-two", 2)] {
        let place = Place::start(run, servers).await?;
        let body = place.yard.mark.task(json!({})).to_string().into();
        let connections = place.connect(CONNECTIONS).await?;
        let pace = submit::over(connections, run, "/api/v1/tasks", body, 1).await?;
        figures.push(place.figure(workload, pace.per_second(), "connections", CONNECTIONS));
        place.stop().await?;
    }
    Ok(figures)
}

async fn lives(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (workload, servers) in [("W10-lives-one", 1), ("W10-lives-two", 2)] {
        let place = Place::start(run, servers).await?;
        let connections = place.connect(CONNECTIONS).await?;
        let pace = lifecycle::over(connections, run, &place.yard.mark).await?;
        figures.push(place.figure(workload, pace.per_second(), "connections", CONNECTIONS));
        place.stop().await?;
    }
    Ok(figures)
}

/// Two workers, whose servers are the same one or two.
async fn drains(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let tasks = drain::tasks(run);
    let mut figures = Vec::new();
    for (workload, servers) in [("W10-drain-one", 1), ("W10-drain-two", 2)] {
        let place = Place::start(run, servers).await?;
        place.yard.fill(tasks, |_| json!({})).await?;
        let near = &place.yard.peer;
        let far = place.beside.as_ref().map_or(near, |beside| &beside.peer);
        let took = drain_at(&place.yard, &[near, far], tasks).await?;
        let pace = tasks as f64 / took.as_secs_f64();
        figures.push(place.figure(workload, pace, "tasks", tasks));
        place.stop().await?;
    }
    Ok(figures)
}

/// From a submit at one server to a worker that waits at the other having the task in hand, on an idle system.
async fn hops(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let place = Place::start(run, 2).await?;
    let submitter = place.yard.connection().await?;
    let claimer = place.connect(2).await?.remove(1);
    let mut times = until_start(submitter, claimer, &place.yard.mark).await?;
    let figures = [("W10-hop-p50", 0.5), ("W10-hop-p99", 0.99)].map(|(workload, share)| Figure {
        unit: "ms",
        ..place.figure(workload, at(&mut times, share), "tasks", latency::TASKS)
    });
    place.stop().await?;
    Ok(figures.into())
}

/// One server, or two.
struct Place {
    yard: Yard,
    beside: Option<Beside>,
}

impl Place {
    async fn start(run: &Run<'_>, servers: usize) -> anyhow::Result<Self> {
        let yard = Yard::start(run).await?;
        let beside = match servers {
            1 => None,
            _ => Some(yard.beside().await?),
        };
        Ok(Self { yard, beside })
    }

    /// So many in all: the first half at the one, the rest at the other, if there is one.
    async fn connect(&self, count: usize) -> anyhow::Result<Vec<Connection>> {
        let Some(beside) = &self.beside else {
            return self.yard.connect(count).await;
        };
        let mut connections = self.yard.connect(count / 2).await?;
        connections.extend(beside.connect(count - count / 2).await?);
        Ok(connections)
    }

    fn figure(&self, workload: &'static str, value: f64, what: &str, count: usize) -> Figure {
        let servers = 1 + usize::from(self.beside.is_some());
        Figure {
            workload,
            value,
            unit: "tasks/s",
            settings: self
                .yard
                .settings(json!({ "servers": servers, what: count })),
        }
    }

    async fn stop(self) -> anyhow::Result<()> {
        if let Some(beside) = self.beside {
            beside.stop().await?;
        }
        self.yard.stop().await
    }
}
