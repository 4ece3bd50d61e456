//! What a server takes for the time.
//!
//! On PostgreSQL it is the database's time as last read, and what has passed since by the server's own count: behind it by
//! the way of the answer, and by as much more as the machine was suspended, until it is read again. Where the database's
//! is set back, so are the readings that come after. On SQLite it is the machine's time of day, which somebody may set;
//! where that is set back, the server's goes on from where it was until the server starts again.

use std::time::Duration;

use taskyard_core::time::Timestamp;

/// In microseconds from the true time; behind it if negative.
pub(crate) type Error = i64;

/// How old a reading of the database's time may get.
const READ_EVERY: Duration = Duration::from_secs(1);
/// A reading that is earlier by no more than this came late; one that is earlier by more is of a clock that was set back.
const JITTER_MAX: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Clock {
    time_of_day: Error,
    error: Error,
    latest: Timestamp,
    /// When the database's was read, by the true time.
    read: Option<Timestamp>,
}

impl Clock {
    /// Of a server that starts on the same machine.
    pub(super) fn restarted(&self) -> Self {
        Self {
            time_of_day: self.time_of_day,
            error: self.time_of_day,
            latest: Timestamp::default(),
            read: None,
        }
    }

    pub(super) fn is_stale(&self, true_time: Timestamp) -> bool {
        self.read.is_none_or(|read| read + READ_EVERY <= true_time)
    }

    /// The database's time was read.
    pub(super) fn read(&mut self, database: Error, lag: Duration, true_time: Timestamp) {
        self.error = database - micros(lag);
        self.read = Some(true_time);
    }

    /// The machine was suspended, and its count of the time with it.
    pub(super) fn stood_still(&mut self, pause: Duration) {
        self.error -= micros(pause);
        self.read = self.read.map(|read| read + pause);
    }

    pub(super) fn set_time_of_day(&mut self, to: Error) {
        self.time_of_day = to;
        self.error = self.error.max(to);
    }

    pub(super) fn now(&mut self, true_time: Timestamp) -> Timestamp {
        let shown = Timestamp::from_micros(true_time.as_micros() + self.error);
        if self.read.is_some() && self.latest.since(shown) > JITTER_MAX {
            self.latest = shown;
        }
        self.latest = self.latest.max(shown);
        self.latest
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).expect("hours at most")
}
