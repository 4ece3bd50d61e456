//! When silence counts. After a start, while the database was away, or when this server itself was held up, nobody
//! knows whether the workers were silent or only unheard; so for a while nothing is declared lost. The same where the
//! clock was set forward, or the machine slept: what the workers said last is older by it than it is, and so is every
//! run. And where it was set back: every lease then ends later by it, too late to be believed if it was much, and its
//! worker has yet to renew it.

use std::time::Duration;

use taskyard_core::time::Timestamp;
use taskyard_core::verbs::expire::{ClockSteps, Sight, Step};

use crate::desk::Moment;

pub struct Grace {
    /// How long each spell of doubt lasts.
    length: Duration,
    /// How late a sweep may come before it doubts itself, and how far the clock may be from where it should be.
    apart_max: Duration,
    until: Moment,
    /// When the next sweep was meant to come.
    expected: Option<Moment>,
    /// When the last sweep came, and what the clock showed.
    last: Option<(Moment, Timestamp)>,
    steps: ClockSteps,
}

impl Grace {
    /// Begins in doubt: the server has just started. `silent`: how long a worker may be silent.
    pub fn new(now: Moment, length: Duration, silent: Duration) -> Self {
        Self {
            length,
            apart_max: Sight::apart_max(silent),
            until: now + length,
            expected: None,
            last: None,
            steps: ClockSteps::default(),
        }
    }

    /// Said before each sweep, with what the clock shows and the time until the sweep after this one: whether silence
    /// counts in it.
    pub fn counts(&mut self, now: Moment, clock: Timestamp, every: Duration) -> bool {
        let expected = self.expected.unwrap_or(now);
        if now > expected + self.apart_max {
            tracing::warn!(
                late_s = now.saturating_sub(expected).as_secs(),
                grace_s = self.length.as_secs(),
                "this server stood still, or its database did not answer: nobody is taken for silent for the time of grace"
            );
            self.doubt(now);
        }
        if let Some((then, showed)) = self.last.replace((now, clock)) {
            self.hold_against(showed + now.saturating_sub(then), clock, now);
        }
        self.expected = Some(now + every);
        now >= self.until
    }

    /// The next sweep comes so much later than was said.
    pub fn rests(&mut self, rest: Duration) {
        self.expected = self.expected.map(|expected| expected + rest);
    }

    /// What the clock shows against what it would if it had gone as time has.
    fn hold_against(&mut self, should: Timestamp, clock: Timestamp, now: Moment) {
        let (ahead, behind) = (clock.since(should), should.since(clock));
        if ahead > self.apart_max {
            tracing::warn!(
                seconds = ahead.as_secs(),
                "the clock was set forward, or this machine slept: runs under way get so much more time"
            );
            self.steps.add(Step {
                at: clock,
                by: ahead,
            });
            self.doubt(now);
        }
        self.steps.back_to(clock, behind);
        if behind > self.apart_max {
            tracing::warn!(
                seconds = behind.as_secs(),
                "the clock was set back: nobody is taken for silent until the workers could renew their leases"
            );
            self.doubt(now);
        }
    }

