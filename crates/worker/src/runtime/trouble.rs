//! What a failed call means for the worker, and how long it then waits.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use taskyard_api::client::Error;
use taskyard_api::problem::Problem;
use taskyard_core::random::Random;
use tokio::time::Instant;

/// The first wait, which doubles each time. Jitter adds up to as much again, so none is longer than 10 s.
const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The longest wait that a server may ask for.
const ASKED_MAX: Duration = Duration::from_mins(1);

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The server cannot serve now; the same again later.
    Away,
    /// The server does not know the worker: it has to register again.
    Unknown,
    /// Another process has the worker's name.
    Replaced,
    /// Something in the body does not fit the server's limits.
    Unfit,
    /// Nothing that the worker could mend.
    Refused,
}

impl Trouble {
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::Unreachable { .. } => Self::Away,
            // A proxy in between has limits of its own. Whatever else it says, it has no word for a worker: the server
            // behind it is away, or will be there.
            Error::Unexpected { status: 413, .. } => Self::Unfit,
            Error::Unexpected { .. } => Self::Away,
            Error::Unusable(_) => Self::Refused,
            Error::Problem(problem) => Self::of_problem(problem),
        }
    }

    pub(super) fn of_problem(problem: &Problem) -> Self {
        match (problem.status, problem.code.as_str()) {
            _ if problem.is_worth_repeating() => Self::Away,
            (404, _) => Self::Unknown,
            (409, "worker_replaced") => Self::Replaced,
            (400 | 413 | 422, _) => Self::Unfit,
            _ => Self::Refused,
        }
    }
}

/// Waits that grow from failure to failure, and are forgotten at the first success.
pub(super) struct Retries {
    /// Of what, for the log.
    what: &'static str,
    policy: ExponentialBuilder,
    waits: Option<<ExponentialBuilder as BackoffBuilder>::Backoff>,
    until: Option<Instant>,
    failures: u32,
}

impl Retries {
    pub(super) fn of(what: &'static str, random: &mut dyn Random) -> Self {
        Self {
            what,
            policy: ExponentialBuilder::new()
                .with_min_delay(WAIT_MIN)
                .with_max_delay(WAIT_MAX)
                .with_jitter()
                .with_jitter_seed(random.bits())
                .without_max_times(),
            waits: None,
            until: None,
            failures: 0,
        }
    }

    /// Until when nothing is to be tried.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// When something that is due then may be tried.
    pub(super) fn not_before(&self, due: Option<Instant>) -> Option<Instant> {
        due.map(|due| self.until.map_or(due, |until| due.max(until)))
    }

    pub(super) fn is_waiting(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until > now)
    }

    /// Notes a failure; said aloud once, until something succeeds again. Calls that fail together count once.
    pub(super) fn failed(&mut self, now: Instant, error: &Error) {
        let asked = match error {
            Error::Problem(problem) => problem.retry_after_ms.map(Duration::from_millis),
            Error::Unreachable { .. } | Error::Unexpected { .. } | Error::Unusable(_) => None,
        };
        self.wait(now, asked.unwrap_or_default().min(ASKED_MAX), error);
    }

    pub(super) fn wait(&mut self, now: Instant, at_least: Duration, why: &dyn std::fmt::Display) {
        if self.is_waiting(now) {
            return;
        }
        if self.failures == 0 {
            tracing::warn!(error = %why, "{} do not get through; they are kept and tried again", self.what);
        }
        self.failures += 1;
        let policy = self.policy;
        let waits = self.waits.get_or_insert_with(|| policy.build());
        let wait = waits.next().unwrap_or(WAIT_MAX).max(at_least);
        self.until = Some(now + wait);
    }

    pub(super) fn succeeded(&mut self) {
        if self.failures > 0 {
            tracing::info!(failures = self.failures, "{} get through again", self.what);
        }
        self.hurry();
        self.failures = 0;
    }

    /// The next try need not wait.
    pub(super) fn hurry(&mut self) {
        self.waits = None;
        self.until = None;
    }
}
