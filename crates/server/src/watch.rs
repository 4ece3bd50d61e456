//! How long a connection may stand still, by what it is doing: sending a head, waiting for its next request, or
//! reading an answer.
//!
//! hyper has a time-out for heads, but counts idle time as part of the next head, which would close the connections of
//! workers between two heartbeats; and it sets a timer a request. Here a connection notes what moves in two atomics,
//! and its one timer compares them now and then.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::settings::Limits;

/// Looks in that part of the shortest time, so a time-out comes at most so much later.
const LOOKS: u32 = 4;

#[derive(Default)]
pub(crate) struct Watch {
    /// What the connection waits for; see the constants.
    phase: AtomicU8,
    /// Counts changes of the phase, and bytes written while idle.
    moved: AtomicU32,
    /// The reader of an answer takes no more of it.
    is_stuck: AtomicU8,
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
    pub(crate) fn serving(&self) {
        self.enter(SERVING);
    }

    pub(crate) fn answered(&self) {
        self.enter(IDLE);
    }

    fn enter(&self, phase: u8) {
        self.phase.store(phase, Ordering::Relaxed);
        self.moved();
    }

    /// Only ever called by the connection's own task.
    fn moved(&self) {
        let moved = self.moved.load(Ordering::Relaxed).wrapping_add(1);
        self.moved.store(moved, Ordering::Relaxed);
    }

    fn bytes_came(&self) {
        if matches!(self.phase.load(Ordering::Relaxed), NEW | IDLE) {
            self.enter(HEAD);
        }
    }

    fn wrote(&self, pending: bool) {
        self.is_stuck.store(u8::from(pending), Ordering::Relaxed);
        if !pending {
            self.moved();
        }
    }
}

/// Compares a connection with what it was when last looked at.
pub(crate) struct Guard {
    watch: Arc<Watch>,
    seen: (u8, u32),
    /// How often it was seen so.
    looks: u32,
    every: Duration,
    head: u32,
    idle: u32,
    write: u32,
}

impl Guard {
    pub(crate) fn new(watch: Arc<Watch>, limits: &Limits) -> Self {
        let shortest = limits
            .head_within
            .min(limits.idle_within)
            .min(limits.write_within);
        let every = (shortest / LOOKS).max(Duration::from_millis(1));
        let looks = |within: Duration| {
            u32::try_from(within.as_nanos().div_ceil(every.as_nanos())).unwrap_or(u32::MAX)
        };
        Self {
            watch,
            seen: (NEW, 0),
            looks: 0,
            every,
            head: looks(limits.head_within),
            idle: looks(limits.idle_within),
            write: looks(limits.write_within),
        }
    }

    pub(crate) fn every(&self) -> Duration {
        self.every
    }

    /// Called every so often: whether the connection has stood still for too long.
    pub(crate) fn is_overdue(&mut self) -> bool {
        let phase = self.watch.phase.load(Ordering::Relaxed);
        let now = (phase, self.watch.moved.load(Ordering::Relaxed));
        if now != self.seen {
            (self.seen, self.looks) = (now, 0);
            return false;
        }
        self.looks += 1;
        let is_stuck = self.watch.is_stuck.load(Ordering::Relaxed) != 0;
        let allowed = match phase {
            _ if is_stuck => self.write,
            NEW | HEAD => self.head,
            IDLE => self.idle,
            _ => return false,
        };
        self.looks > allowed
    }
}

/// A connection's bytes, watched.
pub(crate) struct Watched<I> {
    pub(crate) io: I,
    pub(crate) watch: Arc<Watch>,
}

impl<I: Read + Unpin> Read for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // Ready also at the end of the stream, which closes the connection anyway.
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        if polled.is_ready() {
            self.watch.bytes_came();
        }
        polled
    }
}

impl<I: Write + Unpin> Write for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.watch.wrote(polled.is_pending());
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.watch.wrote(polled.is_pending());
        polled
    }
}
