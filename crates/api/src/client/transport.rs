//! Connections, time-outs, and the way from a request to a typed answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};
use rustls::crypto::ring;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use taskyard_core::time::Timestamp;
use tokio::time::timeout;

use super::error::Error;
use crate::problem::{self, Problem};
use crate::time::Time;

/// How long to wait for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long to wait for an answer, beyond what the call itself asks the server to wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How much of an answer that makes no sense is quoted, in characters.
const QUOTED_MAX: usize = 200;

/// A handle on one or several servers of the same Taskyard. Cheap to clone; clones share their connections.
///
/// TLS takes the process's default rustls provider. Where none is installed yet, the first client installs *ring*; a program
/// that wants another installs it before.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    /// Without a slash at their end. At least one.
    servers: Arc<[String]>,
    /// The one that answered last.
    current: Arc<AtomicUsize>,
    /// The `Date` of the last answer, in seconds since 1970; 0 before the first that has one.
    date: Arc<AtomicI64>,
}

/// One request, as the methods put it together.
pub(super) struct Call {
    pub(super) method: Method,
    /// From the server's root, with a slash first.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What the call asks the server to wait.
    pub(super) wait: Duration,
}

impl Call {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            wait: Duration::ZERO,
        }
    }

    pub(super) fn post(path: impl Into<String>) -> Self {
        Self {
            method: Method::POST,
            ..Self::get(path)
        }
    }

    pub(super) fn patch(path: impl Into<String>) -> Self {
        Self {
            method: Method::PATCH,
            ..Self::get(path)
        }
    }

    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self {
            method: Method::DELETE,
            ..Self::get(path)
        }
    }

    /// Besides what earlier ones have put there.
    pub(super) fn query<Q: Serialize>(mut self, query: &Q) -> Result<Self, Error> {
        let text = serde_urlencoded::to_string(query).map_err(unwritable)?;
        if !text.is_empty() {
            self.path
                .push(if self.path.contains('?') { '&' } else { '?' });
            self.path.push_str(&text);
        }
        Ok(self)
    }

    pub(super) fn json<B: Serialize>(mut self, body: &B) -> Result<Self, Error> {
        self.body = serde_json::to_vec(body).map_err(unwritable)?.into();
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(self)
    }

    pub(super) fn idempotency_key(mut self, key: Option<&str>) -> Result<Self, Error> {
        if let Some(key) = key {
            let key = HeaderValue::from_str(key).map_err(unwritable)?;
            self.headers.insert("idempotency-key", key);
        }
        Ok(self)
    }

    pub(super) fn waiting(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

impl Client {
    /// A client of these servers, tried in their order, with a bearer token if they ask for one. Connects to nothing
    /// yet.
    pub fn new(servers: &[Url], token: Option<&str>) -> Result<Self, Error> {
        if servers.is_empty() {
            return Err(Error::Unusable("no server is named".to_owned()));
        }
        for server in servers {
            if !matches!(server.scheme(), "http" | "https") || server.host().is_none() {
                let what = format!(
                    "{server} is not the address of a server: expected http://… or https://…"
                );
                return Err(Error::Unusable(what));
            }
        }
        // Refused where the program has chosen one itself, which is as good.
        let _ = ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("taskyard/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN)
            .tcp_keepalive(Duration::from_secs(30))
            // The API never redirects; a token must not follow anyone elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(authorization(token)?);
        // A proxy meant for the world outside cannot reach this machine's loopback.
        if servers.iter().all(is_loopback) {
            http = http.no_proxy();
        }
        Ok(Self {
            http: http.build().map_err(unwritable)?,
            servers: servers
                .iter()
                .map(|url| url.as_str().trim_end_matches('/').to_owned())
                .collect(),
            current: Arc::default(),
            date: Arc::default(),
        })
    }

    /// What time it was where the last answer came from, to the second; none before the first answer. Ages are told by
    /// the clock that the times come from, wherever they are read.
    pub fn server_time(&self) -> Option<Time> {
        let seconds = self.date.load(Ordering::Relaxed);
        let micros = seconds.checked_mul(1_000_000)?;
        (seconds != 0).then(|| Time(Timestamp::from_micros(micros)))
    }

    /// Sends the call and reads the answer.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        let within = call.wait.saturating_add(ANSWER_WITHIN);
        let (url, response) = self.send(call, Some(within)).await?;
        answer(url, response).await
    }

    /// Sends the call and answers as soon as the answer begins, which may then come for as long as it likes.
    pub(super) async fn open(&self, call: Call) -> Result<(Url, Response), Error> {
        let begun = timeout(ANSWER_WITHIN, self.send(call, None)).await;
        let Ok(begun) = begun else {
            let what = format!("no answer began within {} s", ANSWER_WITHIN.as_secs());
            let url = self.url(self.current.load(Ordering::Relaxed), "")?;
            let status = StatusCode::GATEWAY_TIMEOUT.as_u16();
            return Err(Error::Unexpected { url, status, what });
        };
        let (url, response) = begun?;
        if response.status().is_success() {
            return Ok((url, response));
        }
        // What is refused is answered in one piece.
        match answer::<IgnoredAny>(url.clone(), response).await {
            Err(error) => Err(error),
            Ok(_) => Err(Error::Unexpected {
                url,
                status: StatusCode::INTERNAL_SERVER_ERROR.as_u16(),
                what: "a refusal without a problem".to_owned(),
            }),
        }
    }

    /// A server that cannot be connected to has received nothing, so then the next one is asked.
    async fn send(&self, call: Call, within: Option<Duration>) -> Result<(Url, Response), Error> {
        let first = self.current.load(Ordering::Relaxed);
        let mut failed = None;
        for number in 0..self.servers.len() {
            let index = (first + number) % self.servers.len();
            let url = self.url(index, &call.path)?;
            let mut request = self
                .http
                .request(call.method.clone(), url.clone())
                .headers(call.headers.clone())
                .body(call.body.clone());
            if let Some(within) = within {
                request = request.timeout(within);
            }
            match request.send().await {
                Ok(response) => {
                    self.current.store(index, Ordering::Relaxed);
                    if let Some(date) = date(response.headers()) {
                        self.date.store(date, Ordering::Relaxed);
                    }
                    return Ok((url, response));
                }
                Err(source) => {
                    let goes_on = source.is_connect();
                    failed = Some(unreachable(url, source));
                    if !goes_on {
                        break;
                    }
                }
            }
        }
        Err(failed.expect("at least one server was tried"))
    }

    /// Streams a body to the present server. A stream can be sent only once, so there is no second server.
    pub(super) async fn stream<T: DeserializeOwned>(
        &self,
        call: Call,
        body: reqwest::Body,
        within: Duration,
    ) -> Result<T, Error> {
        let url = self.url(self.current.load(Ordering::Relaxed), &call.path)?;
        let sent = self
            .http
            .request(call.method, url.clone())
            .headers(call.headers)
            .body(body)
            .timeout(within)
            .send()
            .await;
        match sent {
            Ok(response) => answer(url, response).await,
            Err(source) => Err(unreachable(url, source)),
        }
    }

    fn url(&self, server: usize, path: &str) -> Result<Url, Error> {
        let text = format!("{}{path}", self.servers[server]);
        Url::parse(&text).map_err(unwritable)
    }
}

/// Told apart by the media type and not by the status, since `/health` and `/ready` answer alike with 200 and 503.
async fn answer<T: DeserializeOwned>(url: Url, response: Response) -> Result<T, Error> {
    let status = response.status();
    let is_problem = response.headers().get(CONTENT_TYPE).is_some_and(|kind| {
        kind.as_bytes()
            .starts_with(problem::CONTENT_TYPE.as_bytes())
    });
    let body = match response.bytes().await {
        Ok(body) => body,
        Err(source) => return Err(unreachable(url, source)),
    };
    if is_problem {
        return match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(Error::Problem(Box::new(problem))),
            Err(error) => Err(unexpected(url, status, &body, &error)),
        };
    }
    // Nothing is said where there is nothing to say.
    let said = if status == StatusCode::NO_CONTENT {
        b"null"
    } else {
        &body[..]
    };
    serde_json::from_slice(said).map_err(|error| unexpected(url, status, &body, &error))
}

/// The form of all dates that are sent today (RFC 9110 §5.6.7) is one of mail's.
fn date(headers: &HeaderMap) -> Option<i64> {
    let date = headers.get(DATE)?.to_str().ok()?;
    let date = DateTimeParser::new().parse_timestamp(date).ok()?;
    Some(date.as_second())
}

fn authorization(token: Option<&str>) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        // The reason is left out: it could quote the token.
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
            Error::Unusable("the token holds characters that no token has".to_owned())
        })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
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
    error: &serde_json::Error,
) -> Error {
    let text = String::from_utf8_lossy(body);
    let quoted: String = text.chars().take(QUOTED_MAX).collect();
    Error::Unexpected {
        url,
        status: status.as_u16(),
        what: format!("{status}, {error}: {quoted:?}"),
    }
}

fn unwritable(error: impl std::fmt::Display) -> Error {
    Error::Unusable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);

        headers.insert(
            DATE,
            HeaderValue::from_static("Fri, 27 Nov 2026 03:15:58 GMT"),
        );
        assert_eq!(date(&headers), Some(1_795_749_358));
        headers.insert(DATE, HeaderValue::from_static("soon"));
        assert_eq!(date(&headers), None);
    }
}
