//! A log that is followed: NDJSON, until the task has ended or the server goes.
//!
//! Nothing is read ahead: a page is, when the connection has taken the one before. So a reader that stops holds one page,
//! and its connection is closed as any is that stands still.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use taskyard_api::logs::FollowEnd;
use taskyard_api::task::Status;
use taskyard_core::id::TaskId;
use taskyard_core::log::{Position, Wanted};
use taskyard_engine::engine::{Follow, News};
use taskyard_engine::error::Error;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

use crate::app::{App, Hold};
use crate::problem::{self, Code};
use crate::request::NDJSON;
use crate::response::{self, Answer, Streamed};
use crate::trouble;
use crate::wire;

/// A stream that has nothing to tell shows so often that it is there: an empty line, which finds a reader that is gone.
const SIGN_EVERY: Duration = Duration::from_secs(10);
/// No end of its own.
const ALWAYS: Duration = Duration::MAX;

pub(super) async fn follow(app: &App, wanted: Wanted) -> Answer {
    let place = app.place_to_follow().ok_or_else(|| {
        let max = app.limits().follows_max;
        let detail = format!(
            "{max} logs are followed at this server already (--follows-max); try again in a moment, or ask for pages"
        );
        problem::later(Code::FollowsFull, detail, problem::SOON_MS)
    })?;
    let mut follow = app.engine().follow(wanted);
    // Looked at before the answer begins, so that it can still be refused.
    let page = app.engine().logs(wanted).await?;
    follow.goes_on_behind(page.reached);
    let hold = app.hold(ALWAYS);
    let telling = Telling {
        app: app.clone(),
        time_is_up: Box::pin(tokio::time::sleep(hold.wait)),
        hold,
        follow,
        task: wanted.task,
        first: (!page.lines.is_empty()).then_some(News::Lines(page)),
        is_over: false,
        _place: place,
    };
    let pieces = stream::unfold(telling, |mut telling| async move {
        let piece = telling.piece().await?;
        Some((Ok::<Bytes, Infallible>(piece), telling))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(NDJSON[0]));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.extensions_mut().insert(Streamed);
    Ok(response)
}

struct Telling {
    app: App,
    hold: Hold,
    /// Counted from the beginning, however much there is to tell.
    time_is_up: Pin<Box<Sleep>>,
    follow: Follow,
    task: TaskId,
    /// What was looked at before the answer began.
    first: Option<News>,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

impl Telling {
    /// The next piece; none behind the end.
    async fn piece(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        let news = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => self.next().await,
        };
        Some(match news {
            Some(Ok(News::Lines(page))) => {
                let lines = page.lines.into_iter();
                let task = self.task;
                self.rendered(lines.map(|told| wire::logs::line(task, told, true)))
            }
            Some(Ok(News::Ended(status))) => self.end(Some(status.into())),
            Some(Err(error)) => {
                // Whoever goes on is told what is wrong.
                trouble::log_streaming(&self.app, &error);
                self.end(None)
            }
            None if self.is_over => self.end(None),
            None => Bytes::from_static(b"\n"),
        })
    }

    /// None where there is nothing new: a sign is due, or the stream is over.
    async fn next(&mut self) -> Option<Result<News, Error>> {
        let (hold, time_is_up) = (&self.hold, &mut self.time_is_up);
        let over = pin!(async {
            tokio::select! {
                () = hold.is_over() => {}
                () = time_is_up => {}
            }
        });
        tokio::select! {
            // First, or a log that grows without a pause would keep the server from stopping.
            biased;
            () = over => {
                self.is_over = true;
                None
            }
            news = self.follow.next() => Some(news),
            () = tokio::time::sleep(SIGN_EVERY) => None,
        }
    }

    fn end(&mut self, status: Option<Status>) -> Bytes {
        self.is_over = true;
        let position = self.follow.position();
        let goes_on = |position: Position| wire::logs::cursor(self.task, position);
        let end = FollowEnd {
            status,
            next_cursor: status.is_none().then(|| goes_on(position)),
        };
        self.rendered([end])
    }

    /// A record on each line; counted until it is sent.
    fn rendered<T: Serialize>(&self, records: impl IntoIterator<Item = T>) -> Bytes {
        let mut bytes = Vec::with_capacity(512);
        for record in records {
            serde_json::to_writer(&mut bytes, &record)
                .expect("a record holds nothing but text and numbers");
            bytes.push(b'\n');
        }
        let mut held = self.app.answers().nothing();
        held.hold_anyway(bytes.len());
        response::counted(bytes, held)
    }
}
