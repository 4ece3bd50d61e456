//! Turns the slot machine's answers into rows: the only code that makes or takes away a place or an outcome.
//!
//! Nothing here refuses: who calls has found the slot in a place that the event can happen in.

mod otherwise;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::otherwise::{Wish, move_ready, move_scheduled};
use crate::command::Env;
use crate::id::{Fence, SlotKey};
use crate::json::Json;
use crate::lane::Lane;
use crate::needs::Needs;
use crate::order::OrderKey;
use crate::rows::{
    Attempt, Carry, End, Failure, LastError, Lease, Outcome, Ready, Reported, Scheduled, Task, Why,
};
use crate::slot::{self, Counts, Event, Limits, Place, Slot};
use crate::status::Status;
use crate::time::Timestamp;
use crate::topic::Topic;
use crate::verbs::claim::Claim;
use crate::view::{Brief, View};

/// What a run leaves behind when it ends, besides what the slot machine knows.
#[derive(Default)]
pub(crate) struct Ending {
    /// How it is recorded if it does not end its task.
    pub(crate) end: Option<End>,
    pub(crate) output: Option<Json>,
    pub(crate) error: Option<Failure>,
    /// When the run began, if it says so only now.
    pub(crate) started_at: Option<Timestamp>,
    /// The report that ended it, if one did.
    pub(crate) reported: Option<Reported>,
    /// When to try again, where its worker named it.
    pub(crate) wait: Option<Duration>,
}

/// What ending a run may need besides its lease: everything, unless it completes the task on the first try.
pub(crate) fn need_history(lease: &Lease, view: &View, needs: &mut Needs) {
    if !view.tasks.knows(&lease.slot.task) {
        needs.tasks.push(lease.slot.task);
    }
    if !view.carries.knows(&lease.slot) {
        needs.carries.push(lease.slot);
    }
}

/// Gives a ready slot to the claim's worker. `brief` is of its task.
pub(crate) fn claim(
    view: &mut View,
    row: &Ready,
    claim: &Claim,
    brief: &Brief,
    env: &mut Env<'_>,
) -> Lease {
    let claimed = Event::Claimed { begin: claim.begin };
    let after = step(take_ready(view, row), claimed, Limits::UNASKED);
    let carry = view.carry_of(row.slot, row.has_carry);
    let started_at = (after.place == Place::Running).then_some(env.now);
    let lease = Lease {
        slot: row.slot,
        fence: Carry::fence(carry).next(),
        secret: env.random.bits().cast_signed(),
        worker: claim.number,
        epoch: claim.epoch,
        seq: claim.seq,
        is_told_again: false,
        lane: row.lane.plain(),
        has_carry: row.has_carry,
        claimed_at: env.now,
        started_at,
        expires_at: env.now + env.policy.lease,
        deadline: started_at.map(|started| started + brief.timeout),
        progress: None,
        checkpoint: carry.and_then(|carry| carry.checkpoint.clone()),
        is_exclusive: brief.is_exclusive,
    };
    view.count(lease.lane, after.place.status(), 1);
    view.leases.insert(lease.slot, lease.clone());
    lease
}

/// Marks the run as begun, once; what it answers is when it began. `timeout` is its task's.
pub(crate) fn begin(
    view: &mut View,
    lease: &Lease,
    said: Timestamp,
    timeout: Duration,
    now: Timestamp,
) -> Timestamp {
    let before = leased(view, lease);
    let after = step(before, Event::Began, Limits::UNASKED);
    let started_at = between_claim_and_now(said, lease, now);
    view.leases.update(&lease.slot, |lease| {
        lease.started_at = Some(started_at);
        lease.deadline = Some(started_at + timeout);
    });
    view.count(lease.lane, before.place.status(), -1);
    view.count(lease.lane, after.place.status(), 1);
    started_at
}

/// Takes the lease away and puts the slot where `event` leads it. The task must have been loaded unless the run
/// completed.
pub(crate) fn end_run(
    view: &mut View,
    lease: &Lease,
    event: Event,
    mut ending: Ending,
    env: &mut Env<'_>,
) -> Place {
    let before = take_lease(view, lease);
    let after = step(before, event, limits(view, lease, event));
    let began = lease.started_at.is_some() || after.counts.attempts > before.counts.attempts;
    ending.started_at = began.then(|| started_at(lease, &ending, env.now));
    match after.place {
        Place::Ended(status) => end(view, outcome(lease, status, after.counts, ending, env.now)),
        place => {
            record(
                view,
                lease,
                began.then_some(after.counts.attempts),
                &ending,
                env,
            );
            give_back(view, lease, after.counts, place, ending, env);
        }
    }
    after.place
}

/// Says that a suspect waits no longer. The workers that were kept for it are not known here, but they serve its lane
/// and wait for something to become ready there.
pub(crate) fn let_go_of(view: &mut View, suspect: &Ready) {
    let carry = view.carries.get(&suspect.slot);
    if carry.is_some_and(|carry| carry.kept_until.is_some()) {
        view.announce(Topic::Ready(suspect.lane));
    }
}

