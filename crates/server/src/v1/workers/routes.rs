//! The routes of workers: a body in, the verb, a body out.

use axum::extract::{RawQuery, Request, State};
use axum::response::IntoResponse;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::value::RawValue;
use taskyard_api::page::Page;
use taskyard_api::report::{Called, Report};
use taskyard_api::worker::{AGAIN, Claim, Heartbeat, Register};
use taskyard_core::id::Epoch;
use taskyard_core::name::Name;
use taskyard_core::query::Query;
use taskyard_core::refused::Refused;

use super::named;
use crate::app::App;
use crate::problem::{self, Code};
use crate::query;
use crate::request::{self, OfWorker};
use crate::response::{self, Answer, Refusal};
use crate::wire;
use crate::wire::list::{LIMIT_MAX, workers_cursor};

/// What a worker takes in a list, with as many and as long kinds, queues and labels as it may have.
const WORKER_BYTES_MAX: usize = 48 << 10;

/// How many runs of one worker are shown, and what one takes.
const RUNNING_MAX: usize = LIMIT_MAX as usize;
const RUNNING_BYTES_MAX: usize = 2 << 10;

/// `GET /workers`: by name.
pub(crate) async fn list(State(app): State<App>, RawQuery(query): RawQuery) -> Answer {
    let of = app.engine().store().incarnation();
    let (limit, after) = wire::list::workers(query.as_deref(), &of)?;
    let _turn = app.turn_to_list().await;
    let mut held = app.answers().nothing();
    held.hold(limit * WORKER_BYTES_MAX)?;
    // One more shows whether there is a next page.
    let wanted = Query::Workers {
        after,
        limit: limit + 1,
    };
    let mut workers = app.engine().read(wanted).await?.workers();
    let has_next = workers.len() > limit;
    workers.truncate(limit);
    let last = workers.last().filter(|_| has_next);
    let engine = app.engine();
    let (now, ttl) = (engine.store().now(), engine.policy().heartbeat_ttl);
    let page = Page {
        items: workers
            .iter()
            .map(|view| wire::worker::worker(view, now, ttl))
            .collect(),
        next_cursor: last.map(|view| workers_cursor(&view.worker.name, &of)),
    };
    response::read(held, &page)
}

/// `GET /workers/{id}`
pub(crate) async fn show(
    State(app): State<App>,
    OfWorker(worker): OfWorker,
    RawQuery(query): RawQuery,
) -> Answer {
    query::none(query.as_deref())?;
    let worker = named(&worker)?;
    let _turn = app.turn_to_list().await;
    let mut held = app.answers().nothing();
    held.hold(WORKER_BYTES_MAX + RUNNING_MAX * RUNNING_BYTES_MAX)?;
    let engine = app.engine();
    let at_work = engine.at_work(worker, RUNNING_MAX).await?;
    let (now, ttl) = (engine.store().now(), engine.policy().heartbeat_ttl);
    response::read(held, &wire::worker::at_work(&at_work, now, ttl))
}

/// `POST /workers/{id}/drain`
pub(crate) async fn drain(
    State(app): State<App>,
    OfWorker(worker): OfWorker,
    request: Request,
) -> Answer {
    request::nothing(&app, request).await?;
    let worker = named(&worker)?;
    app.engine().drain(worker.clone()).await?;
    as_it_is(&app, worker).await
}

/// `POST /workers/{id}/kill`
pub(crate) async fn kill(
    State(app): State<App>,
    OfWorker(worker): OfWorker,
    request: Request,
) -> Answer {
    request::nothing(&app, request).await?;
    let worker = named(&worker)?;
    app.kill(worker.clone()).await?;
    as_it_is(&app, worker).await
}

async fn as_it_is(app: &App, worker: Name) -> Answer {
    let engine = app.engine();
    let at_work = engine.at_work(worker, 0).await?;
    let (now, ttl) = (engine.store().now(), engine.policy().heartbeat_ttl);
    let worker = wire::worker::worker(&at_work.view, now, ttl);
    response::done(app, StatusCode::OK, &worker)
}

