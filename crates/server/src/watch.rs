//! How long a connection may stand still, by what it is doing: sending a head, waiting for its next request, or
//! reading an answer.
//!
//! hyper has a time-out for heads, but counts idle time as part of the next head, which would close the connections of
//! workers between two heartbeats; and it sets a timer a request. Here a connection notes what moves in two atomics,
//! and its one timer compares them now and then.

mod heads;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::Request;
use hyper::body::Frame;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use self::heads::Heads;
use crate::serve::Crowd;
use crate::settings::Limits;

/// Looks in that part of the shortest time, so a time-out comes at most so much later; that of a head comes when it is
/// due.
const LOOKS: u32 = 4;

pub(crate) struct Watch {
    /// What the connection waits for; see the constants.
    phase: AtomicU8,
    /// Counts changes of the phase, and writes.
    moved: AtomicU32,
    /// Counts answers.
    answers: AtomicU32,
    /// The reader of an answer takes no more of it.
    is_stuck: AtomicBool,
    /// An answer was given, and not all of it is with the system.
    is_behind: AtomicBool,
    /// The status with which the HTTP library refused what came; 0 before.
    refused: AtomicU16,
    /// The turn at which it began to wait for what it waits for.
    since: AtomicU64,
    began: Instant,
    /// When the head began that is coming in, in microseconds since then.
    head_since: AtomicU64,
    heads: Mutex<Heads>,
    has_asked: AtomicBool,
    is_leaving: AtomicBool,
    leave: Notify,
    crowd: Arc<Crowd>,
}

/// Nothing has come yet: the first head may not be waited for as long as later ones.
const NEW: u8 = 0;
/// A head has begun.
const HEAD: u8 = 1;
/// A request is being answered; its body and its handler have times of their own.
const SERVING: u8 = 2;
/// The next request may come.
const IDLE: u8 = 3;

impl Watch {
    pub(crate) fn new(crowd: Arc<Crowd>, since: u64) -> Self {
        Self {
            phase: AtomicU8::new(NEW),
            moved: AtomicU32::new(0),
            answers: AtomicU32::new(0),
            is_stuck: AtomicBool::new(false),
            is_behind: AtomicBool::new(false),
            refused: AtomicU16::new(0),
            since: AtomicU64::new(since),
            began: Instant::now(),
            head_since: AtomicU64::new(0),
            heads: Mutex::default(),
            has_asked: AtomicBool::new(false),
            is_leaving: AtomicBool::new(false),
            leave: Notify::new(),
            crowd,
        }
    }

    /// Whether the request is as it may be: one that says the length of its body in two ways is not.
    pub(crate) fn serving<B>(&self, request: &Request<B>) -> bool {
        self.has_asked.store(true, Ordering::Relaxed);
        self.enter(SERVING);
        !self.heads.lock().has_two_lengths(request)
    }

    pub(crate) fn answered(&self) {
        self.is_behind.store(true, Ordering::Relaxed);
        let answers = self.answers.load(Ordering::Relaxed).wrapping_add(1);
        self.answers.store(answers, Ordering::Relaxed);
        self.enter(IDLE);
    }

    /// A piece of an answer is there to be sent that goes on for as long as there is something to tell. As one of its own
    /// it has the time that a whole answer has.
    fn piece(&self) {
        self.is_behind.store(true, Ordering::Relaxed);
        let answers = self.answers.load(Ordering::Relaxed).wrapping_add(1);
        self.answers.store(answers, Ordering::Relaxed);
    }

    /// Whether there is half a head.
    pub(crate) fn is_in_head(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == HEAD
    }

    pub(crate) fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Relaxed)
    }

    /// The status with which the HTTP library refused what came.
    pub(crate) fn refused(&self) -> Option<u16> {
        Some(self.refused.load(Ordering::Relaxed)).filter(|status| *status != 0)
    }

    /// Orders connections that wait for a request by who can be spared most; none while it does something else.
    pub(crate) fn waits_since(&self) -> Option<(bool, u64)> {
        let waits = matches!(self.phase.load(Ordering::Relaxed), NEW | HEAD | IDLE)
            && !self.is_behind.load(Ordering::Relaxed);
        waits.then(|| {
            let has_asked = self.has_asked.load(Ordering::Relaxed);
            (has_asked, self.since.load(Ordering::Relaxed))
        })
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }

    pub(crate) fn tell_to_leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
        self.leave.notify_one();
    }

    pub(crate) async fn told_to_leave(&self) {
        self.leave.notified().await;
    }

    /// A request came before it could leave.
    pub(crate) fn stays(&self) {
        self.is_leaving.store(false, Ordering::Relaxed);
        self.crowd.changed();
    }

    fn enter(&self, phase: u8) {
        if phase != SERVING {
            self.since.store(self.crowd.turn(), Ordering::Relaxed);
        }
        self.phase.store(phase, Ordering::Relaxed);
        self.moved();
    }

    /// Only ever called by the connection's own task.
    fn moved(&self) {
        let moved = self.moved.load(Ordering::Relaxed).wrapping_add(1);
        self.moved.store(moved, Ordering::Relaxed);
    }

    /// None at the end of the stream, which closes the connection anyway.
    fn came(&self, bytes: &[u8]) {
        let mut heads = self.heads.lock();
        if matches!(self.phase.load(Ordering::Relaxed), NEW | IDLE) {
            heads.begin();
            self.head_begins();
            self.enter(HEAD);
        }
        heads.came(bytes);
    }

    fn head_begins(&self) {
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.head_since.store(micros, Ordering::Relaxed);
    }

    /// When what comes, or does not, began to be waited for.
    fn head_began(&self) -> Instant {
        self.began + Duration::from_micros(self.head_since.load(Ordering::Relaxed))
    }

    fn wrote(&self, pending: bool) {
        self.is_stuck.store(pending, Ordering::Relaxed);
        if !pending {
            self.moved();
        }
    }

    /// All that was to be written is with the system.
    fn flushed(&self) {
        if self.is_behind.load(Ordering::Relaxed) {
            self.is_behind.store(false, Ordering::Relaxed);
            // Whoever sends the next head already may have had enough to do with this answer.
            if self.is_in_head() {
                self.head_begins();
            }
            self.crowd.changed();
        }
    }

    /// Keeps back what the HTTP library says by itself: a refusal of what it could not read, without a body. No answer
    /// is under way then, and nothing else is ever written.
    fn keeps_back(&self, bytes: &[u8]) -> bool {
        if self.refused().is_some() {
            return true;
        }
        if self.phase.load(Ordering::Relaxed) == SERVING || self.is_behind.load(Ordering::Relaxed) {
            return false;
        }
        let status = bytes
            .get(9..12)
            .and_then(|status| str::from_utf8(status).ok());
        let status = status.and_then(|status| status.parse().ok());
        self.refused.store(status.unwrap_or(400), Ordering::Relaxed);
        true
    }
}

