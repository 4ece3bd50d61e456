//! What came back, on its way to a typed answer.

use bytes::Bytes;
use reqwest::header::{CONNECTION, CONTENT_TYPE, HeaderMap};
use reqwest::{Response, StatusCode, Url};
use serde::de::DeserializeOwned;

use super::error::Error;
use crate::problem::{self, Problem};

/// How much of an answer that makes no sense is quoted, in characters.
const QUOTED_MAX: usize = 200;

/// An answer that came whole, and is no refusal.
pub(super) struct Answer {
    url: Url,
    status: StatusCode,
    body: Bytes,
}

impl Answer {
    /// Told apart by the media type and not by the status, since `/health` and `/ready` answer alike with 200 and 503.
    ///
    /// # Errors
    ///
    /// The server refuses, or somebody in between has no answer of it; or the answer broke off.
    pub(super) async fn read(url: Url, response: Response) -> Result<Self, Error> {
        let status = response.status();
        let is_problem = is_of(response.headers(), problem::CONTENT_TYPE);
        let is_of_a_server = is_problem || is_of(response.headers(), "application/json");
        let body = match response.bytes().await {
            Ok(body) => body,
            Err(source) => return Err(unreachable(url, source)),
        };
        if is_problem {
            return Err(match serde_json::from_slice::<Problem>(&body) {
                Ok(problem) => Error::Problem(Box::new(problem)),
                Err(error) => unexpected(url, status, &body, &error),
            });
        }
        if !is_of_a_server && status.is_server_error() {
            return Err(unexpected(url, status, &body, &"no answer of a server"));
        }
        Ok(Self { url, status, body })
    }

    pub(super) fn typed<T: DeserializeOwned>(self) -> Result<T, Error> {
        let Self { url, status, body } = self;
        // Nothing is said where there is nothing to say.
        let said = if status == StatusCode::NO_CONTENT {
            b"null"
        } else {
            &body[..]
        };
        serde_json::from_slice(said).map_err(|error| unexpected(url, status, &body, &error))
    }
}

fn is_of(headers: &HeaderMap, kind: &str) -> bool {
    let said = headers.get(CONTENT_TYPE);
    said.is_some_and(|said| said.as_bytes().starts_with(kind.as_bytes()))
}

/// Whether the server wants nothing more on this connection: it stops.
pub(super) fn closes(response: &Response) -> bool {
    let said = response.headers().get(CONNECTION);
    said.is_some_and(|said| said.as_bytes().eq_ignore_ascii_case(b"close"))
}

pub(super) fn unreachable(url: Url, source: reqwest::Error) -> Error {
    Error::Unreachable {
        url,
        source: source.without_url(),
    }
}

pub(super) fn unexpected(
    url: Url,
    status: StatusCode,
    body: &[u8],
    error: &dyn std::fmt::Display,
) -> Error {
    let text = String::from_utf8_lossy(body);
    let quoted: String = text.chars().take(QUOTED_MAX).collect();
    Error::Unexpected {
        url,
        status: status.as_u16(),
        what: format!("{status}, {error}: {quoted:?}"),
    }
}