/// `DELETE /workers/{id}`
pub(crate) async fn delete(
    State(app): State<App>,
    OfWorker(worker): OfWorker,
    RawQuery(query): RawQuery,
) -> Answer {
    query::none(query.as_deref())?;
    app.engine().forget(named(&worker)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /workers/register`
pub(crate) async fn register(State(app): State<App>, request: Request) -> Answer {
    let body = request::json_alone(&app, request, app.limits().plain_body()).await?;
    let register: Register = request::parse(&app, &body)?;
    response::created(&super::register(&app, &register, None).await?)
}

/// `POST /workers/{id}/heartbeat`
pub(crate) async fn heartbeat(
    State(app): State<App>,
    OfWorker(worker): OfWorker,
    request: Request,
) -> Answer {
    let body = request::json_alone(&app, request, app.limits().bulk_max).await?;
    let heartbeat: Heartbeat<&RawValue> = request::parse(&app, &body)?;
    comes_from_outside(&app, &worker, heartbeat.epoch).await?;
    let heard = super::heartbeat(&app, &worker, &heartbeat).await?;
    response::done(&app, StatusCode::OK, &heard)
}

/// `POST /workers/{id}/claim`
pub(crate) async fn claim(
    State(app): State<App>,
    OfWorker(worker): OfWorker,
    request: Request,
) -> Answer {
    let again = is_again(request.headers())?;
    let body = request::json_alone(&app, request, app.limits().plain_body()).await?;
    let claim = Claim {
        again,
        ..request::parse(&app, &body)?
    };
    // It lies in its connection's buffer, which is held for nothing while the claim waits.
    drop(body);
    comes_from_outside(&app, &worker, claim.epoch).await?;
    // Once tasks are taken it is too late to refuse.
    app.answers().has_room()?;
    let told = |claimed: &_| response::written(&app, StatusCode::OK, claimed);
    Ok(super::claim(&app, &worker, &claim, told).await?)
}

/// `POST /workers/{id}/report`
pub(crate) async fn report(
    State(app): State<App>,
    OfWorker(worker): OfWorker,
    request: Request,
) -> Answer {
    let again = is_again(request.headers())?;
    let body = request::json_alone(&app, request, app.limits().bulk_max).await?;
    let mut report: Report<&RawValue, Called> = request::parse(&app, &body)?;
    if let Some(claim) = &mut report.claim {
        claim.again = again;
    }
    comes_from_outside(&app, &worker, report.epoch).await?;
    // The results are taken whatever room there is; only the claim is not served.
    if app.answers().has_room().is_err() {
        report.claim = None;
    }
    let told = |reported: &_| response::written(&app, StatusCode::OK, reported);
    Ok(super::report(&app, &worker, &report, told).await?)
}

/// Whether a claim may have reached a server before, as whoever sends it says.
fn is_again(headers: &HeaderMap) -> Result<bool, Refusal> {
    match headers.get(AGAIN).map(HeaderValue::as_bytes) {
        None | Some(b"false") => Ok(false),
        Some(b"true") => Ok(true),
        Some(_) => Err(problem::at(Code::Invalid, "X-Again", "must be true or false").into()),
    }
}

/// Workers inside of servers call without HTTP, so whoever calls over it under the name of one is somebody else, and would
/// take its tasks. One that had the name before, and says so by its epoch, is told that it was replaced.
async fn comes_from_outside(app: &App, worker: &str, epoch: Option<u32>) -> Result<(), Refusal> {
    let Ok(name) = Name::plain(worker) else {
        return Ok(());
    };
    let epoch = epoch.and_then(|epoch| i32::try_from(epoch).ok()).map(Epoch);
    if app.engine().is_internal(&name, epoch).await? {
        let why = Refused::WorkerIsInternal.to_string();
        return Err(problem::at(Code::WorkerIsInternal, "id", why).into());
    }
    Ok(())
}
