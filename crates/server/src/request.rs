//! What comes in: bodies of the right type, and the ids in paths.

use axum::extract::{FromRequestParts, RawPathParams, Request};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use hyper::body::Body as _;
use serde::Deserialize;
use taskyard_api::problem::{FieldError, Problem};
use taskyard_api::request;
use taskyard_core::id::{NotAnId, OperationId, TaskId};
use taskyard_core::name::Name;
use taskyard_core::refused::Refused;

use crate::app::App;
use crate::body::{self, Whole};
use crate::problem::{self, Code};
use crate::query;
use crate::response::Refusal;

pub(crate) const JSON: &[&str] = &["application/json"];
pub(crate) const NDJSON: &[&str] = &["application/x-ndjson", "application/ndjson"];

/// The whole body of a request that sends JSON.
pub(crate) async fn json(app: &App, request: Request, max: usize) -> Result<Whole, Refusal> {
    if !is_of(request.headers(), JSON) {
        return Err(unsupported("application/json").into());
    }
    body::whole(app, request, max).await
}

/// The same of one that says all with its body: its address has no query.
pub(crate) async fn json_alone(app: &App, request: Request, max: usize) -> Result<Whole, Refusal> {
    query::none(request.uri().query())?;
    json(app, request, max).await
}

/// Of a request that says all with its address; an empty object is taken as well.
pub(crate) async fn nothing(app: &App, request: Request) -> Result<(), Refusal> {
    query::none(request.uri().query())?;
    empty(app, request).await
}

/// The body of a request that need not have one, and says nothing with it.
pub(crate) async fn empty(app: &App, request: Request) -> Result<(), Refusal> {
    if request.body().is_end_stream() {
        return Ok(());
    }
    let body = json(app, request, app.limits().plain_body()).await?;
    if !body.is_empty() {
        parse::<Nothing>(app, &body)?;
    }
    Ok(())
}

/// A body that need not be there, and says nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl request::Request for Nothing {
    const LEVELS: usize = 1;
}

pub(crate) fn parse<'a, T>(app: &App, body: &'a [u8]) -> Result<T, Box<Problem>>
where
    T: request::Request + Deserialize<'a>,
{
    let limits = app.limits();
    request::read(body, limits.depth_max, limits.tasks_max).map_err(|bad| problem::unread(&bad))
}

/// Whether the body says that it is of one of these types, in UTF-8 as JSON always is, and is not packed.
pub(crate) fn is_of(headers: &HeaderMap, media_types: &[&str]) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let said = types.next().and_then(|value| value.to_str().ok());
    let mut parts = said.unwrap_or_default().split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let in_utf_8 = parts.all(is_utf_8_or_no_charset);
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    let packed = codings.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    // Of two types others on the way may have gone by the other one.
    types.next().is_none()
        && !packed
        && in_utf_8
        && media_types
            .iter()
            .any(|media_type| essence.eq_ignore_ascii_case(media_type))
}

/// One parameter of a media type.
fn is_utf_8_or_no_charset(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return true;
    };
    let value = value.trim_matches('"');
    let taken = ["utf-8", "utf8", "us-ascii"];
    !name.eq_ignore_ascii_case("charset")
        || taken.iter().any(|known| value.eq_ignore_ascii_case(known))
}

pub(crate) fn unsupported(wanted: &str) -> Box<Problem> {
    let detail =
        format!("the body must be sent as Content-Type: {wanted}, in UTF-8 and not compressed");
    problem::new(Code::UnsupportedMediaType, detail)
}

/// What a path names is not there, and cannot be: why stands beside it.
pub(crate) fn no_such(refused: &Refused, why: impl Into<String>) -> Box<Problem> {
    let mut problem = problem::refused(refused);
    problem.errors.push(FieldError {
        pointer: "id".to_owned(),
        detail: why.into(),
    });
    problem
}

/// The task that a path names. What is no id names no task.
pub(crate) struct OfTask(pub(crate) TaskId);

impl<S: Send + Sync> FromRequestParts<S> for OfTask {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let id = first_of_path(parts, state).await.unwrap_or_default();
        id.parse()
            .map(Self)
            .map_err(|why: NotAnId| no_such(&Refused::NoSuchTask, why.to_string()).into())
    }
}

/// The operation that a path names. What is no id names none.
pub(crate) struct OfOperation(pub(crate) OperationId);

impl<S: Send + Sync> FromRequestParts<S> for OfOperation {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let id = first_of_path(parts, state).await.unwrap_or_default();
        id.parse()
            .map(Self)
            .map_err(|why: NotAnId| no_such(&Refused::NoSuchOperation, why.to_string()).into())
    }
}

/// The worker that a path names.
pub(crate) struct OfWorker(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for OfWorker {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        first_of_path(parts, state)
            .await
            .map(Self)
            .ok_or_else(|| no_such(&Refused::NoSuchWorker, "must be UTF-8").into())
    }
}

/// The queue that a path names. Every name that a queue can have is one.
pub(crate) struct OfQueue(pub(crate) Name);

impl<S: Send + Sync> FromRequestParts<S> for OfQueue {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let name = first_of_path(parts, state).await.unwrap_or_default();
        Name::path(&name).map(Self).map_err(|why| {
            let mut problem = problem::new(Code::NotFound, "there is no queue of this name");
            problem.errors.push(FieldError {
                pointer: "name".to_owned(),
                detail: why.to_string(),
            });
            problem.into()
        })
    }
}

/// None where it is not UTF-8 once its escapes are undone.
async fn first_of_path<S: Send + Sync>(parts: &mut Parts, state: &S) -> Option<String> {
    let params = RawPathParams::from_request_parts(parts, state).await.ok()?;
    params.iter().next().map(|(_, value)| value.to_owned())
}
