//! What must always hold of the rows, numbered as the promises are. Looked at after each commit.

use std::sync::Arc;
use std::time::Duration;

use taskyard_core::id::{Fence, TaskId};
use taskyard_core::name::Name;
use taskyard_core::operation::Operation;
use taskyard_core::policy::{COMMAND, Policy};
use taskyard_core::query::{Counted, Standing, TaskView};
use taskyard_core::rows::{LateResult, Lease, Origin, Why};
use taskyard_core::slot::Counts;
use taskyard_core::status::Status;
use taskyard_core::time::Timestamp;

use crate::known::Ask;
use crate::ledger::Ledger;
use crate::operations::{self, Done};
use crate::worker::SNOOZE_MAX;
use crate::{keeping, losses, unique, wanted};

/// The label under which a task carries the number of its request.
pub(crate) const ASK: &str = "ask";

/// When it is looked.
pub(crate) struct Moment<'a> {
    /// The number of the last commit.
    pub(crate) commit: u64,
    /// That of the last one before the batch began which made it.
    pub(crate) since: u64,
    /// The latest time that any server has known.
    pub(crate) latest: Timestamp,
    /// By the clock of the server whose commit it was.
    pub(crate) now: Timestamp,
    pub(crate) policy: &'a Policy,
}

/// Looks at these tasks, which may have changed, and at those that are gone.
pub(crate) fn check(
    changed: &[TaskView],
    gone: &[TaskId],
    operations: Option<Vec<Operation>>,
    ledger: &mut Ledger,
    moment: &Moment<'_>,
) {
    let is_new = |view: &&TaskView| !ledger.known.tasks.contains_key(&view.task.id);
    let made = changed.iter().filter(is_new);
    let made: Vec<TaskId> = made.map(|view| view.task.id).collect();
    let cancelled = operations::cancelled(changed, &ledger.known);
    let moved = operations::moved(changed, &ledger.known);
    for view in changed {
        counts_stay_within_limits(view);
        starts_in_time(view, moment.latest);
        refused_goes_to_nobody(view, ledger, moment);
        ends_once(view, ledger, moment);
        note_reports(view, ledger);
        fences_rise(view, ledger, moment);
        suspects_are_counted(view, ledger);
        ledger.patches.check(view);
        if made.contains(&view.task.id) {
            wanted::check(view, ledger, moment);
        }
        ledger.known.note(view, ask_of(view));
    }
    keeping::check(gone, ledger, moment);
    ledger.forget_gone(gone);
    unique::check(changed, ledger);
    ledger.note_cancelled(&cancelled);
    let done = Done {
        changed,
        cancelled: &cancelled,
        made: &made,
        moved: &moved,
    };
    operations::check(operations, &done, ledger, moment);
    requests_are_whole(changed, ledger);
    what_is_stored_stays(ledger);
    cancelled_stays(ledger);
}

fn ask_of(view: &TaskView) -> Ask {
    let name = Name::plain(ASK).expect("a name");
    let label = view
        .task
        .labels
        .as_ref()
        .and_then(|labels| labels.get(&name));
    label
        .and_then(|text| text.parse().ok())
        .expect("every task carries its request's number")
}

/// I3, I6: scheduled, ready, leased or ended, and never two of them.
pub(crate) fn one_place_each(places: &[TaskId], ledger: &Ledger) {
    let known = ledger.known.tasks.keys();
    assert!(
        known.eq(places),
        "I3: each task stands in exactly one place"
    );
}

/// The counters sum to the rows.
pub(crate) fn counters_are_exact(counts: &[Counted], ledger: &Ledger) {
    let mut difference = ledger.known.counts.clone();
    for row in counts {
        for (status, tasks) in row.tasks.iter() {
            *difference
                .entry((row.lane.clone().into(), status))
                .or_default() -= tasks;
        }
    }
    difference.retain(|_, difference| *difference != 0);
    assert!(
        difference.is_empty(),
        "the counters are exact: rows less counters {difference:?}"
    );
}

