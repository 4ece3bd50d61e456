//! Answers: JSON in one piece, or a refusal for the front to render.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderName, StatusCode};
use serde::Serialize;
use taskyard_api::problem::Problem;
use taskyard_engine::error::Error;

use crate::problem;

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
pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    let mut bytes = Vec::with_capacity(512);
    match serde_json::to_writer(&mut bytes, body) {
        Ok(()) => of(status, bytes),
        Err(error) => Refusal(problem::broken(&error)).into_response(),
    }
}

pub(crate) fn ok<T: Serialize>(body: &T) -> Answer {
    Ok(json(StatusCode::OK, body))
}

pub(crate) fn created<T: Serialize>(body: &T) -> Answer {
    Ok(json(StatusCode::CREATED, body))
}

pub(crate) fn with(mut response: Response, name: HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

fn of(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