/// A completed run ends the task whatever its limits are, so they are not loaded for it.
fn limits(view: &View, lease: &Lease, event: Event) -> Limits {
    if event == Event::Completed {
        return Limits::UNASKED;
    }
    let task = view.tasks.get(&lease.slot.task);
    task.expect("a leased task exists").limits
}

/// When a run that began did so: by its worker's word within what we know.
fn started_at(lease: &Lease, ending: &Ending, now: Timestamp) -> Timestamp {
    let said = ending.started_at.unwrap_or(lease.claimed_at);
    lease
        .started_at
        .unwrap_or_else(|| between_claim_and_now(said, lease, now))
}

/// Not before the claim and not after now, which by this server's clock can be a moment before the claim by
/// another's.
fn between_claim_and_now(said: Timestamp, lease: &Lease, now: Timestamp) -> Timestamp {
    said.min(now).max(lease.claimed_at)
}

fn outcome(
    lease: &Lease,
    status: Status,
    counts: Counts,
    ending: Ending,
    now: Timestamp,
) -> Outcome {
    Outcome {
        task: lease.slot.task,
        lane: lease.lane.plain(),
        status,
        output: ending.output,
        error: ending.error,
        claimed_at: Some(lease.claimed_at),
        started_at: ending.started_at,
        ended_at: now,
        worker: Some(lease.worker),
        counts,
        fence: lease.fence,
        reported: ending.reported,
    }
}

fn record(view: &mut View, lease: &Lease, number: Option<i32>, ending: &Ending, env: &Env<'_>) {
    let Some(end) = ending.end else { return };
    view.record(Attempt {
        run: lease.run(),
        number,
        worker: lease.worker,
        claimed_at: lease.claimed_at,
        started_at: ending.started_at,
        ended_at: env.now,
        end,
        error: ending.error.clone(),
    });
    let oldest = Fence(lease.fence.0 - env.policy.history_max);
    if oldest.0 > 0 {
        view.forget(lease.slot.run(oldest));
    }
}

/// The slot waits again, with what it brings along.
fn give_back(
    view: &mut View,
    lease: &Lease,
    counts: Counts,
    place: Place,
    ending: Ending,
    env: &mut Env<'_>,
) {
    let task = Arc::clone(
        view.tasks
            .get(&lease.slot.task)
            .expect("a leased task exists, and was loaded to be given back"),
    );
    let carried = view.carries.get(&lease.slot).cloned();
    let (mut run_at, priority, mut order_key) = carried
        .as_ref()
        .map_or((task.run_at, task.priority, task.order_key), |carry| {
            (carry.run_at, carry.priority, carry.order_key)
        });
    let why = if ending.end == Some(End::Snoozed) {
        Why::Snooze
    } else {
        Why::BackOff
    };
    if place == Place::Scheduled {
        let wait = ending
            .wait
            .unwrap_or_else(|| task.retry.wait(counts.failures, env.random));
        run_at = env.now + wait;
        order_key = OrderKey::new(run_at, priority, env.policy.priority_level);
    }
    let carry = Carry {
        slot: lease.slot,
        run_at,
        priority,
        order_key,
        fence: lease.fence,
        counts,
        error: ending.error.map_or_else(
            || {
                carried
                    .as_ref()
                    .map(|carry| carry.error.clone())
                    .unwrap_or_default()
            },
            LastError::Here,
        ),
        reported: ending
            .reported
            .or(carried.as_ref().and_then(|carry| carry.reported)),
        checkpoint: lease
            .checkpoint
            .clone()
            .or(carried.as_ref().and_then(|carry| carry.checkpoint.clone())),
        suspect_since: (place == Place::Suspect).then_some(env.now),
        kept_until: None,
    };
    view.carries.put(lease.slot, carry);
    view.announce(Topic::GivenBack {
        worker: lease.worker,
        lane: lease.lane.plain(),
        end: ending.end,
    });
    let at = (lease.slot, lease.lane);
    wait(view, at, place, (run_at, order_key), why);
}