/// I7.
fn counts_stay_within_limits(view: &TaskView) {
    let Counts {
        attempts,
        failures,
        losses,
        ..
    } = view.counts();
    let limits = view.task.limits;
    assert!(
        failures <= limits.max_attempts,
        "I7: failures stay within their limit: {view:?}"
    );
    assert!(
        losses <= limits.max_losses,
        "I7: losses stay within theirs: {view:?}"
    );
    assert!(
        failures + losses <= attempts,
        "I7: what failed or was lost began: {view:?}"
    );
    let exhausted = failures == limits.max_attempts || losses == limits.max_losses;
    assert!(
        !exhausted || view.status().is_final(),
        "I7: at its limit a task ends: {view:?}"
    );
}

/// I18: nothing is free to be run, or runs, before its time; a back-off is not longer than its longest.
fn starts_in_time(view: &TaskView, now: Timestamp) {
    let run_at = view
        .carry
        .as_ref()
        .map_or(view.task.run_at, |carry| carry.run_at);
    match &view.standing {
        Standing::Ready | Standing::Leased(_) => {
            assert!(
                run_at <= now,
                "I18: nothing is given out before its time, at {now}: {view:?}"
            );
        }
        Standing::Scheduled(row) if row.why == Why::BackOff => {
            let retry = view.task.retry;
            let doublings = view.counts().failures - 1;
            let wait = retry.backoff.mul_f64(retry.factor.powi(doublings));
            let longest = wait.min(retry.max).mul_f64(1.0 + retry.jitter);
            assert!(
                row.run_at <= now + longest + Duration::from_millis(1),
                "I18: a back-off has its limit: {view:?}"
            );
        }
        Standing::Scheduled(row) if row.why == Why::Snooze => assert!(
            row.run_at <= now + SNOOZE_MAX,
            "I18: a snooze is as long as its worker asks: {view:?}"
        ),
        Standing::Scheduled(_) | Standing::Ended(_) => {}
    }
}

/// A command that nobody may run is given out at no time, and fails without a run.
fn refused_goes_to_nobody(view: &TaskView, ledger: &mut Ledger, moment: &Moment<'_>) {
    let is_refused = moment.policy.commands_refused.is_some()
        && view.task.origin == Some(Origin::Taskmaster)
        && view.lane.kind.as_str() == COMMAND;
    match &view.standing {
        Standing::Ready | Standing::Leased(_) => {
            assert!(!is_refused, "what is refused goes to nobody: {view:?}");
        }
        Standing::Ended(outcome) => {
            let error = outcome.error.as_ref();
            let was_refused = error.is_some_and(|error| &*error.code == "command_not_allowed");
            assert!(
                is_refused == was_refused || outcome.status == Status::Cancelled,
                "what is refused fails, and nothing else: {view:?}"
            );
            if was_refused {
                assert_eq!(outcome.counts, Counts::default(), "none has run: {view:?}");
                ledger.tally.count("command_is_refused");
            }
        }
        Standing::Scheduled(_) => {}
    }
}

/// I6: an end is final, to the last byte.
fn ends_once(view: &TaskView, ledger: &mut Ledger, moment: &Moment<'_>) {
    let task = view.task.id;
    if let Standing::Ended(outcome) = &view.standing {
        let first = ledger
            .outcomes
            .entry(task)
            .or_insert_with(|| Arc::clone(outcome));
        assert_eq!(first, outcome, "I6: an end never changes");
        ledger.ended_with.entry(task).or_insert(moment.commit);
    } else {
        assert!(
            !ledger.outcomes.contains_key(&task),
            "I6: nothing comes back from its end: {view:?}"
        );
    }
    let newest = ledger
        .leases
        .get(&task)
        .map_or(Fence(0), |lease| lease.fence);
    if let Some(outcome) = ledger.outcomes.get(&task) {
        assert!(
            outcome.fence == newest,
            "I5: an end carries the newest fence: {outcome:?}, {newest:?}"
        );
    }
}

