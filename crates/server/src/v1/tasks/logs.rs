//! `/tasks/{id}/logs`: what runs print.

pub(crate) mod described;
mod follow;

use axum::extract::{RawQuery, Request, State};
use taskyard_api::logs::{AppendLogs, AppendedLogs};
use taskyard_api::page::Page;
use taskyard_api::problem::Problem;
use taskyard_core::id::TaskId;
use taskyard_core::log::PAGE_BYTES_MAX;
use taskyard_engine::engine::Print;

use crate::app::App;
use crate::problem::{self, Code};
use crate::request::{self, OfTask};
use crate::response::{self, Answer};
use crate::token;
use crate::wire;

/// `POST /tasks/{id}/logs`
pub(crate) async fn append(
    State(app): State<App>,
    OfTask(task): OfTask,
    request: Request,
) -> Answer {
    let body = request::json_alone(&app, request, app.limits().bulk_max).await?;
    let lines: AppendLogs = request::parse(&app, &body)?;
    response::ok(&print(&app, task, &lines).await?)
}

/// Lines of a run, from a worker outside or within this process; of the latter within [`logged`](crate::logged), like its
/// other calls. Sent again with the same `first_seq` they are kept once. What is refused besides a lost lease concerns no
/// run: it goes on.
pub async fn print(
    app: &App,
    task: TaskId,
    append: &AppendLogs,
) -> Result<AppendedLogs, Box<Problem>> {
    let max = app.limits().tasks_max;
    if append.lines.len() > max {
        let detail = format!(
            "holds {} lines, at most {max} are taken at once; send them in parts",
            append.lines.len()
        );
        return Err(problem::at(Code::TooLarge, "/lines", detail));
    }
    let store = app.engine().store();
    let (first, lines) = wire::logs::lines(append, store.now())?;
    let token = token::read(&append.lease_token, task, &store.incarnation());
    let print = Print {
        token,
        first,
        lines,
    };
    let appended = app.engine().append_logs(print).await;
    appended
        .map(wire::logs::appended)
        .map_err(|error| problem::of(&error))
}

/// `GET /tasks/{id}/logs`
pub(crate) async fn show(
    State(app): State<App>,
    OfTask(task): OfTask,
    RawQuery(query): RawQuery,
) -> Answer {
    let (wanted, follow) = wire::logs::read(task, query.as_deref())?;
    if follow {
        return follow::follow(&app, wanted).await;
    }
    let _turn = app.turn_to_list().await;
    let mut held = app.answers().nothing();
    // As much as a page may read, so that nothing is read which there is no room for.
    held.hold(PAGE_BYTES_MAX)?;
    let page = app.engine().logs(wanted).await?;
    let next = page.goes_on.then_some(page.reached);
    let lines = page.lines.into_iter();
    let page = Page {
        items: lines
            .map(|told| wire::logs::line(task, told, false))
            .collect(),
        next_cursor: next.map(|next| wire::logs::cursor(task, next)),
    };
    response::read(held, &page)
}