/// Why no worker is to have this task once its time has come, if it is so.
pub(crate) fn refusal_of(view: &View, task: &Task, env: &Env<'_>) -> Option<&'static str> {
    let lane = view.lane_key(task.lane, env.lanes);
    let kind = lane.map(|lane| lane.kind.as_str());
    env.policy.refusal_of(task, kind)
}

/// A new task's first place; answers its status there. One that may be refused is judged when its time comes, now or
/// later.
pub(crate) fn place_new(view: &mut View, task: &Task, env: &Env<'_>) -> Status {
    let (slot, lane, order_key) = (SlotKey::only(task.id), task.lane, task.order_key);
    if task.run_at > env.now || refusal_of(view, task, env).is_some() {
        schedule(
            view,
            Scheduled {
                run_at: task.run_at,
                slot,
                lane,
                order_key,
                why: Why::RunAt,
                has_carry: false,
            },
        );
        Place::Scheduled.status()
    } else {
        make_ready(
            view,
            Ready {
                lane,
                order_key,
                slot,
                has_carry: false,
            },
        );
        Place::Ready.status()
    }
}

/// A scheduled slot whose time has come.
pub(crate) fn promote(view: &mut View, row: &Scheduled) {
    let after = step(take_scheduled(view, row), Event::Due, Limits::UNASKED);
    make_ready(
        view,
        Ready {
            lane: Ready::lane_of(row.lane, after.place),
            order_key: row.order_key,
            slot: row.slot,
            has_carry: row.has_carry,
        },
    );
}

/// Puts a slot that has a carry where it waits.
fn wait(
    view: &mut View,
    (slot, lane): (SlotKey, Lane),
    place: Place,
    (run_at, order_key): (Timestamp, OrderKey),
    why: Why,
) {
    if place == Place::Scheduled {
        schedule(
            view,
            Scheduled {
                run_at,
                slot,
                lane,
                order_key,
                why,
                has_carry: true,
            },
        );
    } else {
        make_ready(
            view,
            Ready {
                lane: Ready::lane_of(lane, place),
                order_key,
                slot,
                has_carry: true,
            },
        );
    }
}

/// Ends a task that waits for its time.
pub(crate) fn cancel_scheduled(view: &mut View, row: &Scheduled, now: Timestamp) {
    let outcome = end_scheduled(view, row, Event::Cancelled, now);
    end(view, outcome);
}

/// Ends a task whose time has come and that no worker is to have.
pub(crate) fn refuse(view: &mut View, row: &Scheduled, why: &str, now: Timestamp) {
    let outcome = end_scheduled(view, row, Event::Refused, now);
    let error = Some(Failure::new(Failure::NOT_ALLOWED, why));
    end(view, Outcome { error, ..outcome });
}

fn end_scheduled(view: &mut View, row: &Scheduled, event: Event, now: Timestamp) -> Outcome {
    let before = take_scheduled(view, row);
    let fence = Carry::fence(view.carry_of(row.slot, row.has_carry));
    Outcome {
        lane: row.lane,
        fence,
        ..without_a_run(row.slot, before, event, now)
    }
}

/// Ends a task that waits for a worker.
pub(crate) fn cancel_ready(view: &mut View, row: &Ready, now: Timestamp) {
    let before = take_ready(view, row);
    let fence = Carry::fence(view.carry_of(row.slot, row.has_carry));
    let outcome = Outcome {
        lane: row.lane.plain(),
        fence,
        ..without_a_run(row.slot, before, Event::Cancelled, now)
    };
    end(view, outcome);
}

/// Ends a task that a worker holds. The lease goes as well: its report will find none and be refused.
pub(crate) fn cancel_run(view: &mut View, lease: &Lease, now: Timestamp) {
    let before = take_lease(view, lease);
    let outcome = Outcome {
        lane: lease.lane,
        fence: lease.fence,
        claimed_at: Some(lease.claimed_at),
        started_at: lease.started_at,
        worker: Some(lease.worker),
        ..without_a_run(lease.slot, before, Event::Cancelled, now)
    };
    end(view, outcome);
}

fn without_a_run(slot: SlotKey, before: Slot, event: Event, now: Timestamp) -> Outcome {
    let after = step(before, event, Limits::UNASKED);
    Outcome::without_a_run(slot.task, after.place.status(), after.counts, now)
}

/// The task's end: once, and for good.
fn end(view: &mut View, outcome: Outcome) {
    let outcome = Arc::new(outcome);
    view.count(outcome.lane, outcome.status, 1);
    view.end(Arc::clone(&outcome));
    view.announce(Topic::Ended(outcome));
}

fn schedule(view: &mut View, row: Scheduled) {
    view.count(row.lane, Place::Scheduled.status(), 1);
    view.scheduled.insert(row.slot, row);
}

fn make_ready(view: &mut View, row: Ready) {
    view.count(row.lane, row.place().status(), 1);
    view.ready.insert(row.slot, row);
}

/// Takes the slot out of its place; what it was there.
fn take_scheduled(view: &mut View, row: &Scheduled) -> Slot {
    view.scheduled.remove(&row.slot);
    let place = Place::Scheduled;
    view.count(row.lane, place.status(), -1);
    let counts = Carry::counts(view.carry_of(row.slot, row.has_carry));
    Slot { place, counts }
}

fn take_ready(view: &mut View, row: &Ready) -> Slot {
    view.ready.remove(&row.slot);
    let place = row.place();
    view.count(row.lane, place.status(), -1);
    let counts = Carry::counts(view.carry_of(row.slot, row.has_carry));
    Slot { place, counts }
}

fn take_lease(view: &mut View, lease: &Lease) -> Slot {
    view.leases.remove(&lease.slot);
    let slot = leased(view, lease);
    view.count(lease.lane, slot.place.status(), -1);
    slot
}

fn leased(view: &View, lease: &Lease) -> Slot {
    lease.as_slot(view.carry_of(lease.slot, lease.has_carry))
}

/// Where `event` leads a slot that it can happen to.
fn step(before: Slot, event: Event, limits: Limits) -> Slot {
    slot::step(before, event, limits)
        .unwrap_or_else(|refused| panic!("{event:?} cannot happen to {before:?}: {refused}"))
}
