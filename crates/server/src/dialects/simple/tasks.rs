//! `/tasks/{id}`: looking, and what a worker does with one.

use std::time::Duration;

use axum::extract::{Request, State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use taskyard_core::id::{SlotKey, TaskId};
use taskyard_core::json::Json;
use taskyard_core::query::{Holder, Query, Standing};
use taskyard_core::refused::Refused;
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::Named;
use taskyard_core::verbs::held::Token;
use taskyard_core::verbs::report::{Report, RunResult, Word};
use taskyard_engine::engine::{ClaimCall, Claimed, Told};
use utoipa::ToSchema;

use super::task::SimpleTask;
use crate::app::App;
use crate::dialects::{Caller, look, there, worker_name};
use crate::problem::{self, Code};
use crate::request::{self, OfTask};
use crate::response::{self, Answer, Refusal};
use crate::wire::faults::{Faults, Place};

/// A body of `POST /tasks/{id}/claim`.
#[derive(Deserialize, ToSchema)]
pub(crate) struct SimpleClaim {
    /// Who takes the task. 1–64 of `A–Z a–z 0–9 . _ -`.
    worker_id: String,
}

/// A body of `POST /tasks/{id}/complete`.
#[derive(Deserialize)]
struct Complete<'a> {
    worker_id: String,
    #[serde(borrow, default, deserialize_with = "there")]
    result: Option<&'a RawValue>,
}

/// The same, for its description.
#[derive(Deserialize, ToSchema)]
pub(crate) struct SimpleComplete<P> {
    /// Who has the task. 1–64 of `A–Z a–z 0–9 . _ -`.
    #[expect(dead_code, reason = "it is described, and read where it is borrowed")]
    worker_id: String,
    /// What came of it; any JSON of up to `--output-max` (8 MiB) and `--depth-max` (64) levels. Default null.
    #[expect(dead_code, reason = "the same")]
    result: Option<P>,
}

impl taskyard_api::request::Request for SimpleClaim {
    const LEVELS: usize = 1;
}

impl taskyard_api::request::Request for Complete<'_> {
    const LEVELS: usize = 1;
}

/// `GET /tasks/{id}`
pub(crate) async fn show(State(app): State<App>, OfTask(id): OfTask) -> Answer {
    let view = look(&app, id).await?;
    response::shown(&app, app.answers().nothing(), SimpleTask::new(&view))
}

/// `POST /tasks/{id}/claim`: a claim that names its task, and counts as the begin of its run.
pub(crate) async fn claim(State(app): State<App>, OfTask(id): OfTask, request: Request) -> Answer {
    let body = request::json(&app, request, app.limits().plain_body()).await?;
    let claim: SimpleClaim = request::parse(&app, &body)?;
    // Once it is taken it is too late to refuse.
    app.answers().has_room()?;
    let name = worker_name(&claim.worker_id)?;
    let task = look(&app, id).await?;
    // Before whoever asks is known from here on: what is refused leaves nobody behind.
    if task.status() != Status::Pending {
        return Err(problem::refused(&Refused::NotClaimable).into());
    }
    let worker = Caller::met(&app, name).await?;
    let claimed = app.engine().claim(ClaimCall {
        worker: worker.name,
        epoch: None,
        task: Some(Named {
            task: id,
            lane: task.lane,
        }),
        limit: 1,
        wait: Duration::ZERO,
        begin: true,
        seq: 0,
        again: false,
    });
    let claimed = claimed.await?;
    if claimed.hand().runs.is_empty() {
        return Err(problem::refused(&Refused::NotClaimable).into());
    }
    let view = look(&app, id).await?;
    tell(&app, claimed, &SimpleTask::new(&view)).await
}

/// A task that is damaged is nobody's to take: it fails.
async fn tell(app: &App, claimed: Claimed, task: &SimpleTask) -> Answer {
    let told = claimed.tell_as(|_| response::written(app, StatusCode::OK, task));
    match told
        .await
        .map_err(|unwritten| problem::broken(&unwritten))?
    {
        Told::Heard(answer) => Ok(answer),
        Told::AllEnded(_) => {
            let detail = "what the database holds of this task is damaged and no JSON any more: it has failed";
            Err(problem::new(Code::NotClaimable, detail).into())
        }
        Told::NotEnded(error) => Err(error.into()),
    }
}

