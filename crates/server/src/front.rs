//! What every request passes, whatever its route: a name, the door, the log, and one shape for refusals.
//!
//! It is one function instead of a stack of layers, since it is on the way of every request.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, AUTHORIZATION, CONNECTION,
    CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN, RETRY_AFTER, TRANSFER_ENCODING, VARY,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};
use taskyard_api::problem::{CONTENT_TYPE as PROBLEM, Problem};
use tokio::time::Instant;
use tower::Service;

use crate::access;
use crate::app::App;
use crate::problem::{self, Code};
use crate::request_id;
use crate::response::Refusal;
use crate::router::{Patterns, router};
use crate::trouble::{self, Cause};

/// The whole HTTP side, ready to answer. Cheap to clone.
#[derive(Clone)]
pub struct Front {
    app: App,
    router: Router,
    patterns: Arc<Patterns>,
    peer: Peer,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Default)]
pub(crate) struct Peer {
    /// It came over the loopback address, so from this machine.
    pub(crate) is_local: bool,
    /// Where it is; none without a connection.
    pub(crate) address: Option<IpAddr>,
}

impl Front {
    pub fn new(app: App) -> Self {
        let (router, patterns) = router(app.clone());
        Self {
            app,
            router,
            patterns: Arc::new(patterns),
            peer: Peer::default(),
        }
    }

    pub(crate) fn of(mut self, peer: Peer) -> Self {
        self.peer = peer;
        self
    }

    pub(crate) fn app(&self) -> &App {
        &self.app
    }

    /// Answers one request. Dropped before it is done, it takes back what it had waiting.
    pub async fn answer(&self, request: Request<Body>) -> Response {
        let began = Instant::now();
        let id = request_id::of(request.headers());
        // Copied, since the head lies in its connection's buffer, which is held for nothing while a claim waits.
        let path = request.uri().path().to_owned();
        let method = request.method().clone();
        let origin = access::allowed_origin(self.app.settings(), request.headers());
        let preflight = access::is_preflight(&request);

        let checked = check_twice(request.headers())
            .and_then(|()| check_host(&request))
            .and_then(|()| check_coding(request.headers()))
            .and_then(|()| access::check(&self.app, &request, self.peer));
        let (mut response, mut cause) = match checked {
            Ok(()) => trouble::heard(Some(id.clone()), self.routed(request)).await,
            Err(problem) => (Refusal(problem).into_response(), None),
        };
        if let Some(Refusal(problem)) = response.extensions_mut().remove() {
            cause = cause.or_else(|| Cause::of_refusal(&problem));
            render(&mut response, *problem, &id);
        }
        access::challenge(&path, &mut response);
        if let Some(origin) = origin {
            allow(response.headers_mut(), origin, preflight);
        }
        let requests = &self.app.metrics().requests;
        let route = self.patterns.of(&path);
        requests.count(route, &method, response.status(), began.elapsed());
        self.log(&id, &method, &path, response.status(), began, cause);
        let headers = response.headers_mut();
        headers.insert(request_id::HEADER, id);
        if self.app.is_stopping() {
            // Whoever knows another server, or has one found for it on the way, goes on there.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// The answer to what never became a request.
    pub(crate) fn refusal(&self, problem: Box<Problem>) -> Response {
        let id = request_id::make();
        let status = problem::status(&problem);
        self.app.metrics().requests.count_unread(status);
        let cause = Cause::of_refusal(&problem);
        let others = cause.and_then(|cause| self.app.troubles().tell(&cause.error));
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request_id = request_id::text(&id),
                    status = status.as_u16(),
                    code = problem.code,
                    others,
                    "refused before there was a request"
                )
            };
        }
        match others {
            Some(_) => line!(warn),
            None => line!(debug),
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        render(&mut response, *problem, &id);
        response.headers_mut().insert(request_id::HEADER, id);
        response
    }

