//! The end of a worker: takes nothing new, lets its runs end, hands back those that take too long, and goes.

use std::time::Duration;

use tokio::time::Instant;

use super::Runtime;
use super::settings::{Error, Summary};
use crate::executor::Stop;

/// How long results may take to be delivered when every run has been told to end, beyond what that takes.
const DELIVER_WITHIN: Duration = Duration::from_secs(10);

/// How far the worker is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Working,
    /// Takes nothing new; runs go on until then.
    Draining {
        until: Instant,
    },
    /// Runs have been told to end; what is not delivered by then is left.
    Leaving {
        until: Instant,
    },
}

impl Phase {
    pub(super) fn until(self) -> Option<Instant> {
        match self {
            Self::Working => None,
            Self::Draining { until } | Self::Leaving { until } => Some(until),
        }
    }
}

impl Runtime {
    /// The first time it drains, the second it hurries.
    pub(super) fn told_to_stop(&mut self, times: u32) {
        self.drain();
        if times > 1 {
            self.leave();
        }
    }

    pub(super) fn drain(&mut self) {
        if self.phase != Phase::Working {
            return;
        }
        tracing::info!(
            worker = self.settings.name,
            runs = self.hands.count(),
            "the worker takes nothing new and ends its runs"
        );
        self.phase = Phase::Draining {
            until: Instant::now() + self.settings.drain_within,
        };
        self.exchanges.drain();
        self.retries.hurry();
        self.beat_retries.hurry();
    }

    /// Ends the runs that are left; their tasks are handed back.
    fn leave(&mut self) {
        if matches!(self.phase, Phase::Leaving { .. }) {
            return;
        }
        self.phase = Phase::Leaving {
            until: Instant::now() + self.settings.stop_within + DELIVER_WITHIN,
        };
        self.hands.stop_all(Stop::ShuttingDown);
    }

    /// Goes on to the next phase when it is time.
    pub(super) fn move_on(&mut self, now: Instant) {
        match self.phase {
            Phase::Draining { until } if until <= now => self.leave(),
            Phase::Working | Phase::Draining { .. } | Phase::Leaving { .. } => {}
        }
    }

    /// Nothing is left to be done, or no time to do it.
    pub(super) fn is_done(&self) -> bool {
        let is_empty = self.hands.count() == 0
            && self.outbox.is_empty()
            && self.pulse.waiting() == 0
            && self.exchanges.is_idle();
        match self.phase {
            Phase::Working => false,
            Phase::Draining { .. } => is_empty,
            Phase::Leaving { until } => is_empty || until <= Instant::now(),
        }
    }

    pub(super) fn farewell(&mut self) -> Summary {
        self.pulse.give_up(&mut self.outbox);
        let undelivered = self.outbox.len() + self.exchanges.results_in_air();
        if undelivered > 0 {
            tracing::warn!(
                undelivered,
                "results could not be delivered; their tasks will run again"
            );
        }
        self.summary.undelivered = undelivered as u64;
        self.summary
    }

    /// Ends the runs of a worker that has no business any more.
    pub(super) async fn end_for(&mut self, error: &Error) {
        let why = match error {
            // Somebody else may be running them already.
            Error::Replaced(_) => Stop::LeaseLost,
            Error::Refused(_) => Stop::ShuttingDown,
        };
        self.hands.end_all(why).await;
    }
}