/// I5, I9: each lease has a fence of its own, one higher than the one before; its times only move as they may.
fn fences_rise(view: &TaskView, ledger: &mut Ledger, moment: &Moment<'_>) {
    let task = view.task.id;
    let before = ledger.leases.get(&task).cloned();
    let Standing::Leased(lease) = &view.standing else {
        if let Some(before) = before {
            run_is_over(view, &before, ledger, moment);
        }
        return;
    };
    lasts(before.as_ref(), lease, moment);
    match before {
        Some(before) if before.fence == lease.fence => {
            if lease.expires_at < before.expires_at {
                ledger.tally.count("lease_is_shortened");
            }
            goes_on(&before, lease, moment);
        }
        Some(before) => {
            assert_eq!(
                lease.fence,
                before.fence.next(),
                "I5: fences rise one by one"
            );
            run_is_over(view, &before, ledger, moment);
            lease_begins(view, lease, ledger, moment);
        }
        None => {
            assert_eq!(lease.fence, Fence(1), "I5: fences begin with 1");
            lease_begins(view, lease, ledger, moment);
        }
    }
    ledger.leases.insert(task, Lease::clone(lease));
}

/// A lease came: to somebody who may have it, of a queue that gives something out.
fn lease_begins(view: &TaskView, lease: &Lease, ledger: &mut Ledger, moment: &Moment<'_>) {
    ledger
        .queues
        .check_dealt(&view.lane.queue, lease, moment.since);
    ledger.staff.check_dealt(lease, moment.since);
    ledger.lease_begins(lease, moment.commit);
}

/// A lease is gone.
fn run_is_over(view: &TaskView, lease: &Lease, ledger: &mut Ledger, moment: &Moment<'_>) {
    let run = (view.task.id, lease.fence);
    if !ledger.over.contains_key(&run) {
        ledger.lease_ends(lease, moment.commit);
        losses::note(view, lease, ledger, moment);
    }
}

/// A lease that is given or renewed lasts as long as leases do; an exclusive one is not renewed for longer than its run may
/// take.
fn lasts(before: Option<&Lease>, lease: &Lease, moment: &Moment<'_>) {
    if before.is_some_and(|before| before.expires_at == lease.expires_at) {
        return;
    }
    let full = moment.now + moment.policy.lease;
    let renewed = before.filter(|before| before.fence == lease.fence && lease.is_exclusive);
    let end = renewed.zip(lease.deadline).map(|(before, deadline)| {
        let end = deadline + moment.policy.timeout_margin;
        end.max(before.expires_at)
    });
    let until = end.map_or(full, |end| full.min(end));
    assert_eq!(lease.expires_at, until, "a lease lasts: {lease:?}");
}

fn suspects_are_counted(view: &TaskView, ledger: &mut Ledger) {
    let carry = view.carry.as_ref();
    let Some(carry) = carry.filter(|carry| carry.counts.is_suspect()) else {
        return;
    };
    match &view.standing {
        Standing::Leased(_) => ledger.tally.count("suspect_is_dealt"),
        Standing::Ready if carry.kept_until.is_some() => {
            ledger.tally.count("worker_is_kept_for_a_suspect");
        }
        Standing::Ready => ledger.tally.count("suspect_waits"),
        Standing::Scheduled(_) | Standing::Ended(_) => {}
    }
}

fn goes_on(before: &Lease, lease: &Lease, moment: &Moment<'_>) {
    assert!(
        (
            before.secret,
            before.worker,
            before.epoch,
            before.claimed_at
        ) == (lease.secret, lease.worker, lease.epoch, lease.claimed_at),
        "I5: a fence is not reused: {before:?}, {lease:?}"
    );
    let is_believed = before.expires_at <= moment.policy.believed_until(moment.now);
    assert!(
        lease.expires_at >= before.expires_at || !is_believed,
        "a lease is made shorter only where a clock gave it that was ahead"
    );
    let begun = before.started_at.is_none() || before.started_at == lease.started_at;
    let bounded = before.deadline.is_none() || before.deadline == lease.deadline;
    assert!(
        begun && bounded,
        "I9: no heartbeat moves the end of a run: {before:?}, {lease:?}"
    );
}