    /// One line a request, which is seen at debug level unless something is wrong here. The query is left out: it may hold
    /// what is nobody's business.
    fn log(
        &self,
        id: &HeaderValue,
        method: &Method,
        path: &str,
        status: StatusCode,
        began: Instant,
        cause: Option<Cause>,
    ) {
        let others = cause
            .as_ref()
            .and_then(|cause| self.app.troubles().tell(&cause.error));
        macro_rules! line {
            ($level:ident, $said:literal) => {
                tracing::$level!(
                    request_id = request_id::text(id),
                    %method,
                    path,
                    status = status.as_u16(),
                    duration_ms = began.elapsed().as_secs_f64() * 1e3,
                    error = cause.as_ref().map(|cause| &*cause.error),
                    others,
                    $said
                )
            };
        }
        match (&cause, others) {
            (Some(Cause { is_bug: true, .. }), Some(_)) => line!(error, "a request failed"),
            (Some(_), Some(_)) => line!(warn, "a request was not served"),
            _ => line!(debug, "answered"),
        }
    }

    /// A handler that panics costs its own request and nothing else.
    async fn routed(&self, request: Request<Body>) -> Response {
        let mut router = self.router.clone();
        let answered = AssertUnwindSafe(router.call(request)).catch_unwind().await;
        match answered {
            Ok(Ok(response)) => response,
            Err(panic) => {
                let said = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied());
                let what = said.unwrap_or("a panic that says nothing");
                Refusal(problem::broken(&what)).into_response()
            }
        }
    }
}

/// What decides who may come in is said once: of two, somebody on the way may have gone by the other.
fn check_twice(headers: &HeaderMap) -> Result<(), Box<Problem>> {
    let once = [
        (HOST, "Host"),
        (ORIGIN, "Origin"),
        (AUTHORIZATION, "Authorization"),
    ];
    for (name, shown) in once {
        if headers.get_all(name).iter().nth(1).is_some() {
            let detail = "stands there twice; send it once";
            return Err(problem::at(Code::Malformed, shown, detail));
        }
    }
    Ok(())
}

/// HTTP/1.1 has each request say what it calls the server (RFC 9112 §3.2).
fn check_host(request: &Request<Body>) -> Result<(), Box<Problem>> {
    if request.headers().contains_key(HOST) || request.version() < Version::HTTP_11 {
        return Ok(());
    }
    let detail = "is missing; HTTP/1.1 wants the server's name in it, such as `Host: localhost`";
    Err(problem::at(Code::Malformed, "Host", detail))
}

/// Whoever says that a body is packed for the way, which the HTTP library passes over, would have it read as it is.
fn check_coding(headers: &HeaderMap) -> Result<(), Box<Problem>> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    if codings.next().is_none_or(is_chunked) && codings.next().is_none() {
        return Ok(());
    }
    let detail = "a body may be sent as it is or in chunks, and in no other coding";
    Err(problem::at(Code::Malformed, "Transfer-Encoding", detail))
}

/// Puts the problem into the answer, which has its status and perhaps headers already.
fn render(response: &mut Response, mut problem: Problem, id: &HeaderValue) {
    problem.request_id = Some(request_id::text(id).to_owned());
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
    if let Some(wait) = problem.retry_after_ms {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.div_ceil(1000)));
    }
    if problem.code == Code::Unauthorized.word() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    // The rest of the body is not read.
    if [Code::BodyTimeout, Code::BodiesFull, Code::Malformed]
        .map(Code::word)
        .contains(&&*problem.code)
    {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let body = serde_json::to_vec(&problem).expect("a problem holds nothing but text and numbers");
    *response.body_mut() = Body::from(body);
}

/// Lets a page of this origin read the answer (the Fetch standard's CORS protocol).
fn allow(headers: &mut HeaderMap, origin: HeaderValue, preflight: bool) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(VARY, HeaderValue::from_static("origin"));
    let mut say = |name, value| headers.insert(name, HeaderValue::from_static(value));
    if preflight {
        say(ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PATCH, DELETE");
        say(
            ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, idempotency-key, x-again, x-request-id",
        );
        say(ACCESS_CONTROL_MAX_AGE, "600");
    } else {
        say(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            "location, retry-after, x-request-id, x-unreadable",
        );
    }
}
