//! Checkpoints: the log's pages are moved into the database, so that the log can start over.
//!
//! A thread with a connection of its own does the bulk of it beside the writer. It never catches up with one that
//! goes on writing, so it tells the writer when only a rest is left; the writer moves that between two batches,
//! when nothing is added, and its next write starts the log over. `passive` throughout: nobody waits for a lock.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::error::is_failed_sync;
use super::log::{GiveUp, Log};
use super::threads::named;

/// A log of fewer pages goes on: starting over would cost the writer more than it saves.
const PAGES_MIN: i64 = 1000;

#[derive(Default)]
struct Signals {
    seen: Mutex<Seen>,
    /// The thread sleeps until something was written, or all is over.
    changed: Condvar,
    /// The rest is for the writer.
    rest: AtomicBool,
}

#[derive(Default)]
struct Seen {
    /// Something was written since the thread last looked.
    written: bool,
    closing: bool,
}

impl Signals {
    fn wrote(&self) {
        let was_written = std::mem::replace(&mut self.seen.lock().written, true);
        if !was_written {
            self.changed.notify_one();
        }
    }

    fn close(&self) {
        self.seen.lock().closing = true;
        self.changed.notify_one();
    }

    /// Some time after something was written, or false once all is over.
    fn next(&self, every: Duration) -> bool {
        let mut seen = self.seen.lock();
        let nothing = |seen: &mut Seen| !seen.written && !seen.closing;
        self.changed.wait_while(&mut seen, nothing);
        let open = |seen: &mut Seen| !seen.closing;
        self.changed.wait_while_for(&mut seen, open, every);
        seen.written = false;
        !seen.closing
    }
}

pub(super) struct Checkpoints {
    log: Arc<Log>,
    log_bytes_max: u64,
    signals: Arc<Signals>,
    give_up: GiveUp,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    pub(super) fn start(
        connection: Connection,
        log: Arc<Log>,
        every: Duration,
        log_bytes_max: u64,
        give_up: GiveUp,
    ) -> io::Result<Self> {
        let signals = Arc::new(Signals::default());
        let (seen, failed) = (Arc::clone(&signals), give_up.clone());
        let thread = named("sqlite-checkpoint")
            .spawn(move || keep_moving(&connection, every, &seen, &failed))?;
        Ok(Self {
            log,
            log_bytes_max,
            signals,
            give_up,
            thread: Some(thread),
        })
    }

    /// For the writer, between two batches.
    pub(super) fn between_batches(&self, connection: &Connection) {
        self.signals.wrote();
        let too_long = || self.log.len().is_ok_and(|bytes| bytes > self.log_bytes_max);
        if (self.signals.rest.swap(false, Ordering::SeqCst) || too_long())
            && let Err(error) = passive(connection, &self.give_up)
        {
            tracing::debug!(%error, "the log could not be moved into the database; the thread goes on trying");
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.signals.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn keep_moving(connection: &Connection, every: Duration, signals: &Signals, give_up: &GiveUp) {
    let mut works = true;
    while signals.next(every) {
        match passive(connection, give_up) {
            Ok(Moved { pages, all }) => {
                if !all {
                    // Somebody reads from before, or the writer was at it.
                    signals.wrote();
                }
                signals.rest.fetch_or(pages >= PAGES_MIN, Ordering::SeqCst);
                works = true;
            }
            Err(error) => {
                signals.wrote();
                // Once, not ten times a second; a full disk for one takes a while to be cleared.
                if std::mem::take(&mut works) {
                    tracing::warn!(%error, "the log cannot be moved into the database and grows; it is tried again");
                }
            }
        }
    }
}

struct Moved {
    /// In the log.
    pages: i64,
    all: bool,
}

fn passive(connection: &Connection, give_up: &GiveUp) -> Result<Moved, rusqlite::Error> {
    let moved = connection
        .prepare_cached("pragma wal_checkpoint(passive)")?
        .query_row([], |row| {
            let (busy, pages, moved): (bool, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Moved {
                pages,
                all: !busy && pages == moved,
            })
        });
    if let Err(error) = &moved
        && is_failed_sync(error)
    {
        let file = connection.path().map(Path::new);
        give_up.after("moving the log into the database", file, error);
    }
    moved
}
