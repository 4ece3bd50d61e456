//! What the server takes, as it told when the worker registered; what servers take by default until then, and where it
//! does not tell. They are told again with each registration, those that go by the lease with each heartbeat as well, and but for the time to end hold for runs under way as well.

use std::time::Duration;

use taskyard_api::worker::{self, Registered, TIMEOUT_MARGIN_MS};
use taskyard_core::policy::Policy;

/// What a call holds of a run or a result besides its payloads, about, and rather more than less.
pub(super) const FRAME_BYTES: usize = 1 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Runs that a heartbeat names, and results of a report.
    pub(super) runs: usize,
    /// Tasks that one claim asks for.
    pub(super) claim: usize,
    /// Bytes that calls are filled to, half of what the server takes. What is longer goes alone.
    pub(super) call_bytes: usize,
    /// Bytes of a checkpoint.
    pub(super) checkpoint_bytes: usize,
    /// Bytes of the message beside a progress.
    pub(super) message_bytes: usize,
    /// How long a run whose time is up may take to end, four fifths of what the server gives it: then its result counts
    /// no more, and another run may begin.
    pub(super) timed_out_within: Duration,
    /// How long leases last.
    pub(super) lease: Duration,
    /// How long a run whose lease is lost may take to end: another one has perhaps begun.
    pub(super) lost_within: Duration,
    /// After so long without an answer to what named it, an exclusive run is ended, so that it has ended when two thirds
    /// of its lease have gone by: a lease that was confirmed lasts so long at least.
    pub(super) unconfirmed_within: Duration,
}

/// What a run has at most to end in whose lease is lost; a sixth of the lease where that is less.
const LOST_WITHIN: Duration = Duration::from_secs(2);

impl Default for Limits {
    fn default() -> Self {
        let lease = Policy::default().lease;
        Self::new(&worker::Limits::default(), TIMEOUT_MARGIN_MS, lease)
    }
}

impl Limits {
    pub(super) fn of(registered: &Registered) -> Self {
        let lease = Duration::from_millis(registered.lease_ms);
        Self::new(&registered.limits, registered.timeout_margin_ms, lease)
    }

    /// One at least of everything that is counted, whatever is told.
    fn new(told: &worker::Limits, timeout_margin_ms: u64, lease: Duration) -> Self {
        let lost_within = LOST_WITHIN.min(lease / 6);
        let carried = told.body_bytes_max.saturating_sub(FRAME_BYTES);
        Self {
            runs: told.runs_max.max(1),
            claim: told.claim_max.max(1),
            call_bytes: told.body_bytes_max / 2,
            // One that no heartbeat can carry is of no use.
            checkpoint_bytes: told.checkpoint_bytes_max.min(carried),
            message_bytes: told.message_bytes_max,
            timed_out_within: Duration::from_millis(timeout_margin_ms) / 5 * 4,
            lease,
            lost_within,
            unconfirmed_within: (lease * 2 / 3).saturating_sub(lost_within),
        }
    }

    /// How many runs without news may be named in one heartbeat.
    pub(super) fn bare_runs(&self) -> usize {
        (self.call_bytes / FRAME_BYTES).clamp(1, self.runs)
    }
}