    /// When the clock was set forward since this server began, and how far.
    pub fn steps(&self) -> ClockSteps {
        self.steps
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
    const NOON: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

    fn grace() -> Grace {
        Grace::new(Duration::ZERO, 30 * SECOND, 30 * SECOND)
    }

    /// With a clock that goes as time does.
    fn counts(grace: &mut Grace, now: Moment) -> bool {
        grace.counts(now, NOON + now, SECOND)
    }

    /// One that has listened for a minute.
    fn settled() -> Grace {
        let mut grace = grace();
        for second in 0..60 {
            counts(&mut grace, second * SECOND);
        }
        grace
    }

    #[test]
    fn silence_counts_once_the_server_has_listened_long_enough() {
        let mut grace = grace();

        for second in 0..30 {
            assert!(!counts(&mut grace, second * SECOND), "{second}");
        }
        assert!(counts(&mut grace, 30 * SECOND));
    }

    #[test]
    fn a_sweep_that_comes_far_too_late_doubts_itself() {
        let mut grace = settled();

        assert!(counts(&mut grace, 70 * SECOND), "ten seconds late");
        assert!(!counts(&mut grace, 82 * SECOND), "eleven seconds late");
        assert!(!counts(&mut grace, 92 * SECOND));
    }

    #[test]
    fn a_sweep_that_rested_is_not_late_for_it() {
        let mut grace = settled();
        for round in 0..10 {
            let now = (60 + 14 * round) * SECOND;

            assert!(counts(&mut grace, now), "{round}");
            // It took nine seconds, which with the rest is more than a sweep may be late.
            grace.rests(4 * SECOND);
        }
    }

    #[test]
    fn an_outage_starts_the_doubt_again() {
        let mut grace = settled();

        grace.doubt(60 * SECOND);

        assert!(!counts(&mut grace, 61 * SECOND));
    }

    #[test]
    fn a_clock_that_is_set_forward_starts_the_doubt_and_is_remembered() {
        let (mut grace, hour) = (settled(), Duration::from_hours(1));
        // A little is what clocks are set by all the time.
        assert!(grace.counts(60 * SECOND, NOON + 70 * SECOND, SECOND));
        assert_eq!(grace.steps(), ClockSteps::default());

        let clock = NOON + hour + 71 * SECOND;
        assert!(!grace.counts(61 * SECOND, clock, SECOND));

        let mut steps = ClockSteps::default();
        steps.add(Step {
            at: clock,
            by: hour,
        });
        assert_eq!(grace.steps(), steps);
        for second in 62..91 {
            let clock = NOON + hour + (10 + second) * SECOND;
            assert!(!grace.counts(second * SECOND, clock, SECOND), "{second}");
        }
        let clock = NOON + hour + 101 * SECOND;
        assert!(grace.counts(91 * SECOND, clock, SECOND));
    }

    #[test]
    fn a_step_that_was_taken_back_is_forgotten() {
        let (mut grace, hour) = (settled(), Duration::from_hours(1));
        grace.counts(60 * SECOND, NOON + 60 * SECOND + hour, SECOND);
        assert_ne!(grace.steps(), ClockSteps::default());

        grace.counts(61 * SECOND, NOON + 61 * SECOND, SECOND);

        assert_eq!(grace.steps(), ClockSteps::default());
    }

    #[test]
    fn a_little_that_is_taken_back_of_a_step_leaves_the_rest_of_it() {
        let (mut grace, hour) = (settled(), Duration::from_hours(1));
        grace.counts(60 * SECOND, NOON + 60 * SECOND + hour, SECOND);

        let clock = NOON + 58 * SECOND + hour;
        grace.counts(61 * SECOND, clock, SECOND);

        let mut steps = ClockSteps::default();
        steps.add(Step {
            at: clock,
            by: hour - 3 * SECOND,
        });
        assert_eq!(grace.steps(), steps);
    }

    #[test]
    fn a_clock_that_is_set_back_starts_the_doubt() {
        for (back, counts) in [(10, true), (11, false), (7200, false)] {
            let mut grace = settled();

            let clock = NOON + 60 * SECOND - back * SECOND;
            let mut in_seconds = |passed: u32| {
                let passed = passed * SECOND;
                grace.counts(60 * SECOND + passed, clock + passed, 29 * SECOND)
            };

            assert_eq!(in_seconds(0), counts, "{back} s");
            assert_eq!(in_seconds(29), counts, "{back} s");
            assert!(in_seconds(30), "{back} s");
        }
    }

    #[test]
    fn each_time_that_the_clock_is_set_forward_is_remembered_by_itself() {
        let mut grace = settled();
        let mut expected = ClockSteps::default();
        let mut ahead = Duration::ZERO;
        for night in 0..3 {
            let now = (60 + night) * SECOND;
            ahead += Duration::from_hours(8);

            grace.counts(now, NOON + now + ahead, SECOND);

            expected.add(Step {
                at: NOON + now + ahead,
                by: Duration::from_hours(8),
            });
        }
        assert_eq!(grace.steps(), expected);
    }
}
