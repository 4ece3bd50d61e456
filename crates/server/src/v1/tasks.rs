//! `/tasks`: looking, cancelling; handing in and reporting have files of their own.

pub(crate) mod bulk;
pub(crate) mod described;
pub mod logs;
pub mod runs;
pub(crate) mod submit;

use std::time::Duration;

use axum::extract::{RawQuery, Request, State};
use taskyard_api::change::Patch;
use taskyard_api::page::TaskPage;
use taskyard_api::task::{Standing, Status};
use taskyard_core::minute::MinuteKey;
use taskyard_core::query::{Attempts, LIST_BYTES_MAX, Query};

use crate::app::App;
use crate::query::{self, Params};
use crate::request::{self, OfTask};
use crate::response::{self, Answer};
use crate::trouble;
use crate::wire;
use crate::wire::explain::advice::Advice;
use crate::wire::faults::Faults;

/// How long an answer may be held back.
pub(crate) const WAIT_MS_MAX: u64 = 60_000;

/// `GET /tasks`
pub(crate) async fn list(State(app): State<App>, RawQuery(query): RawQuery) -> Answer {
    let of = app.engine().store().incarnation();
    let list = wire::list::read(query.as_deref(), app.limits().list_look_at_max, &of)?;
    let _turn = app.turn_to_list().await;
    let mut held = app.answers().nothing();
    if list.payload {
        // As much as a page may read, so that nothing is read which there is no room for.
        held.hold(LIST_BYTES_MAX)?;
    }
    let listed = app.engine().read(Query::Tasks(list.clone())).await?.tasks();
    if !listed.unreadable.is_empty() {
        trouble::log_left_out(&listed.unreadable);
    }
    let page = TaskPage {
        items: listed
            .items
            .iter()
            .map(|view| wire::task::task(view, list.payload))
            .collect(),
        next_cursor: listed.next.map(|next| wire::list::cursor(next, &list, &of)),
        unreadable: listed.unreadable,
    };
    response::shown(&app, held, page)
}

/// `GET /tasks/stats`
pub(crate) async fn stats(State(app): State<App>, RawQuery(query): RawQuery) -> Answer {
    query::none(query.as_deref())?;
    let mut held = app.answers().nothing();
    // What happened in an hour is read minute by minute, of each server and of the lanes that it tells apart.
    held.hold(LIST_BYTES_MAX)?;
    let (sums, _turn) = app.sums().await?;
    let mut stats = wire::stats::counts(&sums);
    let names_max = app.engine().policy().stats_lanes_max;
    let now = app.engine().store().now();
    let from = MinuteKey::first_asked(now);
    let minutes = app.engine().read(Query::Minutes { from }).await?.minutes();
    stats.windows = wire::stats::windows(&minutes, now, names_max);
    response::read(held, &stats)
}

/// `GET /tasks/{id}`
pub(crate) async fn show(
    State(app): State<App>,
    OfTask(id): OfTask,
    RawQuery(query): RawQuery,
) -> Answer {
    let wait = Params::read(query.as_deref(), &["wait_ms"], &[])?;
    let wait = wait.number("wait_ms", 0, WAIT_MS_MAX, 0)?;
    let hold = app.hold(Duration::from_millis(wait));
    let view = tokio::select! {
        biased;
        view = app.engine().task(id, hold.wait) => view,
        () = hold.is_over() => app.engine().task(id, Duration::ZERO).await,
    };
    let view = view?;
    response::shown(&app, app.answers().nothing(), wire::task::task(&view, true))
}

/// `POST /tasks/{id}/cancel`
pub(crate) async fn cancel(State(app): State<App>, OfTask(id): OfTask, request: Request) -> Answer {
    request::nothing(&app, request).await?;
    app.engine().cancel(id).await?;
    response::ok(&Standing {
        task_id: id,
        status: Status::Cancelled,
    })
}

/// `PATCH /tasks/{id}`
pub(crate) async fn patch(State(app): State<App>, OfTask(id): OfTask, request: Request) -> Answer {
    let body = request::json_alone(&app, request, app.limits().plain_body()).await?;
    let asked: Patch = request::parse(&app, &body)?;
    let mut faults = Faults::default();
    let patch = wire::new_task::patch(id, &asked, &mut faults);
    faults.check()?;
    let patch = patch.expect("what is not made has its fault named");
    app.engine().patch(patch).await?;
    let view = app.engine().task(id, Duration::ZERO).await?;
    response::shown(&app, app.answers().nothing(), wire::task::task(&view, true))
}

/// `GET /tasks/{id}/explain`
pub(crate) async fn explain(
    State(app): State<App>,
    OfTask(id): OfTask,
    RawQuery(query): RawQuery,
) -> Answer {
    query::none(query.as_deref())?;
    let _turn = app.turn_to_list().await;
    let (around, now) = app.engine().explain(id).await?;
    let advice = Advice::of(&app).await;
    let policy = app.engine().policy();
    response::ok(&wire::explain::explanation(&around, now, policy, &advice))
}

/// `GET /tasks/{id}/attempts`
pub(crate) async fn attempts(
    State(app): State<App>,
    OfTask(id): OfTask,
    RawQuery(query): RawQuery,
) -> Answer {
    query::none(query.as_deref())?;
    let view = app.engine().task(id, Duration::ZERO).await?;
    let detail_max = app.limits().attempt_detail_max;
    let query = Query::Attempts {
        task: id,
        detail_max,
    };
    let _turn = app.turn_to_list().await;
    let Attempts { ended, late } = app.engine().read(query).await?.attempts();
    let attempts = wire::attempts::attempts(&view, &ended, &late, detail_max);
    response::shown(&app, app.answers().nothing(), attempts)
}
