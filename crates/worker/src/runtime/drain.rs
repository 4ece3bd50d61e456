//! The end of a worker: takes nothing new, lets its runs end, hands back those that take too long, delivers, and goes.

use std::time::Duration;

use futures_util::StreamExt as _;
use taskyard_api::worker::Heartbeat;
use tokio::time::{Instant, timeout};

use super::Runtime;
use super::settings::{Error, Summary};
use super::shutdown::Told;
use crate::executor::Stop;

/// A time that nobody lives to see.
const NEVER: Duration = Duration::from_hours(100 * 365 * 24);

/// How long it may take until what became of a run is known.
const LAST_WORD_WITHIN: Duration = Duration::from_millis(500);

/// How long the server may take to hear that the worker leaves. One that does not hear it finds out in its own time.
const LEAVES_WITHIN: Duration = Duration::from_secs(1);

/// How far the worker is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Working,
    /// Takes nothing new; runs go on until then.
    Draining {
        until: Instant,
    },
    /// Runs have been told to end; those that have not by then are left.
    Leaving {
        until: Instant,
    },
    /// No run is left; results that are not delivered by then are.
    Delivering {
        until: Instant,
    },
}

impl Phase {
    pub(super) fn until(self) -> Option<Instant> {
        match self {
            Self::Working => None,
            Self::Draining { until } | Self::Leaving { until } | Self::Delivering { until } => {
                Some(until)
            }
        }
    }
}

impl Runtime {
    /// The first time it drains, the second it hurries.
    pub(super) fn told_to_stop(&mut self, told: Told) {
        if told.drain {
            self.drain();
        }
        if told.stop > 0 {
            self.drain_within(self.settings.drain_within);
        }
        if told.stop > 1 {
            self.leave(Instant::now());
        }
    }

    /// However long its runs take: nobody waits for its end.
    pub(super) fn drain(&mut self) {
        self.drain_within(NEVER);
    }

    fn drain_within(&mut self, within: Duration) {
        let until = after(Instant::now(), within);
        if let Phase::Draining { until: before } = &mut self.phase {
            *before = until.min(*before);
        }
        if self.phase != Phase::Working {
            return;
        }
        tracing::info!(
            worker = self.settings.name,
            runs = self.hands.count(),
            "the worker takes nothing new and ends its runs"
        );
        self.phase = Phase::Draining { until };
        self.exchanges.drain();
        self.retries.hurry();
        self.beat_retries.hurry();
        self.news_retries.hurry();
    }

    /// Ends the runs that are left; their tasks are handed back.
    fn leave(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Draining { .. }) {
            return;
        }
        // Also one that is dropped at last sends what is left of its log, and is handed back.
        let within = self.settings.stop_within;
        let within = within.saturating_add(self.settings.logs.deliver_within + LAST_WORD_WITHIN);
        self.phase = Phase::Leaving {
            until: after(now, within),
        };
        self.hands.stop_all(Stop::ShuttingDown);
    }

    /// Goes on to the next phase when it is time.
    pub(super) fn move_on(&mut self, now: Instant) {
        let has_runs = self.hands.count() > 0;
        match self.phase {
            Phase::Draining { until } if has_runs && until <= now => self.leave(now),
            // Whoever has not ended by now never will.
            Phase::Leaving { until } if until <= now => self.deliver(now),
            Phase::Draining { .. } | Phase::Leaving { .. } if !has_runs => self.deliver(now),
            Phase::Working
            | Phase::Draining { .. }
            | Phase::Leaving { .. }
            | Phase::Delivering { .. } => {}
        }
    }

    fn deliver(&mut self, now: Instant) {
        self.phase = Phase::Delivering {
            until: after(now, self.settings.deliver_within),
        };
    }

    /// Nothing is left to be done, or no time to do it.
    pub(super) fn is_done(&self) -> bool {
        let Phase::Delivering { until } = self.phase else {
            return false;
        };
        self.all_is_said() || until <= Instant::now()
    }

    fn all_is_said(&self) -> bool {
        self.outbox.is_empty()
            && self.pulse.waiting() == 0
            && self.doubted == 0
            && self.exchanges.is_idle()
    }

    /// Tells the server that the worker is gone from here on, if it holds nothing.
    pub(super) async fn say_that_it_leaves(&mut self) {
        let Some(registered) = &self.registered else {
            return;
        };
        if !self.all_is_said() || self.hands.count() > 0 {
            return;
        }
        let last = Heartbeat {
            held: Vec::new(),
            epoch: Some(registered.epoch),
            leaves: true,
        };
        let Self {
            calls,
            transport,
            name,
            ..
        } = self;
        let says = async {
            // What arrives after the last word would bring the worker back.
            while calls.next().await.is_some() {}
            transport.heartbeat(name, &last).await
        };
        match timeout(LEAVES_WITHIN, says).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "nobody heard that the worker leaves"),
            Err(_) => tracing::debug!("nobody heard in time that the worker leaves"),
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

/// When so much time has passed; a clock does not reach as far as a [`Duration`] does.
fn after(now: Instant, within: Duration) -> Instant {
    now + within.min(NEVER)
}
