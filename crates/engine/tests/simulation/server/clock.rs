//! What a server takes for the time. Its readings never go back.
//!
//! On PostgreSQL it is the database's time as last read, and what has passed since by the server's own count: behind the
//! true time by the way of the answer, and by as much more as the machine was suspended, until it is read again. On
//! SQLite it is the machine's time of day, which somebody may set; where that is set back, the server's goes on from
//! where it was until the server starts again.

use std::time::Duration;

use taskyard_core::time::Timestamp;

/// In microseconds from the true time; behind it if negative.
type Error = i64;

#[derive(Default)]
pub(super) struct Clock {
    time_of_day: Error,
    error: Error,
    latest: Timestamp,
}

impl Clock {
    /// Of a server that starts on the same machine.
    pub(super) fn restarted(&self) -> Self {
        Self {
            time_of_day: self.time_of_day,
            error: self.time_of_day,
            latest: Timestamp::default(),
        }
    }

    /// The database's time was read.
    pub(super) fn read(&mut self, lag: Duration) {
        self.error = -micros(lag);
    }

    /// The machine was suspended, and its count of the time with it.
    pub(super) fn stood_still(&mut self, pause: Duration) {
        self.error -= micros(pause);
    }

    pub(super) fn set_time_of_day(&mut self, ahead: bool, by: Duration) {
        self.time_of_day = if ahead { micros(by) } else { -micros(by) };
        self.error = self.error.max(self.time_of_day);
    }

    pub(super) fn now(&mut self, true_time: Timestamp) -> Timestamp {
        let shown = Timestamp::from_micros(true_time.as_micros() + self.error);
        self.latest = self.latest.max(shown);
        self.latest
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).expect("hours at most")
}
