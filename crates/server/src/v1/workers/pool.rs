//! `/workers/internal`: the workers inside of the server that answers.

use std::sync::Arc;

use axum::extract::{RawQuery, Request, State};
use serde_json::{Value, json};
use taskyard_api::pool::{Pool, PoolWorker, Scale};
use taskyard_engine::pool::{COUNT_MAX, InternalPool, PoolStatus};

use crate::app::App;
use crate::openapi::operation::Routes;
use crate::problem::{self, Code};
use crate::query;
use crate::request;
use crate::response::{self, Answer, Refusal};
use crate::wire::faults::{Faults, Place};

/// `GET /workers/internal/status`
pub(crate) async fn status(State(app): State<App>, RawQuery(query): RawQuery) -> Answer {
    query::none(query.as_deref())?;
    as_it_is(pool(&app)?.status().await)
}

/// `POST /workers/internal/scale`
pub(crate) async fn scale(State(app): State<App>, request: Request) -> Answer {
    let body = request::json_alone(&app, request, app.limits().plain_body()).await?;
    let asked: Scale = request::parse(&app, &body)?;
    let mut faults = Faults::default();
    let count = faults.ranged(Place::ROOT, "count", asked.count, 0..=i64::from(COUNT_MAX));
    faults.check()?;
    let count = u16::try_from(count).unwrap_or(COUNT_MAX);
    as_it_is(pool(&app)?.scale(count).await)
}

/// `POST /workers/internal/start`
pub(crate) async fn start(State(app): State<App>, request: Request) -> Answer {
    request::nothing(&app, request).await?;
    as_it_is(pool(&app)?.start().await)
}

/// `POST /workers/internal/stop`
pub(crate) async fn stop(State(app): State<App>, request: Request) -> Answer {
    request::nothing(&app, request).await?;
    as_it_is(pool(&app)?.stop().await)
}

fn pool(app: &App) -> Result<&Arc<dyn InternalPool>, Refusal> {
    let none = "this server has no internal workers, nor can it have any";
    let pool = app.pool();
    pool.ok_or_else(|| problem::new(Code::NotFound, none).into())
}

fn as_it_is(status: PoolStatus) -> Answer {
    let worker = |worker: taskyard_engine::pool::PoolWorker| PoolWorker {
        worker_id: worker.name.to_string(),
        draining: worker.is_draining,
    };
    response::ok(&Pool {
        desired: status.desired.into(),
        running: status.running.into(),
        workers: status.workers.into_iter().map(worker).collect(),
    })
}

pub(super) fn describe(routes: &mut Routes<'_>) {
    routes
        .get("/workers/internal/status", "show_pool")
        .says(
            "Show the internal workers of this server",
            "How many there should be, how many take tasks, and who is there. Each server has its own.",
        )
        .answers::<Pool>(200, "As they are.", &example(2))
        .refuses(&[Code::NotFound]);
    routes
        .post("/workers/internal/scale", "scale_pool")
        .says(
            "Set how many internal workers this server has",
            "More begin at once; those that are too many finish what they hold and leave. While they are stopped it is \
             what `start` brings.",
        )
        .takes::<Scale>(&[("two", json!({"count": 2}))])
        .answers::<Pool>(200, "As they are now.", &example(2))
        .refuses(&[Code::NotFound]);
    routes
        .post("/workers/internal/start", "start_pool")
        .says(
            "Start the internal workers of this server",
            "As many as there should be, where they were stopped.",
        )
        .takes_nothing()
        .answers::<Pool>(200, "As they are now.", &example(2))
        .refuses(&[Code::NotFound]);
    routes
        .post("/workers/internal/stop", "stop_pool")
        .says(
            "Stop the internal workers of this server",
            "They finish what they hold and leave. How many there should be is kept for `start`.",
        )
        .takes_nothing()
        .answers::<Pool>(200, "As they are now.", &example(0))
        .refuses(&[Code::NotFound]);
}

fn example(running: u32) -> Value {
    let workers: Vec<Value> = (1..=running)
        .map(|number| json!({"worker_id": format!("worker-{number}"), "draining": false}))
        .collect();
    json!({"desired": 2, "running": running, "workers": workers})
}
