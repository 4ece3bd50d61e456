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

/// A call that waits is tried because others get through once in so long.
const HURRIED_EVERY: Duration = Duration::from_secs(1);

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
    /// Its token is none, or none any more: somebody may be about to change it.
    Unwelcome,
    /// Nothing that the worker could mend.
    Refused,
}

impl Trouble {
    pub(super) fn of(error: &Error) -> Self {
        match error {
            // Whatever each of them said, it was that it cannot serve now.
            Error::Unreachable { .. } | Error::Several(_) => Self::Away,
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
            (401, _) => Self::Unwelcome,
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
    /// Until when the server wants to be left alone.
    asked: Option<Instant>,
    /// It failed because the server was away, which it may not be any more.
    was_away: bool,
    hurried: Option<Instant>,
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
            asked: None,
            was_away: false,
            hurried: None,
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
        if self.is_waiting(now) {
            return;
        }
        let asked = error.retry_after().unwrap_or_default().min(ASKED_MAX);
        self.wait(now, asked, error);
        self.asked = Some(now + asked);
        self.was_away = true;
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
        self.was_away = false;
    }

    /// Calls of another kind get through: the server is there again, and what has waited long need not wait on. The waits
    /// go on growing if it fails all the same.
    pub(super) fn others_get_through(&mut self, now: Instant) {
        let was_hurried = self.hurried.is_some_and(|at| now < at + HURRIED_EVERY);
        if !self.is_waiting(now) || !self.was_away || was_hurried {
            return;
        }
        self.hurried = Some(now);
        self.until = self.asked.filter(|asked| *asked > now);
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

#[cfg(test)]
mod tests {
    use taskyard_core::random::Seeded;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn problem(retry_after_ms: Option<u64>) -> Error {
        let problem = serde_json::json!({
            "type": "/problems/unavailable", "title": "Database not available", "status": 503,
            "code": "unavailable", "detail": null, "request_id": null, "retry_after_ms": retry_after_ms,
        });
        Error::Problem(serde_json::from_value(problem).expect("it is one"))
    }

    /// After so many failures that it waits for long.
    fn worn_out(now: Instant, error: &Error) -> Retries {
        let mut retries = Retries::of("calls", &mut Seeded::new(1));
        for _ in 0..10 {
            retries.until = None;
            retries.failed(now, error);
        }
        assert!(retries.until() > Some(now + 2 * SECOND));
        retries
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_tried_when_others_get_through_but_not_before_the_server_wants_it() {
        let now = Instant::now();

        let mut retries = worn_out(now, &problem(None));
        retries.others_get_through(now);
        assert!(!retries.is_waiting(now));

        let mut retries = worn_out(now, &problem(Some(2_000)));
        retries.others_get_through(now);
        assert_eq!(retries.until(), Some(now + 2 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn others_that_get_through_all_the_time_do_not_make_it_try_all_the_time() {
        let now = Instant::now();
        let mut retries = worn_out(now, &problem(None));

        let mut tries = 0;
        for tenth in 0..30 {
            let now = now + tenth * SECOND / 10;
            retries.others_get_through(now);
            if !retries.is_waiting(now) {
                tries += 1;
                retries.failed(now, &problem(None));
            }
        }

        assert_eq!(tries, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_not_for_a_server_that_was_away_is_kept() {
        let now = Instant::now();
        let mut retries = Retries::of("calls", &mut Seeded::new(1));
        retries.wait(now, 5 * SECOND, &"it knows nobody");

        retries.others_get_through(now);

        assert!(retries.is_waiting(now + 4 * SECOND));
    }
}
