//! `/workers`: signs of life, and how many give them.

use axum::extract::State;
use serde::Serialize;
use taskyard_api::time::Time;
use taskyard_core::query::Query;
use taskyard_core::verbs::heartbeat::{Heartbeat, Held};
use utoipa::ToSchema;

use crate::app::App;
use crate::dialects::{Caller, worker_name};
use crate::request::OfWorker;
use crate::response::{self, Answer};

/// The answer to a heartbeat.
#[derive(Serialize, ToSchema)]
pub(crate) struct SimpleHeartbeat {
    /// `ok`.
    status: &'static str,
    worker_id: String,
    last_heartbeat: Time,
    /// There while the worker drains: it gets nothing more, and may complete what it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    drain: Option<bool>,
}

/// How many workers are active.
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkerCount {
    count: u64,
}

/// `POST /workers/{id}/heartbeat`: known from the first one on. It speaks for all that its worker has, so each lease is
/// named in its place.
pub(crate) async fn heartbeat(State(app): State<App>, OfWorker(worker_id): OfWorker) -> Answer {
    let worker = Caller::met(&app, worker_name(&worker_id)?).await?;
    let holdings = Query::Holdings {
        worker: Some(worker.number),
        limit: app.limits().tasks_max,
    };
    let holdings = app.engine().read(holdings).await?.holdings();
    let its = holdings
        .iter()
        .filter(|holding| holding.by.1 == worker.epoch);
    let held = its.map(|holding| Held {
        token: holding.token,
        running: false,
        progress: None,
        checkpoint: None,
    });
    let now = app.engine().store().now();
    let heartbeat = Heartbeat {
        worker: worker.name,
        epoch: Some(worker.epoch),
        held: held.collect(),
        leaves: false,
    };
    let beaten = app.engine().heartbeat(heartbeat).await?;
    response::ok(&SimpleHeartbeat {
        status: "ok",
        worker_id,
        last_heartbeat: now.into(),
        drain: beaten.drain.then_some(true),
    })
}

/// `GET /workers/count`: those that were heard of lately.
pub(crate) async fn count(State(app): State<App>) -> Answer {
    let now = app.engine().store().now();
    let counts = app
        .engine()
        .read(Query::WorkerCounts(now))
        .await?
        .worker_counts();
    response::ok(&WorkerCount {
        count: u64::try_from(counts.online).unwrap_or_default(),
    })
}
