//! When a failed run is tried again.

use std::time::Duration;

use crate::random::Random;

/// How long a task waits after each failure: `backoff × factorⁿ`, at most `max`, give or take `jitter`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Retry {
    /// The wait after the first failure. Default 1 s.
    pub backoff: Duration,
    /// What each further failure multiplies it by; at least 1. Default 2.
    pub factor: f64,
    /// The longest wait before jitter. Default 10 min.
    pub max: Duration,
    /// The share by which a wait is lengthened or shortened at random, 0 to 1, so that tasks that failed together do
    /// not come back together. Default 0.2.
    pub jitter: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            backoff: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_mins(10),
            jitter: 0.2,
        }
    }
}

impl Retry {
    /// The wait after failure number `failures` (from 1).
    pub fn wait(&self, failures: i32, random: &mut dyn Random) -> Duration {
        // Nothing stays nothing, also times the infinity that the growth of many failures ends in: that is no number.
        if self.backoff.is_zero() {
            return Duration::ZERO;
        }
        let growth = self.factor.powi(failures.saturating_sub(1).max(0));
        let base = (self.backoff.as_secs_f64() * growth).min(self.max.as_secs_f64());
        let spread = 1.0 + self.jitter * (2.0 * random.fraction() - 1.0);
        Duration::try_from_secs_f64(base * spread).unwrap_or(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seeded;

    #[test]
    fn waits_grow_to_the_maximum() {
        let retry = Retry {
            jitter: 0.0,
            ..Retry::default()
        };
        let mut random = Seeded::new(1);

        let seconds: Vec<u64> = [1, 2, 3, 10, 11, 5000]
            .map(|n| retry.wait(n, &mut random).as_secs())
            .to_vec();

        assert_eq!(seconds, [1, 2, 4, 512, 600, 600]);
    }

    #[test]
    fn no_wait_stays_none_after_any_number_of_failures() {
        let mut random = Seeded::new(1);

        for factor in [0.5, 1.0, 2.0, 1000.0] {
            for jitter in [0.0, 0.2, 1.0] {
                let retry = Retry {
                    backoff: Duration::ZERO,
                    factor,
                    jitter,
                    ..Retry::default()
                };
                for failures in [1, 2, 104, 1026, i32::MAX] {
                    let wait = retry.wait(failures, &mut random);
                    assert_eq!(wait, Duration::ZERO, "{factor} {jitter} {failures}");
                }
            }
        }
    }

    #[test]
    fn any_factor_and_number_of_failures_stay_within_the_maximum() {
        let wait = |factor, failures| {
            let retry = Retry {
                factor,
                jitter: 0.0,
                ..Retry::default()
            };
            retry.wait(failures, &mut Seeded::new(1)).as_millis()
        };

        assert_eq!(wait(1.0, i32::MAX), 1000);
        assert_eq!(wait(1000.0, i32::MAX), 600_000);
        // None may be asked for that shrinks, but it would.
        assert_eq!(wait(0.5, 3), 250);
        assert_eq!(wait(0.5, i32::MAX), 0);
    }

    #[test]
    fn jitter_stays_within_its_share_and_is_used() {
        let retry = Retry::default();
        let mut random = Seeded::new(7);

        let waits: Vec<f64> = (0..1000)
            .map(|_| retry.wait(1, &mut random).as_secs_f64())
            .collect();

        assert!(waits.iter().all(|wait| (0.8..=1.2).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < 0.85) && waits.iter().any(|wait| *wait > 1.15));
    }
}
