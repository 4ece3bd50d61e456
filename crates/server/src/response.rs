//! Answers: JSON in one piece, or a refusal for the front to render.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderName, StatusCode};
use serde::Serialize;
use taskyard_api::problem::Problem;
use taskyard_engine::error::Error;

use crate::app::App;
use crate::budget::{Held, SMALL};
use crate::problem;
use crate::wire::mend::Mend;

pub(crate) type Answer = Result<Response, Refusal>;

/// A problem on its way to the front, which knows the request's id and renders it.
#[derive(Clone, Debug)]
pub(crate) struct Refusal(pub(crate) Box<Problem>);

impl From<Box<Problem>> for Refusal {
    fn from(problem: Box<Problem>) -> Self {
        Self(problem)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(problem::of(&error))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = problem::status(&self.0);
        response.extensions_mut().insert(self);
        response
    }
}

/// `body` as JSON, with the length stated.
pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Answer {
    Ok(of(status, rendered(body)?))
}

/// What is small whatever it says.
pub(crate) fn ok<T: Serialize>(body: &T) -> Answer {
    json(StatusCode::OK, body)
}

/// What was read and changed nothing. Where it is large it counts until it is sent, and is refused if there is no room
/// for it; `held` is what was taken for it before.
pub(crate) fn read<T: Serialize>(held: Held, body: &T) -> Answer {
    sent(held, rendered(body)?)
}

/// The same of what shows payloads.
pub(crate) fn shown<T: Serialize + Mend>(app: &App, held: Held, body: T) -> Answer {
    sent(held, mended(app, body)?)
}

fn sent(mut held: Held, bytes: Vec<u8>) -> Answer {
    if bytes.len() <= SMALL {
        return Ok(of(StatusCode::OK, bytes));
    }
    held.hold(bytes.len())?;
    Ok(of(StatusCode::OK, counted(bytes, held)))
}

/// Text of this type that was read and changed nothing; counted like everything that is large.
pub(crate) fn text(mut held: Held, content_type: &'static str, bytes: Vec<u8>) -> Answer {
    let body = if bytes.len() <= SMALL {
        Body::from(bytes)
    } else {
        held.hold(bytes.len())?;
        Body::from(counted(bytes, held))
    };
    let mut response = Response::new(body);
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(response)
}

/// What came of a change, which is told whatever room there is, and counts like everything that is large.
pub(crate) fn done<T: Serialize>(app: &App, status: StatusCode, body: &T) -> Answer {
    Ok(told(app, status, rendered(body)?))
}

/// The same of what shows payloads.
pub(crate) fn done_and_shown<T: Serialize + Mend>(
    app: &App,
    status: StatusCode,
    body: T,
) -> Answer {
    Ok(told(app, status, mended(app, body)?))
}

/// The same for whoever knows what to do where a payload is no JSON any more.
pub(crate) fn written<T: Serialize>(
    app: &App,
    status: StatusCode,
    body: &T,
) -> serde_json::Result<Response> {
    Ok(told(app, status, text_of(body)?))
}

fn told(app: &App, status: StatusCode, bytes: Vec<u8>) -> Response {
    if bytes.len() <= SMALL {
        return of(status, bytes);
    }
    let mut held = app.answers().nothing();
    held.hold_anyway(bytes.len());
    of(status, counted(bytes, held))
}

fn rendered<T: Serialize>(body: &T) -> Result<Vec<u8>, Box<Problem>> {
    text_of(body).map_err(|error| problem::broken(&error))
}

/// Without those of its payloads that are no JSON any more, if there are any: what is whole was looked through only once.
fn mended<T: Serialize + Mend>(app: &App, mut body: T) -> Result<Vec<u8>, Box<Problem>> {
    let unwritten = match text_of(&body) {
        Ok(bytes) => return Ok(bytes),
        Err(unwritten) => unwritten,
    };
    let payloads = body.mend();
    if payloads == 0 {
        return Err(problem::broken(&unwritten));
    }
    let said = "what the database holds of tasks is damaged and no JSON any more; answers show null for it";
    if let Some(others) = app.troubles().tell(said) {
        tracing::error!(payloads, others, "{said}");
    }
    rendered(&body)
}

fn text_of<T: Serialize>(body: &T) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(512);
    serde_json::to_writer(&mut bytes, body)?;
    Ok(bytes)
}

/// Marks an answer that goes on for as long as there is something to tell; its connection watches each piece of it.
#[derive(Clone, Copy)]
pub(crate) struct Streamed;

/// The connection lets go of the last of its bytes once it has sent them, or when it ends.
pub(crate) fn counted(mut bytes: Vec<u8>, held: Held) -> Bytes {
    // Writing left room behind them, of which nothing is counted.
    bytes.shrink_to_fit();
    Bytes::from_owner(Counted { bytes, _held: held })
}

struct Counted {
    bytes: Vec<u8>,
    _held: Held,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

pub(crate) fn created<T: Serialize>(body: &T) -> Answer {
    json(StatusCode::CREATED, body)
}

pub(crate) fn with(mut response: Response, name: HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

fn of(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
