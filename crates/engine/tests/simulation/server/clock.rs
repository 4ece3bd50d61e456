//! What a server takes for the time. Its readings never go back.
//!
//! On PostgreSQL it is the database's time as last read, and what has passed since by the server's own count: behind the
//! true time by the way of the answer, and by as much more as the machine was suspended, until it is read again. On
//! SQLite it is the clock of the machine, which somebody may set.

use std::time::Duration;

use taskyard_core::time::Timestamp;

pub(super) struct Clock {
    /// How far it is off, in microseconds; behind the true time if negative.
    off: i64,
    latest: Timestamp,
}

impl Clock {
    pub(super) fn behind_by(lag: Duration) -> Self {
        let mut clock = Self {
            off: 0,
            latest: Timestamp::default(),
        };
        clock.set_behind(lag);
        clock
    }

    pub(super) fn set_behind(&mut self, lag: Duration) {
        self.off = -micros(lag);
    }

    /// The machine was suspended, and its count of the time with it.
    pub(super) fn stood_still(&mut self, pause: Duration) {
        self.off -= micros(pause);
    }

    pub(super) fn set_ahead(&mut self, by: Duration) {
        self.off = micros(by);
    }

    pub(super) fn now(&mut self, true_time: Timestamp) -> Timestamp {
        let shown = Timestamp::from_micros(true_time.as_micros() + self.off);
        self.latest = self.latest.max(shown);
        self.latest
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).expect("hours at most")
}
