//! Where servers and the command line read the machine's clocks. The worker's crate has its own: a runtime that was
//! handed no clock, and the guardian.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use taskyard_core::time::Timestamp;

/// A step of the time of day that is worth a line in the log.
const STEP_TOLD: Duration = Duration::from_secs(2);

/// The time of day, as this machine knows it. It may go back.
#[expect(
    clippy::disallowed_methods,
    reason = "everybody else is handed the time by this function"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}

/// The time that a server judges by: the time of day, but where that is set back it goes on from where it was, so
/// that what is due becomes due and what is lost is found.
pub(crate) fn steady() -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
    let steady = Mutex::new(Steady::default());
    Arc::new(move || {
        #[expect(
            clippy::disallowed_methods,
            reason = "everybody else is handed the time by this function"
        )]
        let moment = Instant::now();
        steady.lock().tell(now(), moment)
    })
}

#[derive(Default)]
struct Steady {
    last: Option<(Timestamp, Instant)>,
    /// The time of day is behind, and that was told.
    is_behind: bool,
}

impl Steady {
    fn tell(&mut self, of_day: Timestamp, moment: Instant) -> Timestamp {
        let Some((told, at)) = self.last else {
            self.last = Some((of_day, moment));
            return of_day;
        };
        let going_on = told + moment.saturating_duration_since(at);
        self.note(of_day, going_on);
        let now = of_day.max(going_on);
        self.last = Some((now, moment));
        now
    }

    /// Once a step, not once a call.
    fn note(&mut self, of_day: Timestamp, going_on: Timestamp) {
        let (behind, ahead) = (going_on.since(of_day), of_day.since(going_on));
        if ahead > STEP_TOLD {
            tracing::warn!(
                seconds = ahead.as_secs(),
                "the machine's clock was set forward"
            );
        }
        if behind > STEP_TOLD && !self.is_behind {
            tracing::warn!(
                seconds = behind.as_secs(),
                "the machine's clock was set back; the server's time goes on from where it was"
            );
        }
        self.is_behind = behind > STEP_TOLD;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_where_the_time_of_day_is_set_back_and_follows_it_forward() {
        let mut steady = Steady::default();
        let noon = Timestamp::from_micros(1_790_000_000_000_000);
        #[expect(clippy::disallowed_methods, reason = "only its differences matter")]
        let begun = Instant::now();
        let seconds = Duration::from_secs;

        assert_eq!(steady.tell(noon, begun), noon);
        let set_back = Timestamp::from_micros(noon.as_micros() - 600_000_000);
        assert_eq!(steady.tell(set_back, begun + seconds(5)), noon + seconds(5));
        assert_eq!(
            steady.tell(set_back + seconds(5), begun + seconds(10)),
            noon + seconds(10)
        );
        assert_eq!(
            steady.tell(noon + seconds(3600), begun + seconds(11)),
            noon + seconds(3600)
        );
    }
}
