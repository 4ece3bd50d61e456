//! Bodies on their way in: each within its size and its time, and all of them together within one budget.
//!
//! What is small and comes in one piece lies in its connection's buffer already and does not count, so small requests
//! are served however many large ones are under way. A large piece counts as it is, and anything else is gathered, and
//! counted by what is allocated for it, from its second piece on; both until the request is answered.

use std::ops::Deref;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use taskyard_api::problem::Problem;
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::budget::{Held, SMALL};
use crate::problem::{self, Code};
use crate::response::Refusal;

/// A body that is here, and counts as long as it is.
pub(crate) struct Whole {
    bytes: Bytes,
    _held: Option<Held>,
}

impl Whole {
    pub(crate) fn empty() -> Self {
        Self::small(Bytes::new())
    }

    fn small(bytes: Bytes) -> Self {
        Self { bytes, _held: None }
    }

    fn in_one_piece(app: &App, bytes: Bytes) -> Result<Self, Box<Problem>> {
        if bytes.len() <= SMALL {
            return Ok(Self::small(bytes));
        }
        let mut held = app.bodies().nothing();
        held.hold(bytes.len())?;
        Ok(Self {
            bytes,
            _held: Some(held),
        })
    }
}

impl Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The whole body, refused by its stated length before it is read, and by its real one while it is.
pub(crate) async fn whole(app: &App, request: Request, max: usize) -> Result<Whole, Refusal> {
    let stated = stated_length(request.headers());
    if stated.is_some_and(|length| length > max) {
        return Err(too_large(max).into());
    }
    let mut pieces = Pieces::of(app, request.into_body());
    let Some(first) = pieces.next().await? else {
        return Ok(Whole::empty());
    };
    if first.len() > max {
        return Err(too_large(max).into());
    }
    if pieces.are_over() {
        return Ok(Whole::in_one_piece(app, first)?);
    }
    let mut gathered = Gathered::new(app, stated.unwrap_or(max));
    gathered.add(&first)?;
    while let Some(more) = pieces.next().await? {
        if gathered.bytes.len() + more.len() > max {
            return Err(too_large(max).into());
        }
        gathered.add(&more)?;
    }
    Ok(gathered.whole())
}

fn too_large(max: usize) -> Box<Problem> {
    problem::new(
        Code::TooLarge,
        format!("the body is larger than {max} bytes"),
    )
}

fn stated_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The pieces of one body put together.
struct Gathered {
    bytes: Vec<u8>,
    held: Held,
    /// It grows no further than this.
    expected: usize,
}

impl Gathered {
    fn new(app: &App, expected: usize) -> Self {
        Self {
            bytes: Vec::new(),
            held: app.bodies().nothing(),
            expected,
        }
    }

    /// Grows by doubling, since nothing is known of a body but the length that it states, which costs its sender nothing.
    fn add(&mut self, more: &[u8]) -> Result<(), Box<Problem>> {
        let needed = self.bytes.len() + more.len();
        if needed > self.bytes.capacity() {
            let mut capacity = (self.bytes.capacity() * 2).min(self.expected).max(needed);
            if self.held.hold(capacity).is_err() {
                capacity = needed;
                self.held.hold(capacity)?;
            }
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    fn whole(self) -> Whole {
        Whole {
            bytes: self.bytes.into(),
            _held: Some(self.held),
        }
    }
}

/// A body's pieces as they come, none of them later than it may.
pub(crate) struct Pieces<'a> {
    app: &'a App,
    body: Body,
    /// When time is up however it goes on.
    until: Instant,
}

impl<'a> Pieces<'a> {
    pub(crate) fn of(app: &'a App, body: Body) -> Self {
        let until = Instant::now() + app.limits().body_within;
        Self { app, body, until }
    }

    /// What came so far is done with: what is to come has the whole time again.
    pub(crate) fn begin_again(&mut self) {
        self.until = Instant::now() + self.app.limits().body_within;
    }

    fn are_over(&self) -> bool {
        self.body.is_end_stream()
    }

    /// The next piece; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let pause = Instant::now() + self.app.limits().body_pause_max;
            match timeout_at(pause.min(self.until), self.body.frame()).await {
                Err(_) => return Err(self.too_slow(pause < self.until).into()),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    return Err(problem::new(Code::BrokenBody, error.to_string()).into());
                }
                // Trailers say nothing that is wanted here.
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    fn too_slow(&self, stood_still: bool) -> Box<Problem> {
        let limits = self.app.limits();
        let detail = if stood_still {
            let seconds = limits.body_pause_max.as_secs();
            format!("nothing more of the body came for {seconds} s")
        } else {
            let seconds = limits.body_within.as_secs();
            format!("the body was not whole after {seconds} s")
        };
        problem::new(Code::BodyTimeout, detail)
    }
}
