//! The routes of workers: a body in, the verb, a body out.

use axum::extract::{RawQuery, Request, State};
use serde_json::value::RawValue;
use taskyard_api::page::Page;
use taskyard_api::report::Report;
use taskyard_api::worker::{Claim, Heartbeat, Register};
use taskyard_core::query::{Answer as Found, Query};

use crate::app::App;
use crate::body::Whole;
use crate::problem;
use crate::query;
use crate::request::{self, OfWorker};
use crate::response::{self, Answer, Refusal};
use crate::wire;

/// `GET /workers`: all that are remembered, on one page. They are few beside tasks.
pub(crate) async fn list(State(app): State<App>, RawQuery(query): RawQuery) -> Answer {
    query::none(query.as_deref())?;
    let Found::Workers(workers) = app.engine().read(Query::Workers).await? else {
        return Err(problem::broken(&"workers were answered with something else").into());
    };
    let engine = app.engine();
    let (now, ttl) = (engine.store().now(), engine.policy().heartbeat_ttl);
    response::ok(&Page {
        items: workers
            .iter()
            .map(|view| wire::worker::worker(view, now, ttl))
            .collect(),
        next_cursor: None,
    })
}

/// `POST /workers/register`
pub(crate) async fn register(State(app): State<App>, request: Request) -> Answer {
    let body = body(&app, request, app.limits().plain_body()).await?;
    let register: Register = request::parse(&app, &body)?;
    response::created(&super::register(&app, &register, None).await?)
}

/// `POST /workers/{id}/heartbeat`
pub(crate) async fn heartbeat(
    State(app): State<App>,
    OfWorker(worker): OfWorker,
    request: Request,
) -> Answer {
    let body = body(&app, request, app.limits().bulk_max).await?;
    let heartbeat: Heartbeat<&RawValue> = request::parse(&app, &body)?;
    response::ok(&super::heartbeat(&app, &worker, &heartbeat).await?)
}

/// `POST /workers/{id}/claim`
pub(crate) async fn claim(
    State(app): State<App>,
    OfWorker(worker): OfWorker,
    request: Request,
) -> Answer {
    let body = body(&app, request, app.limits().plain_body()).await?;
    let claim: Claim = request::parse(&app, &body)?;
    response::ok(&super::claim(&app, &worker, &claim).await?)
}

/// `POST /workers/{id}/report`
pub(crate) async fn report(
    State(app): State<App>,
    OfWorker(worker): OfWorker,
    request: Request,
) -> Answer {
    let body = body(&app, request, app.limits().bulk_max).await?;
    let report: Report<&RawValue> = request::parse(&app, &body)?;
    response::ok(&super::report(&app, &worker, &report).await?)
}

async fn body(app: &App, request: Request, max: usize) -> Result<Whole, Refusal> {
    query::none(request.uri().query())?;
    request::json(app, request, max).await
}
