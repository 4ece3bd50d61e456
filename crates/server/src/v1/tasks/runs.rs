//! What a worker says of one run, on the routes of its task.

use std::time::Duration;

use axum::extract::{Request, State};
use serde_json::value::RawValue;
use taskyard_api::problem::Problem;
use taskyard_api::report::{RunResult, Said};
use taskyard_api::run::{Complete, Fail, Release, Renewed, ReportProgress, Snooze, Start, Started};
use taskyard_api::task::{Standing, Status};
use taskyard_api::worker::Held;
use taskyard_core::id::TaskId;
use taskyard_core::query::Standing as Stands;
use taskyard_core::refused::Refused;
use taskyard_core::status;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs;
use taskyard_core::verbs::report::Report;

use crate::app::App;
use crate::problem;
use crate::request::{self, OfTask};
use crate::response::{self, Answer};
use crate::token;
use crate::wire;
use crate::wire::faults::{Faults, Place};
use crate::wire::payload::Source;

/// `POST /tasks/{id}/start`
pub(crate) async fn start(
    State(app): State<App>,
    OfTask(task): OfTask,
    request: Request,
) -> Answer {
    let body = request::json_alone(&app, request, app.limits().plain_body()).await?;
    let start: Start = request::parse(&app, &body)?;
    response::ok(&begin(&app, task, &start).await?)
}

/// The run began.
pub async fn begin(app: &App, task: TaskId, start: &Start) -> Result<Started, Box<Problem>> {
    let begun = verbs::start::Start {
        token: token::read(
            &start.lease_token,
            task,
            &app.engine().store().incarnation(),
        ),
        started_at: start.started_at.map(Timestamp::from),
    };
    let started = app.engine().start_run(begun).await;
    let started = started.map_err(|error| problem::of(&error))?;
    Ok(Started {
        task_id: task,
        status: Status::Running,
        started_at: started.started_at.into(),
        lease_expires_at: started.expires_at.into(),
    })
}

/// `POST /tasks/{id}/progress`: that the run began, and a heartbeat of its worker that names this run alone.
pub(crate) async fn progress(
    State(app): State<App>,
    OfTask(task): OfTask,
    request: Request,
) -> Answer {
    let body = request::json_alone(&app, request, app.limits().checkpoint_body()).await?;
    let news: ReportProgress<&RawValue> = request::parse(&app, &body)?;
    let held = Held {
        task_id: task,
        lease_token: news.lease_token,
        running: true,
        progress: news.progress,
        checkpoint: news.checkpoint,
    };
    let mut faults = Faults::default();
    let held = wire::worker::held(&app, &held, Place::ROOT, &mut faults);
    faults.check()?;
    let held = held.expect("what is not made has its fault named");
    // The token is judged first, and under the lock: of a guessed one nothing may come, least of all a sign of life.
    let begun = verbs::start::Start {
        token: held.token,
        started_at: None,
    };
    let (_, epoch) = app.engine().start_run(begun).await?.by;
    let view = app.engine().task(task, Duration::ZERO).await?;
    let (Stands::Leased(_), Some(worker)) = (&view.standing, view.worker.clone()) else {
        return Err(not_held(view.status()).into());
    };
    // In the name of the process whose run it is, so that one that was replaced does not keep its successor alive.
    let heartbeat = verbs::heartbeat::Heartbeat {
        worker,
        epoch: Some(epoch),
        held: vec![held],
        leaves: false,
    };
    let now = app.engine().store().now();
    let beaten = app.engine().heartbeat(heartbeat).await?;
    if !beaten.cancel.is_empty() {
        return Err(not_held(status::Status::Cancelled).into());
    }
    if !beaten.lost.is_empty() {
        return Err(problem::refused(&Refused::StaleLease).into());
    }
    if !beaten.unknown.is_empty() {
        return Err(problem::refused(&Refused::Broken).into());
    }
    response::ok(&Renewed {
        task_id: task,
        status: Status::Running,
        lease_expires_at: beaten.expires_at.unwrap_or(now).into(),
    })
}

fn not_held(status: status::Status) -> Box<Problem> {
    problem::refused(&if status.is_final() {
        Refused::AlreadyEnded(status)
    } else {
        Refused::StaleLease
    })
}

/// `POST /tasks/{id}/complete`
pub(crate) async fn complete(
    State(app): State<App>,
    OfTask(task): OfTask,
    request: Request,
) -> Answer {
    let body = request::json_alone(&app, request, app.limits().output_body()).await?;
    let complete: Complete<&RawValue> = request::parse(&app, &body)?;
    ended(
        &app,
        &RunResult {
            output: complete.output,
            started_at: complete.started_at,
            ..RunResult::new(task, complete.lease_token, Said::Completed)
        },
    )
    .await
}

/// `POST /tasks/{id}/fail`
pub(crate) async fn fail(State(app): State<App>, OfTask(task): OfTask, request: Request) -> Answer {
    let body = request::json_alone(&app, request, app.limits().output_body()).await?;
    let fail: Fail<&RawValue> = request::parse(&app, &body)?;
    ended(
        &app,
        &RunResult {
            error: Some(fail.error),
            retry: fail.retry,
            started_at: fail.started_at,
            ..RunResult::new(task, fail.lease_token, Said::Failed)
        },
    )
    .await
}

/// `POST /tasks/{id}/snooze`
pub(crate) async fn snooze(
    State(app): State<App>,
    OfTask(task): OfTask,
    request: Request,
) -> Answer {
    let body = request::json_alone(&app, request, app.limits().plain_body()).await?;
    let snooze: Snooze = request::parse(&app, &body)?;
    ended(
        &app,
        &RunResult::<&RawValue> {
            delay_ms: Some(snooze.delay_ms),
            ..RunResult::new(task, snooze.lease_token, Said::Snoozed)
        },
    )
    .await
}

/// `POST /tasks/{id}/release`
pub(crate) async fn release(
    State(app): State<App>,
    OfTask(task): OfTask,
    request: Request,
) -> Answer {
    let body = request::json_alone(&app, request, app.limits().plain_body()).await?;
    let release: Release = request::parse(&app, &body)?;
    let result = RunResult::<&RawValue>::new(task, release.lease_token, Said::Released);
    ended(&app, &result).await
}

async fn ended<P: Source>(app: &App, said: &RunResult<P>) -> Answer {
    let standing = report_one(app, said).await?;
    response::ok(&standing)
}

/// One result, from whoever can name its lease.
async fn report_one<P: Source>(app: &App, said: &RunResult<P>) -> Result<Standing, Box<Problem>> {
    let mut faults = Faults::default();
    let result = wire::result::run_result(app, said.task_id, said, Place::ROOT, &mut faults);
    faults.check()?;
    let report = Report {
        worker: None,
        results: result.into_iter().collect(),
    };
    let reported = app.engine().report(report).await;
    let mut reported = reported.map_err(|error| problem::of(&error))?;
    let Some(answered) = reported.results.pop() else {
        return Err(problem::broken(&"a result was not answered"));
    };
    standing(said.task_id, answered)
}

/// Where the task stands after a result, or why it was refused.
pub(crate) fn standing(
    task_id: TaskId,
    answered: Result<status::Status, Refused>,
) -> Result<Standing, Box<Problem>> {
    match answered {
        Ok(status) => Ok(Standing {
            task_id,
            status: status.into(),
        }),
        Err(refused) => Err(problem::refused(&refused)),
    }
}
