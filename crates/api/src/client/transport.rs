//! Connections, time-outs, and the way from a request to a typed answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use rustls::crypto::ring;
use serde::Serialize;
use serde::de::DeserializeOwned;
use taskyard_core::time::Timestamp;
use tokio::time::timeout;

use super::answer::{Answer, closes, unreachable};
use super::error::{Error, Tried};
use super::servers::{Servers, Unserved};
use crate::time::Time;
use crate::worker::AGAIN;

/// How long to wait for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long to wait for an answer, beyond what the call itself asks the server to wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// A handle on one or several servers of the same Taskyard. Cheap to clone; clones share their connections.
///
/// TLS takes the process's default rustls provider. Where none is installed yet, the first client installs *ring*; a program
/// that wants another installs it before.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    servers: Arc<Servers>,
    answer_within: Duration,
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
    /// Said twice, it means the same.
    may_be_repeated: bool,
    /// It may have been said before this call.
    is_again: bool,
    /// Whoever does not wait for its answer any longer has waited too long.
    is_urgent: bool,
}

impl Call {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            wait: Duration::ZERO,
            may_be_repeated: true,
            is_again: false,
            is_urgent: false,
        }
    }

    pub(super) fn post(path: impl Into<String>) -> Self {
        Self {
            method: Method::POST,
            may_be_repeated: false,
            ..Self::get(path)
        }
    }

    pub(super) fn patch(path: impl Into<String>) -> Self {
        Self {
            method: Method::PATCH,
            may_be_repeated: false,
            ..Self::get(path)
        }
    }

    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self {
            method: Method::DELETE,
            may_be_repeated: false,
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
            self.may_be_repeated = true;
        }
        Ok(self)
    }

    /// Said twice it means the same, where this is so.
    pub(super) fn repeatable_if(mut self, may_be_repeated: bool) -> Self {
        self.may_be_repeated = may_be_repeated;
        self
    }

    /// Said twice it means the same.
    pub(super) fn repeatable(self) -> Self {
        self.repeatable_if(true)
    }

    /// It may have reached a server before.
    pub(super) fn again_if(mut self, is_again: bool) -> Self {
        self.is_again = is_again;
        self
    }

    /// A server that does not answer before its caller gives up is left by those that follow.
    pub(super) fn urgent(mut self) -> Self {
        self.is_urgent = true;
        self
    }

    /// It is held at a server for a while, and can be at another one.
    fn is_poll(&self) -> bool {
        self.may_be_repeated && !self.wait.is_zero()
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
                let server = without_login(server.clone());
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
        let addresses = servers.iter().map(Url::as_str);
        let addresses = addresses.map(|url| url.trim_end_matches('/').to_owned());
        Ok(Self {
            http: http.build().map_err(unwritable)?,
            servers: Arc::new(Servers::new(addresses)),
            answer_within: ANSWER_WITHIN,
            date: Arc::default(),
        })
    }

    /// How long a server may take to answer, beyond what a call asks it to wait; then it counts as away. 30 s unless set.
    #[must_use]
    pub fn answered_within(self, answer_within: Duration) -> Self {
        Self {
            answer_within,
            ..self
        }
    }

    /// What time it was where the last answer came from, to the second; none before the first answer. Ages are told by
    /// the clock that the times come from, wherever they are read.
    pub fn server_time(&self) -> Option<Time> {
        let seconds = self.date.load(Ordering::Relaxed);
        let micros = seconds.checked_mul(1_000_000)?;
        (seconds != 0).then(|| Time(Timestamp::from_micros(micros)))
    }

    /// The call under this key, or under one that is made here where there is a second server to say it to: what makes
    /// something makes it once.
    pub(super) fn once(&self, call: Call, key: Option<&str>) -> Result<Call, Error> {
        let has_several = self.servers.round().len() > 1;
        let own = || format!("{:032x}", rand::random::<u128>());
        let own = (key.is_none() && has_several).then(own);
        call.idempotency_key(key.or(own.as_deref()))
    }

    /// Sends the call and reads the answer.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        match self.ask_in_turn(&call, Form::Whole).await? {
            Came::Whole(answer) => answer.typed(),
            Came::Begun(..) => unreachable!("it was to be whole"),
        }
    }

    /// Sends the call and answers as soon as the answer begins, which may then come for as long as it likes.
    pub(super) async fn open(&self, call: Call) -> Result<Opened, Error> {
        match self.ask_in_turn(&call, Form::Begun).await? {
            Came::Begun(opened) => Ok(opened),
            Came::Whole(_) => unreachable!("it was only to begin"),
        }
    }

    /// Asks the server that served last, and where that does not serve the next ones, each once; the calls that follow begin
    /// where this one ends. What may have been done is said to another one only if it can be said twice.
    async fn ask_in_turn(&self, call: &Call, form: Form) -> Result<Came, Error> {
        let mut tried = Vec::new();
        let mut is_in_doubt = call.is_again;
        let mut left = self.servers.round();
        while let Some(server) = left.next() {
            let is_last = left.len() == 0;
            let may_move = !is_last && call.is_poll();
            let asked = tokio::select! {
                biased;
                asked = self.ask(server, call, form, is_in_doubt) => Some(asked),
                // Other calls got nothing out of it, so this one would wait there for nothing.
                () = self.servers.left(server), if may_move => None,
            };
            let Some(asked) = asked else {
                is_in_doubt = true;
                continue;
            };
            let error = match asked {
                Ok(came) => return Ok(came),
                Err(error) => error,
            };
            let Some(unserved) = Unserved::of(&error) else {
                return Err(error);
            };
            self.servers.turn_away(server);
            is_in_doubt |= unserved == Unserved::InDoubt;
            tried.push(Tried {
                server: self.servers.address(server).to_owned(),
                error,
            });
            if unserved == Unserved::InDoubt && !call.may_be_repeated {
                break;
            }
        }
        Err(Error::of_all(tried))
    }

    /// Asks one server.
    async fn ask(
        &self,
        server: usize,
        call: &Call,
        form: Form,
        is_again: bool,
    ) -> Result<Came, Error> {
        let url = self.url(server, &call.path)?;
        let mut request = self
            .http
            .request(call.method.clone(), url.clone())
            .headers(call.headers.clone())
            .body(call.body.clone());
        let url = without_login(url);
        if is_again && call.may_be_repeated {
            request = request.header(AGAIN, "true");
        }
        let waiting = Waiting {
            servers: &self.servers,
            server,
            is_urgent: call.is_urgent,
        };
        let within = call.wait.saturating_add(self.answer_within);
        let came = match form {
            Form::Whole => {
                let response = self.sent(&url, request.timeout(within)).await?;
                let closes = closes(&response);
                (Answer::read(url, response).await.map(Came::Whole), closes)
            }
            Form::Begun => {
                let begun = timeout(within, self.sent(&url, request)).await;
                let Ok(response) = begun else {
                    let what = format!("no answer began within {} s", within.as_secs_f64());
                    let status = StatusCode::GATEWAY_TIMEOUT.as_u16();
                    return Err(Error::Unexpected { url, status, what });
                };
                self.begun(server, url, response?).await
            }
        };
        waiting.answered();
        let (came, closes) = came;
        if closes {
            self.servers.turn_away(server);
        }
        came
    }

    /// What is refused is answered in one piece.
    async fn begun(
        &self,
        server: usize,
        url: Url,
        response: Response,
    ) -> (Result<Came, Error>, bool) {
        let closes = closes(&response);
        if response.status().is_success() {
            let opened = Opened {
                url,
                response,
                of: Source {
                    servers: Arc::clone(&self.servers),
                    server,
                },
            };
            return (Ok(Came::Begun(opened)), closes);
        }
        let status = response.status().as_u16();
        let refused = match Answer::read(url.clone(), response).await {
            Err(error) => error,
            Ok(_) => {
                let what = "a refusal without a problem".to_owned();
                Error::Unexpected { url, status, what }
            }
        };
        (Err(refused), closes)
    }

    async fn sent(&self, url: &Url, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.send().await;
        let response = response.map_err(|source| unreachable(url.clone(), source))?;
        if let Some(date) = date(response.headers()) {
            self.date.store(date, Ordering::Relaxed);
        }
        Ok(response)
    }

    /// Streams a body to the server that served last. A stream can be sent only once, so it goes to no second one; the next
    /// call does.
    pub(super) async fn stream<T: DeserializeOwned>(
        &self,
        call: Call,
        body: reqwest::Body,
        within: Duration,
    ) -> Result<T, Error> {
        let server = self.servers.current();
        let url = self.url(server, &call.path)?;
        let request = self
            .http
            .request(call.method, url.clone())
            .headers(call.headers)
            .body(body)
            .timeout(within);
        let url = without_login(url);
        let answered = async {
            let response = self.sent(&url, request).await?;
            Answer::read(url.clone(), response).await
        };
        match answered.await {
            Ok(answer) => answer.typed(),
            Err(error) => {
                if Unserved::of(&error).is_some() {
                    self.servers.turn_away(server);
                }
                Err(error)
            }
        }
    }

    fn url(&self, server: usize, path: &str) -> Result<Url, Error> {
        let text = format!("{}{path}", self.servers.address(server));
        Url::parse(&text).map_err(unwritable)
    }
}

/// How much of an answer is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Whole,
    /// Its head, if it is no refusal.
    Begun,
}

enum Came {
    Whole(Answer),
    Begun(Opened),
}

/// An answer that has begun.
pub(super) struct Opened {
    pub(super) url: Url,
    pub(super) response: Response,
    pub(super) of: Source,
}

/// Who gives an answer that goes on for long.
#[derive(Debug)]
pub(super) struct Source {
    servers: Arc<Servers>,
    server: usize,
}

impl Source {
    /// It broke off: whoever asks again asks another server, if there is one.
    pub(super) fn broke_off(&self) {
        self.servers.turn_away(self.server);
    }
}

/// An answer that is waited for. What cannot wait, and is not waited for any longer, has waited too long.
struct Waiting<'a> {
    servers: &'a Servers,
    server: usize,
    is_urgent: bool,
}

impl Waiting<'_> {
    fn answered(mut self) {
        self.is_urgent = false;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.is_urgent {
            self.servers.turn_away(self.server);
        }
    }
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

/// As it may be shown: a proxy's user and password are for the proxy alone.
fn without_login(mut url: Url) -> Url {
    // Refused where there can be none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
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
