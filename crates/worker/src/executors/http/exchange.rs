//! One request, and those that its redirects make of it. Each is judged as the first was.
//!
//! The client follows none by itself: what a redirect may take along, and where to, is decided here.

use std::error::Error as _;

use reqwest::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, HeaderMap, LOCATION,
    USER_AGENT,
};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::value::RawValue;
use url::Url;

use super::Settings;
use super::allow::{Refused, Rules};
use super::answer::{Answer, Body, headers_bytes};
use super::request::Request;
use crate::executor::Failure;
use crate::executors::input::INVALID;

/// What goes along to another host: nothing that could be a secret of the first one.
const GOES_ALONG: [reqwest::header::HeaderName; 4] =
    [ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, USER_AGENT];

/// Asks, follows, and answers what the last host said.
pub(super) async fn exchange(
    client: &Client,
    rules: &Rules,
    settings: &Settings,
    mut request: Request,
) -> Result<Box<RawValue>, Failure> {
    let mut redirects = 0;
    loop {
        rules
            .check(&request.url)
            .map_err(|refused| after(redirects, refused.failure()))?;
        let response = send(client, &request)
            .await
            .map_err(|failure| after(redirects, failure))?;
        let headers_bytes = headers_bytes(response.headers());
        if headers_bytes > settings.headers_bytes_max {
            return Err(headers_too_large(&request.url, settings.headers_bytes_max));
        }
        match target(&request.url, &response)? {
            Some(_) if redirects == settings.redirects_max && redirects > 0 => {
                return Err(Failure::lasting(
                    "too_many_redirects",
                    format!(
                        "{} redirects further, after {redirects} redirects (--http-redirects-max)",
                        place(&request.url)
                    ),
                ));
            }
            Some(url) if settings.redirects_max > 0 => {
                request.follow(url, response.status());
                redirects += 1;
            }
            Some(_) | None => return answered(&request, response, settings).await,
        }
    }
}

async fn send(client: &Client, request: &Request) -> Result<Response, Failure> {
    let mut asking = client
        .request(request.method.clone(), request.url.clone())
        .headers(request.headers.clone());
    if let Some(body) = &request.body {
        asking = asking.body(body.clone());
    }
    asking
        .send()
        .await
        .map_err(|error| broken(&request.url, error, "unreachable"))
}

/// Where the answer leads, if it is a redirect.
fn target(from: &Url, response: &Response) -> Result<Option<Url>, Failure> {
    let leads = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = response.headers().get(LOCATION).filter(|_| leads) else {
        return Ok(None);
    };
    let to = String::from_utf8_lossy(location.as_bytes());
    let mut url = from.join(&to).map_err(|error| {
        Failure::lasting(
            "bad_redirect",
            format!("{} redirects to {to:?}: {error}", place(from)),
        )
    })?;
    // Whoever answers does not choose whom the worker logs in as; neither fails where there is a host.
    let (_, _) = (url.set_username(""), url.set_password(None));
    Ok(Some(url))
}

impl Request {
    fn follow(&mut self, url: Url, status: StatusCode) {
        // As browsers do: 303 always means to go and get, 301 and 302 do after a POST (RFC 9110 §15.4).
        let becomes_get = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body = None;
            for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
                self.headers.remove(name);
            }
        }
        if url.origin() != self.url.origin() {
            let mut along = HeaderMap::new();
            for name in GOES_ALONG {
                if let Some(value) = self.headers.remove(&name) {
                    along.insert(name, value);
                }
            }
            self.headers = along;
        }
        self.url = url;
    }
}

async fn answered(
    request: &Request,
    mut response: Response,
    settings: &Settings,
) -> Result<Box<RawValue>, Failure> {
    let status = response.status();
    let failed = status >= StatusCode::BAD_REQUEST;
    let bytes_max = if failed {
        settings.detail_bytes_max
    } else {
        settings.response_bytes_max
    };
    let body = Body::read(&mut response, bytes_max)
        .await
        .map_err(|error| broken(&request.url, error, "broken_off"))?;
    let headers = response.headers();
    let from = place(&request.url);
    if failed {
        let path = request.url.path();
        let failure = Failure {
            retry: is_passing(status),
            ..Failure::lasting(
                "http_status",
                format!("{} {from}{path} answered {status}", request.method),
            )
        };
        return Err(shown(failure, &Answer::new(status, headers, body)));
    }
    if !body.is_whole {
        let failure = Failure::lasting(
            "answer_too_large",
            format!("{from} answered with more than {bytes_max} bytes (--http-response-max)"),
        );
        let body = body.shortened(settings.detail_bytes_max);
        return Err(shown(failure, &Answer::new(status, headers, body)));
    }
    Answer::new(status, headers, body).raw().ok_or_else(|| {
        Failure::lasting(
            "invalid_output",
            format!("the answer of {from} cannot be written as JSON"),
        )
    })
}

/// Whether the same request may be answered otherwise later. What has no class is a server's mistake (RFC 9110 §15).
fn is_passing(status: StatusCode) -> bool {
    status >= StatusCode::INTERNAL_SERVER_ERROR
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

fn shown(failure: Failure, answer: &Answer) -> Failure {
    Failure {
        detail: answer.raw(),
        ..failure
    }
}

/// What an error of the client means: a refusal of ours, something in the request, or trouble on the way.
fn broken(url: &Url, error: reqwest::Error, code: &'static str) -> Failure {
    let error = error.without_url();
    // The last cause says what happened; those above it only where.
    let mut what = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return refused.failure();
        }
        if cause
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_parse_too_large)
        {
            return Failure::lasting(
                "answer_too_large",
                format!(
                    "{} answered with more headers than are read (--http-headers-max)",
                    place(url)
                ),
            );
        }
        what = cause.to_string();
        next = cause.source();
    }
    if error.is_builder() {
        return Failure::lasting(
            INVALID,
            format!("`url` or `headers` cannot be sent: {what}"),
        );
    }
    Failure::passing(code, format!("{}: {what}", place(url)))
}

fn headers_too_large(url: &Url, bytes_max: usize) -> Failure {
    Failure::lasting(
        "answer_too_large",
        format!(
            "{} answered with more than {bytes_max} bytes of headers (--http-headers-max)",
            place(url)
        ),
    )
}

/// Who is asked, as far as messages say it: paths and queries may hold secrets.
fn place(url: &Url) -> &str {
    &url[url::Position::BeforeScheme..url::Position::BeforePath]
}

fn after(redirects: u32, failure: Failure) -> Failure {
    match redirects {
        0 => failure,
        _ => Failure {
            message: format!("{} (after {redirects} redirects)", failure.message),
            ..failure
        },
    }
}
