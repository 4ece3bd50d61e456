//! When silence counts. After a start, while the database was away, or when this server itself was held up, nobody
//! knows whether the workers were silent or only unheard; so for a while nothing is declared lost.

use std::time::Duration;

use crate::desk::Moment;

pub struct Grace {
    /// How long each spell of doubt lasts.
    length: Duration,
    /// How late a sweep may come before it doubts itself.
    late: Duration,
    until: Moment,
    /// When the next sweep was meant to come.
    expected: Option<Moment>,
}

impl Grace {
    /// Begins in doubt: the server has just started. `silent`: how long a worker may be silent.
    pub fn new(now: Moment, length: Duration, silent: Duration) -> Self {
        Self {
            length,
            late: silent / 3,
            until: now + length,
            expected: None,
        }
    }

    /// Said before each sweep, with the time until the one after it: whether silence counts in this one.
    pub fn counts(&mut self, now: Moment, every: Duration) -> bool {
        if self
            .expected
            .is_some_and(|expected| now > expected + self.late)
        {
            self.doubt(now);
        }
        self.expected = Some(now + every);
        now >= self.until
    }

    /// Something kept this server from hearing its workers until now.
    pub fn doubt(&mut self, now: Moment) {
        self.until = now + self.length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn grace() -> Grace {
        Grace::new(Duration::ZERO, 30 * SECOND, 30 * SECOND)
    }

    /// One that has listened for a minute.
    fn settled() -> Grace {
        let mut grace = grace();
        for second in 0..60 {
            grace.counts(second * SECOND, SECOND);
        }
        grace
    }

    #[test]
    fn silence_counts_once_the_server_has_listened_long_enough() {
        let mut grace = grace();

        for second in 0..30 {
            assert!(!grace.counts(second * SECOND, SECOND), "{second}");
        }
        assert!(grace.counts(30 * SECOND, SECOND));
    }

    #[test]
    fn a_sweep_that_comes_far_too_late_doubts_itself() {
        let mut grace = settled();

        assert!(grace.counts(70 * SECOND, SECOND), "ten seconds late");
        assert!(!grace.counts(82 * SECOND, SECOND), "eleven seconds late");
        assert!(!grace.counts(92 * SECOND, SECOND));
    }

    #[test]
    fn an_outage_starts_the_doubt_again() {
        let mut grace = settled();

        grace.doubt(60 * SECOND);

        assert!(!grace.counts(61 * SECOND, SECOND));
    }
}
