//! The database's clock, without asking it each time: what it said last, plus the time that has passed here since.

use std::time::Duration;

use taskyard_core::time::Timestamp;
use tokio::time::Instant;

/// How old an answer of the database may get.
const READ_EVERY: Duration = Duration::from_secs(1);
/// Answers take different times to arrive, so a newer one may seem a little earlier. What is more than that is a
/// clock that was set back, and is followed.
const JITTER_MAX: Duration = Duration::from_secs(1);

/// Never ahead of the database's own clock: an answer is taken as if it had been on its way for no time.
#[derive(Default)]
pub(super) struct DatabaseClock {
    read: Option<(Timestamp, Instant)>,
    told: Timestamp,
}

impl DatabaseClock {
    pub(super) fn is_stale(&self, at: Instant) -> bool {
        self.read
            .is_none_or(|(_, received)| at.duration_since(received) >= READ_EVERY)
    }

    pub(super) fn received(&mut self, said: Timestamp, at: Instant) {
        self.read = Some((said, at));
    }

    pub(super) fn now(&mut self, at: Instant) -> Timestamp {
        let (said, received) = self.read.expect("read when the connection was made");
        let now = said + at.duration_since(received);
        if self.told.since(now) > JITTER_MAX {
            self.told = now;
        }
        self.told = self.told.max(now);
        self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn time_passes_between_two_answers() {
        let (mut clock, start) = (DatabaseClock::default(), Instant::now());
        clock.received(at(5_000_000), start);

        assert_eq!(clock.now(start + Duration::from_millis(300)), at(5_300_000));
        assert!(!clock.is_stale(start + Duration::from_millis(999)));
        assert!(clock.is_stale(start + Duration::from_secs(1)));
    }

    #[test]
    fn a_slow_answer_does_not_turn_time_back_but_a_clock_set_back_does() {
        let (mut clock, start) = (DatabaseClock::default(), Instant::now());
        clock.received(at(50_000_000), start);
        assert_eq!(clock.now(start), at(50_000_000));

        clock.received(at(49_900_000), start);
        assert_eq!(clock.now(start), at(50_000_000));

        clock.received(at(10_000_000), start);
        assert_eq!(clock.now(start), at(10_000_000));
    }
}
