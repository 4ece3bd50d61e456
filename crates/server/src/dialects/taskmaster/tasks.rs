//! Scheduling commands, and seeing what became of them.

use axum::extract::{RawQuery, Request, State};
use serde::Serialize;
use taskyard_api::time::Time;
use taskyard_core::id::{NotAnId, TaskId};
use taskyard_core::query::{LIST_BYTES_MAX, List};
use taskyard_core::refused::Refused;
use taskyard_core::rows::Digest;
use utoipa::ToSchema;

use super::task::{TaskmasterSchedule, TaskmasterStatus, TaskmasterTask};
use crate::app::App;
use crate::dialects::status::TASKMASTER;
use crate::dialects::{LIMIT_MAX, behind, look, page, page_of, submitted, without};
use crate::problem::{self, Code};
use crate::query::Params;
use crate::request::{self, no_such};
use crate::response::{self, Answer};
use crate::v1::tasks::submit::key;

/// The answer to `POST /api/schedule`.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskmasterScheduled {
    task_id: TaskId,
    /// `scheduled`.
    status: &'static str,
    /// As it was asked for.
    scheduled_at: Time,
}

/// Every task, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskmasterTasks {
    tasks: Vec<TaskmasterTask>,
}

/// `POST /api/schedule`
pub(crate) async fn schedule(State(app): State<App>, request: Request) -> Answer {
    let key = key(&app, request.headers(), "POST /api/schedule")?;
    let body = request::json(&app, request, app.limits().submit_body()).await?;
    let asked: TaskmasterSchedule = request::parse(&app, &body)?;
    let view = submitted(
        &app,
        asked.task(&app)?,
        key.map(|key| (key, Digest::of(&body))),
    )
    .await?;
    response::created(&TaskmasterScheduled {
        task_id: view.task.id,
        status: TASKMASTER.waits,
        scheduled_at: asked.scheduled_at,
    })
}

/// `GET /api/status`
pub(crate) async fn status(State(app): State<App>, RawQuery(query): RawQuery) -> Answer {
    let params = Params::of_known(query.as_deref(), &["task_id"])?;
    let id = params.get("task_id").ok_or_else(|| {
        problem::at(
            Code::Invalid,
            "task_id",
            "must be there: the task that is asked about",
        )
    })?;
    let id = id.parse().map_err(|why: NotAnId| {
        let mut problem = no_such(&Refused::NoSuchTask, why.to_string());
        "task_id".clone_into(&mut problem.errors[0].pointer);
        problem
    })?;
    let view = look(&app, id).await?;
    response::read(app.answers().nothing(), &TaskmasterStatus::new(&app, &view))
}

/// `GET /api/tasks`
pub(crate) async fn list(State(app): State<App>, RawQuery(query): RawQuery) -> Answer {
    let [limit, offset] = page_of(&app, query.as_deref(), LIMIT_MAX)?;
    let mut list = behind(&app, offset).await?;
    let _turn = app.turn_to_list().await;
    let mut held = app.answers().nothing();
    // A page is read with what its tasks gave back, of which nothing is shown; what is shown may be as much.
    held.hold(2 * LIST_BYTES_MAX)?;
    let (mut tasks, mut bytes, mut left_out) = (Vec::new(), 0, Vec::new());
    while let Some(asked) = list.take() {
        let wanted = List {
            limit: limit - tasks.len(),
            ..asked
        };
        let listed = page(&app, wanted.clone()).await?;
        left_out.extend(listed.unreadable);
        for task in listed
            .items
            .iter()
            .map(|view| TaskmasterTask::new(&app, view))
        {
            bytes += task.bytes();
            tasks.push(task);
        }
        let goes_on = tasks.len() < limit && bytes < LIST_BYTES_MAX;
        list = listed.next.filter(|_| goes_on).map(|next| List {
            after: Some(next),
            ..wanted
        });
    }
    let answer = response::read(held, &TaskmasterTasks { tasks })?;
    Ok(without(&left_out, answer))
}