/// `POST /tasks/{id}/complete`: the ordinary report, with the token of the lease that this worker has on the task now.
pub(crate) async fn complete(
    State(app): State<App>,
    OfTask(id): OfTask,
    request: Request,
) -> Answer {
    let body = request::json(&app, request, app.limits().output_body()).await?;
    let (worker_id, output) = {
        let complete: Complete<'_> = request::parse(&app, &body)?;
        let result = complete.result;
        let mut faults = Faults::default();
        let length = result.map_or(0, |result| result.get().len());
        faults.size(Place::ROOT, "result", length, app.limits().output_max);
        faults.check()?;
        let output = result.map_or_else(Json::null, |result| Json::stored(result.get()));
        (complete.worker_id, output)
    };
    let worker = Caller::known(&app, worker_name(&worker_id)?).await?;
    let Some(worker) = worker else {
        // Before it is said that such a worker has nothing: there may be no such task.
        look(&app, id).await?;
        return Err(not_held(&worker_id));
    };
    let token = match held_by(&app, id, &worker).await {
        Ok(token) => token,
        Err(refusal) => {
            keep_late(&app, id, worker, output).await?;
            return Err(refusal);
        }
    };
    let report = Report {
        worker: Some((worker.name, Some(worker.epoch))),
        results: [RunResult::new(token, Word::Completed { output }, None)].into(),
    };
    let reported = app.engine().report(report).await?.results.pop();
    reported
        .ok_or_else(|| problem::broken(&"a result was not answered"))?
        .map_err(|refused| problem::refused(&refused))?;
    let view = look(&app, id).await?;
    response::done_and_shown(&app, StatusCode::OK, SimpleTask::new(&view))
}

/// Has what came too late kept beside the run that it is of: the last one that this worker had. Where it had none, or ended
/// the task with just this result, there is nothing to keep.
async fn keep_late(app: &App, id: TaskId, worker: Caller, output: Json) -> Result<(), Refusal> {
    let attempts = Query::Attempts {
        task: id,
        detail_max: 0,
    };
    let attempts = app.engine().read(attempts).await?.attempts();
    let runs = attempts.ended.iter().map(|(attempt, _)| attempt);
    let before = runs.filter(|run| run.worker == worker.number);
    let before = before.map(|run| run.run.fence);
    let last = match look(app, id).await?.standing {
        Standing::Ended(outcome) if outcome.worker == Some(worker.number) => Some(outcome.fence),
        Standing::Ended(_) | Standing::Scheduled(_) | Standing::Ready | Standing::Leased(_) => None,
    };
    let Some(fence) = before.chain(last).max() else {
        return Ok(());
    };
    // The lease is gone, and its secret with it: what this names is refused, and kept for being so.
    let token = Token {
        slot: SlotKey::only(id),
        fence,
        secret: 0,
    };
    let report = Report {
        worker: Some((worker.name, Some(worker.epoch))),
        results: [RunResult::new(token, Word::Completed { output }, None)].into(),
    };
    app.engine().report(report).await?;
    Ok(())
}

/// The token of this worker's current lease on the task.
async fn held_by(app: &App, id: TaskId, worker: &Caller) -> Result<Token, Refusal> {
    let holder = app.engine().read(Query::Holder(id)).await?.holder();
    match holder {
        None => Err(problem::refused(&Refused::NoSuchTask).into()),
        Some(Holder::Ended(status)) => Err(problem::refused(&Refused::AlreadyEnded(status)).into()),
        Some(Holder::Worker(held)) if held.by == (worker.number, worker.epoch) => Ok(Token {
            slot: SlotKey::only(id),
            fence: held.fence,
            secret: held.secret,
        }),
        Some(Holder::Nobody | Holder::Worker(_)) => Err(not_held(worker.name.as_str())),
    }
}

fn not_held(worker_id: &str) -> Refusal {
    let detail = format!("worker {worker_id} does not have this task, or has it no more");
    problem::new(Code::StaleLease, detail).into()
}
