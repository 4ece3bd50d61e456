//! Runs that the sweep took away: why, and whether it had to be. Whoever is heard loses nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use taskyard_core::id::{Epoch, Fence, RunKey, TaskId, WorkerNumber};
use taskyard_core::query::{Standing, TaskView, WorkerView};
use taskyard_core::rows::Lease;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::expire::Sight;

use crate::invariants::Moment;
use crate::ledger::Ledger;
use crate::options::GRACE;
use crate::surroundings::Surroundings;

/// How far a clock is set that a sweep has to notice: further than its measures may be wrong, all together.
pub(crate) const NOTICED: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    TooLong,
    NewerProcess,
    ServerEnded,
    Silence,
    NotRenewed,
    BeyondBelief,
    Killed,
}

impl Reason {
    /// `None` for a run that ended by somebody's word. What a carry says of its last error may be of a run before.
    fn of(view: &TaskView, lease: &Lease) -> Option<Self> {
        let carry = view.carry.as_ref();
        let (error, reported) = match &view.standing {
            Standing::Ended(outcome) => (outcome.error.as_ref(), outcome.reported),
            Standing::Scheduled(_) | Standing::Ready | Standing::Leased(_) => (
                carry.and_then(|carry| carry.error.here()),
                carry.and_then(|carry| carry.reported),
            ),
        };
        if reported.is_some_and(|reported| reported.fence == lease.fence) {
            return None;
        }
        error.and_then(|error| match (&*error.code, &*error.message) {
            ("timeout", _) => Some(Self::TooLong),
            ("worker_killed", _) => Some(Self::Killed),
            (_, "another process took this worker's name") => Some(Self::NewerProcess),
            (_, "its server has ended") => Some(Self::ServerEnded),
            (_, "the worker gave no sign of life") => Some(Self::Silence),
            (_, "the worker did not renew the lease") => Some(Self::NotRenewed),
            (_, "the lease ends later than any that is given now, and was not renewed") => {
                Some(Self::BeyondBelief)
            }
            _ => None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::TooLong => "sweep_ends_a_run_that_takes_too_long",
            Self::NewerProcess => "run_is_lost_to_a_newer_process",
            Self::ServerEnded => "run_is_lost_with_its_server",
            Self::Silence => "run_is_lost_in_silence",
            Self::NotRenewed => "run_is_lost_unrenewed",
            Self::BeyondBelief => "run_is_lost_beyond_belief",
            Self::Killed => "run_goes_back_from_a_killed_worker",
        }
    }
}

/// What was learned of runs that were taken away.
#[derive(Default)]
pub(crate) struct Losses {
    /// Why runs were taken away.
    reasons: BTreeMap<(TaskId, Fence), Reason>,
    /// Whose worker must have been silent, or replaced.
    suspects: Vec<(WorkerNumber, Epoch)>,
    /// Until when each worker was heard, when the rows were last looked at.
    expiries: BTreeMap<WorkerNumber, Timestamp>,
    /// Taken away by a sweep while silence did not count.
    pub(crate) in_grace: Vec<RunKey>,
}

/// This run is over, as far as anybody has looked just now.
pub(crate) fn note(view: &TaskView, lease: &Lease, ledger: &mut Ledger, moment: &Moment<'_>) {
    let now = moment.now;
    let Some(reason) = Reason::of(view, lease) else {
        return;
    };
    ledger.tally.count(reason.name());
    if lease.is_exclusive {
        ledger.tally.count("exclusive_run_is_taken_away");
    }
    // Where a clock gave it that was far ahead, nobody waits for its end.
    let is_believed = lease.expires_at <= moment.policy.believed_until(now);
    assert!(
        !lease.is_exclusive || lease.expires_at <= now || !is_believed,
        "an exclusive run ends with its lease, not before: {reason:?} {lease:?}"
    );
    let run = (view.task.id, lease.fence);
    ledger.losses.reasons.insert(run, reason);
    match reason {
        Reason::TooLong => assert!(
            lease
                .deadline
                .is_none_or(|deadline| deadline + moment.policy.timeout_margin <= now),
            "a run is taken away when its time is up: {lease:?}"
        ),
        Reason::NotRenewed => assert!(
            lease.expires_at <= now,
            "I8: a lease is lost once it has expired: {lease:?}"
        ),
        Reason::BeyondBelief => assert!(
            lease.expires_at > moment.policy.believed_until(now),
            "I8: a lease is lost that a clock gave which was ahead: {lease:?}"
        ),
        Reason::NewerProcess | Reason::Silence => {
            let whose = (lease.worker, lease.epoch);
            ledger.losses.suspects.push(whose);
        }
        Reason::Killed => costs_nothing(view, ledger),
        Reason::ServerEnded => {}
    }
}

/// A run that somebody's decision ended is neither a failure nor a loss of its task.
fn costs_nothing(view: &TaskView, ledger: &Ledger) {
    let before = ledger.known.tasks[&view.task.id].counts();
    let after = view.counts();
    assert!(
        (before.failures, before.losses) == (after.failures, after.losses),
        "to kill a worker costs its tasks nothing: {before:?}, {view:?}"
    );
}

/// Silence does not count for a while once the database's clock was set, nor by what was seen before: unless the sweep
/// was held up between its two looks at the clock for so long that it may seem as if nothing had happened.
pub(crate) fn check_sight(sight: Sight, seen_at: Timestamp, now: Timestamp, around: &Surroundings) {
    let age_max = Sight::apart_max(around.policy.heartbeat_ttl);
    let counts = !sight.grace && sight.at <= now && now.since(sight.at) <= age_max;
    let was_held_up = around.now.since(seen_at) >= NOTICED;
    let set_at = around.database_clock.set_at;
    assert!(
        !counts || was_held_up || set_at.is_none_or(|at| at + GRACE <= seen_at),
        "a sweep trusts its sight, though the clock was set: {sight:?} at {now}"
    );
}

impl Losses {
    pub(crate) fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// A worker that lost runs for its silence, or to a newer process, was silent or replaced; its next sign of life may
    /// be of the same commit.
    pub(crate) fn check_workers(&mut self, workers: &[WorkerView], moment: &Moment<'_>) {
        for (number, epoch) in self.suspects.drain(..) {
            let row = workers.iter().find(|view| view.worker.number == number);
            let Some(row) = row.map(|view| &view.worker) else {
                continue;
            };
            let was_silent = self
                .expiries
                .get(&number)
                .is_some_and(|before| *before <= moment.now);
            let renewed_just_now = row.expires_at == moment.now + moment.policy.heartbeat_ttl;
            let is_silent = row.expires_at <= moment.now || was_silent || renewed_just_now;
            assert!(
                row.epoch > epoch || is_silent,
                "I8: a worker that is heard loses nothing: {row:?}"
            );
        }
        // Those that are forgotten meanwhile are not listed; what was known of them stays true until they come back.
        let expiries = workers.iter().map(|view| &view.worker);
        let expiries = expiries.map(|row| (row.number, row.expires_at));
        self.expiries.extend(expiries);
    }

    /// While a server doubts itself it takes nothing away for silence.
    pub(crate) fn check_grace(&mut self) {
        for run in self.in_grace.drain(..) {
            let reason = self.reasons.get(&(run.slot.task, run.fence));
            let is_silence = matches!(
                reason,
                Some(Reason::Silence | Reason::NotRenewed | Reason::BeyondBelief)
            );
            assert!(
                !is_silence,
                "in grace silence does not count: {run:?} {reason:?}"
            );
        }
    }
}
