//! Paths that several dialects have: whose a request is shows in its fields, and whose words an answer speaks in the
//! dialect that made what it is about.

use axum::extract::{RawQuery, Request, State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use taskyard_api::problem::Problem;
use taskyard_core::query::{LIST_BYTES_MAX, List, Listed};
use taskyard_core::rows::Digest;

use super::simple::task::SimpleTask;
use super::{behind, page, page_of, simple, submitted, there, without};
use crate::app::App;
use crate::problem::{self, Code};
use crate::request;
use crate::response::{self, Answer};
use crate::v1::tasks::submit::key;

/// How many tasks a list shows that is not asked for another number.
pub(super) const LIMIT_DEFAULT: usize = 100;

/// A body of `POST /tasks`.
#[derive(Deserialize)]
struct Sent<'a> {
    #[serde(borrow, default, deserialize_with = "there")]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "there")]
    text: Option<&'a RawValue>,
    kind: Option<String>,
}

impl taskyard_api::request::Request for Sent<'_> {
    const LEVELS: usize = 1;
}

/// `POST /tasks`
pub(crate) async fn submit(State(app): State<App>, request: Request) -> Answer {
    let key = key(&app, request.headers(), "POST /tasks")?;
    let body = request::json(&app, request, app.limits().submit_body()).await?;
    let task = {
        let sent: Sent<'_> = request::parse(&app, &body)?;
        simple::task::new(&app, is_of_simple(&sent)?, sent.kind.as_deref())?
    };
    let view = submitted(&app, task, key.map(|key| (key, Digest::of(&body)))).await?;
    response::done_and_shown(&app, StatusCode::CREATED, SimpleTask::as_submitted(&view))
}

/// Its payload, or why it is no task of this dialect.
fn is_of_simple<'a>(sent: &Sent<'a>) -> Result<&'a RawValue, Box<Problem>> {
    let (place, detail) = match (sent.data, sent.text) {
        (Some(data), None) => return Ok(data),
        (None, None) => ("/data", "must be there: what the task is about"),
        (Some(_), Some(_)) => ("/text", "goes not together with data"),
        (None, Some(_)) => (
            "/text",
            "is for tasks that several workers answer, which this server does not take; for any other task send data",
        ),
    };
    Err(problem::at(Code::Invalid, place, detail))
}

/// `GET /tasks`: an array, newest first.
pub(crate) async fn list(State(app): State<App>, RawQuery(query): RawQuery) -> Answer {
    let [limit, offset] = page_of(&app, query.as_deref(), LIMIT_DEFAULT)?;
    let list = behind(&app, offset).await?;
    let _turn = app.turn_to_list().await;
    let mut held = app.answers().nothing();
    // As much as a page may read, so that nothing is read which there is no room for.
    held.hold(LIST_BYTES_MAX)?;
    let listed = match list {
        Some(list) => page(&app, List { limit, ..list }).await?,
        None => Listed::default(),
    };
    let tasks: Vec<SimpleTask> = listed.items.iter().map(SimpleTask::new).collect();
    let answer = response::shown(&app, held, tasks)?;
    Ok(without(&listed.unreadable, answer))
}