fn note_reports(view: &TaskView, ledger: &mut Ledger) {
    let ended = match &view.standing {
        Standing::Ended(outcome) => outcome.reported,
        Standing::Scheduled(_) | Standing::Ready | Standing::Leased(_) => None,
    };
    let carried = view.carry.as_ref().and_then(|carry| carry.reported);
    let newest = ledger
        .leases
        .get(&view.task.id)
        .map_or(Fence(0), |lease| lease.fence);
    for reported in ended.into_iter().chain(carried) {
        let report = (view.task.id, reported.fence, reported.digest);
        if ledger.reported.insert(report) {
            assert_eq!(
                reported.fence, newest,
                "I4: only the newest run's report is accepted"
            );
            ledger.check_stays(view.task.id, reported.fence);
        }
    }
}

/// I4: a result that came too late can be seen, under its own run, or under none if that run never was.
pub(crate) fn refused_result_is_kept(kept: &[LateResult], task: TaskId, fence: Fence) {
    let is_it = |late: &LateResult| late.run.fence == fence || late.run.fence == Fence(0);
    assert!(
        kept.iter().any(is_it),
        "I4: the refused result of {task} under {fence:?} is kept: {kept:?}"
    );
}

/// I1, I2: a request is stored whole or not at all, once, and one of those that share a key.
fn requests_are_whole(changed: &[TaskView], ledger: &mut Ledger) {
    for ask in changed.iter().map(ask_of) {
        let asked = &ledger.asked[&ask];
        let present = ledger.known.present[&ask];
        // In the place of those that have a unique key others may stand.
        assert!(
            (asked.tasks - asked.unique..=asked.tasks).contains(&present),
            "I1, I2: request {ask} is stored whole and once, of {asked:?} {present}"
        );
        if let Some(key) = &asked.key {
            let first = *ledger.known.of_key.entry(key.clone()).or_insert(ask);
            assert_eq!(first, ask, "I2: one request of a key is stored");
        }
    }
}

/// I1, I20.
fn what_is_stored_stays(ledger: &Ledger) {
    let present =
        |id: &&TaskId| ledger.known.tasks.contains_key(*id) || ledger.discarded.contains_key(*id);
    let lost: Vec<_> = ledger.stored.iter().filter(|id| !present(id)).collect();
    assert!(
        lost.is_empty(),
        "I1: what was acknowledged is there: {lost:?}"
    );
    let refused = ledger.not_stored.iter().chain(&ledger.never);
    let there: Vec<_> = refused.filter(present).collect();
    assert!(
        there.is_empty(),
        "I20: what was refused is not there: {there:?}"
    );
}

/// I10: after a cancel that was answered, nothing else is the end.
fn cancelled_stays(ledger: &Ledger) {
    for task in &ledger.cancelled {
        let status = ledger.outcomes.get(task).map(|outcome| outcome.status);
        assert_eq!(
            status,
            Some(Status::Cancelled),
            "I10: cancelled stays cancelled"
        );
    }
}

/// A worker that runs a suspect runs nothing else. A process that took its name begins with an empty hand. Holds with
/// one server: two may deal to two claims of a worker at the same moment, which costs its neighbour one lost lease.
pub(crate) fn suspects_are_alone(ledger: &Ledger) {
    for (worker, hand) in &ledger.known.hands {
        let alone = hand.len() == 1 || hand.values().all(|suspect| !suspect);
        assert!(
            alone,
            "{worker:?} holds a suspect and something else: {hand:?}"
        );
    }
}