/// The body of an answer that goes on. Until its end the connection is being served, also while nothing is sent.
pub(crate) struct Streaming {
    body: Body,
    watch: Arc<Watch>,
}

impl Streaming {
    pub(crate) fn new(body: Body, watch: &Arc<Watch>) -> Self {
        watch.piece();
        Self {
            body,
            watch: Arc::clone(watch),
        }
    }
}

impl hyper::body::Body for Streaming {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(Some(Ok(_)))) {
            self.watch.piece();
        }
        polled
    }
}

impl Drop for Streaming {
    /// The last of it may still have to be sent.
    fn drop(&mut self) {
        self.watch.answered();
    }
}

/// How a connection stands.
pub(crate) enum Look {
    Fine,
    /// It is overdue then, before the next look.
    AgainAt(Instant),
    /// It has stood still for too long.
    Overdue,
}

/// Compares a connection with what it was when last looked at.
pub(crate) struct Guard {
    watch: Arc<Watch>,
    seen: (u8, u32),
    /// How often it was seen so.
    looks: u32,
    /// The answer that was not taken whole when last looked at, and how often it was not.
    answer: (u32, u32),
    every: Duration,
    head: Duration,
    idle: u32,
    write: u32,
    whole: u32,
}

impl Guard {
    pub(crate) fn new(watch: Arc<Watch>, limits: &Limits) -> Self {
        let shortest = limits
            .head_within
            .min(limits.idle_within)
            .min(limits.write_pause_max)
            .min(limits.answer_within);
        let every = (shortest / LOOKS).max(Duration::from_millis(1));
        let looks = |within: Duration| {
            u32::try_from(within.as_nanos().div_ceil(every.as_nanos())).unwrap_or(u32::MAX)
        };
        Self {
            watch,
            seen: (NEW, 0),
            looks: 0,
            answer: (0, 0),
            every,
            head: limits.head_within,
            idle: looks(limits.idle_within),
            write: looks(limits.write_pause_max),
            whole: looks(limits.answer_within),
        }
    }

    pub(crate) fn every(&self) -> Duration {
        self.every
    }

    /// Called every so often, and when the answer before asked for it.
    pub(crate) fn look(&mut self) -> Look {
        if self.is_taken_too_slowly() {
            return Look::Overdue;
        }
        let phase = self.watch.phase.load(Ordering::Relaxed);
        let is_stuck = self.watch.is_stuck.load(Ordering::Relaxed);
        if matches!(phase, NEW | HEAD) && !is_stuck {
            return self.look_at_head();
        }
        let now = (phase, self.watch.moved.load(Ordering::Relaxed));
        if now != self.seen {
            (self.seen, self.looks) = (now, 0);
            return Look::Fine;
        }
        self.looks += 1;
        let allowed = match phase {
            _ if is_stuck => self.write,
            IDLE => self.idle,
            _ => return Look::Fine,
        };
        if self.looks > allowed {
            Look::Overdue
        } else {
            Look::Fine
        }
    }

    fn look_at_head(&self) -> Look {
        if self.watch.is_behind() {
            return Look::Fine;
        }
        let due = self.watch.head_began() + self.head;
        match due.checked_duration_since(Instant::now()) {
            None | Some(Duration::ZERO) => Look::Overdue,
            Some(left) if left < self.every => Look::AgainAt(due),
            Some(_) => Look::Fine,
        }
    }

    /// However little is taken of an answer, and however often.
    fn is_taken_too_slowly(&mut self) -> bool {
        let answer = self.watch.answers.load(Ordering::Relaxed);
        let (seen, looks) = self.answer;
        let is_behind = self.watch.is_behind.load(Ordering::Relaxed);
        let looks = if is_behind && answer == seen {
            looks + 1
        } else {
            0
        };
        self.answer = (answer, looks);
        looks > self.whole
    }
}

/// A connection's bytes, watched.
pub(crate) struct Watched<I> {
    pub(crate) io: I,
    pub(crate) watch: Arc<Watch>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        if polled.is_ready() {
            self.watch.came(&buffer.filled()[before..]);
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.watch.keeps_back(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.watch.wrote(polled.is_pending());
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        if polled.is_ready() {
            self.watch.flushed();
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // There is something left to be said.
        if self.watch.refused().is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.iter().find(|slice| !slice.is_empty());
        if first.is_some_and(|first| self.watch.keeps_back(first)) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.watch.wrote(polled.is_pending());
        polled
    }
}
