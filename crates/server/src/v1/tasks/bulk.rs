//! `POST /tasks/cancel` and `POST /tasks/retry`: the same to all tasks that a filter lets through.

use std::sync::Arc;

use axum::extract::{Request, State};
use http::{StatusCode, header};
use taskyard_api::operation::{Matching, Operate, TasksFilter};
use taskyard_core::operation::Act;
use taskyard_core::refused::Refused;
use taskyard_core::rows::Digest;
use taskyard_core::verbs::operate;
use taskyard_engine::error::Error;

use super::submit::key;
use crate::app::App;
use crate::query;
use crate::request;
use crate::response::{self, Answer};
use crate::wire::faults::{Faults, Place};
use crate::wire::filter::filter;
use crate::wire::operation::operation;

/// `POST /tasks/cancel`
pub(crate) async fn cancel(State(app): State<App>, request: Request) -> Answer {
    operate(&app, Act::Cancel, "POST /api/v1/tasks/cancel", request).await
}

/// `POST /tasks/retry`
pub(crate) async fn retry(State(app): State<App>, request: Request) -> Answer {
    operate(&app, Act::Retry, "POST /api/v1/tasks/retry", request).await
}

async fn operate(app: &App, act: Act, route: &str, request: Request) -> Answer {
    query::none(request.uri().query())?;
    let key = key(app, request.headers(), route)?;
    let body = request::json(app, request, app.limits().plain_body()).await?;
    let asked: Operate = request::parse(app, &body)?;
    let mut faults = Faults::default();
    let filter = filter(&asked.filter, |field, detail| {
        faults.add(Place::within("/filter"), field, detail);
    });
    if asked.filter == TasksFilter::default() && !asked.all {
        let detail = "is empty, which means every task; say so with \"all\": true beside it, or name a condition";
        faults.add(Place::ROOT, "filter", detail);
    }
    let filter = act.narrow(filter);
    if filter.is_none() {
        faults.add(Place::within("/filter"), "status", only_others(act));
    }
    faults.check()?;
    let filter = filter.expect("a filter that is not there has its fault named");
    if asked.dry_run {
        let limits = app.limits();
        let (most, look_at_max) = (limits.matching_max, limits.list_look_at_max);
        // There may be many pages, and others get their turns in between.
        let turn = || app.turn_to_list();
        let engine = app.engine();
        let counted = engine.count_matching(filter, most, look_at_max, turn);
        let counted = counted.await?;
        return response::ok(&Matching {
            matched: u64::try_from(counted.count).unwrap_or(u64::MAX),
            at_least: counted.at_least,
        });
    }
    let operated = app.engine().operate(operate::Operate {
        id: app.engine().new_operation(),
        act,
        filter: Arc::new(filter),
        once: key.map(|key| (key, Digest::of(&body))),
    });
    let operated = operated.await?;
    let known = operated
        .operation
        .ok_or(Error::Refused(Refused::NoSuchOperation))?;
    let answer = response::json(StatusCode::ACCEPTED, &operation(&known))?;
    let location = format!("/api/v1/operations/{}", operated.id);
    Ok(response::with(answer, header::LOCATION, &location))
}

/// What is wrong with a filter's statuses where the act is for none of them.
fn only_others(act: Act) -> &'static str {
    match act {
        Act::Cancel => {
            "names only final statuses, and what has ended cannot be cancelled; name some of scheduled, pending, assigned, \
             running, or none for all of these"
        }
        Act::Retry => {
            "names no final status, and what has not ended cannot be run again; name some of completed, failed, timeout, \
             cancelled, or none for all of these"
        }
    }
}
