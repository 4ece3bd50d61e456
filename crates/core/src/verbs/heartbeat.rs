//! Heartbeat: a worker lives, and these runs go on. It learns which of them it has lost, and which were cancelled.
//!
//! Only leases that it names are renewed, and only when under two thirds of their time is left, so short tasks never
//! cost a write; those of exclusive tasks not beyond the time that their runs may take. A heartbeat that names none is a sign of life and nothing else.
//!
//! The last one of a worker that ends in order says that it leaves: it is offline from then on, as if it had been silent for
//! long, and whatever it calls after all brings it back.

use crate::command::{Env, halves};
use crate::id::{Epoch, SlotKey, TaskId};
use crate::json::Json;
use crate::name::Name;
use crate::needs::{Hold, Needs};
use crate::policy::Policy;
use crate::refused::Refused;
use crate::rows::{Lease, Progress, Worker};
use crate::status::Status;
use crate::time::Timestamp;
use crate::verbs::held::{self, Token};
use crate::verbs::{caller, start};
use crate::view::View;

#[derive(Clone, Debug)]
pub struct Heartbeat {
    pub worker: Name,
    /// `None`: of whichever process is the current one.
    pub epoch: Option<Epoch>,
    pub held: Vec<Held>,
    /// Its process ends, and holds nothing.
    pub leaves: bool,
}

/// One run that its worker still has.
#[derive(Clone, Debug)]
pub struct Held {
    pub token: Token,
    /// It began.
    pub running: bool,
    /// `None`: no news.
    pub progress: Option<Progress>,
    pub checkpoint: Option<Json>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Beaten {
    /// Until then the leases that it names hold, but for those that could not be looked at; `None` if it could look at
    /// none of them.
    pub expires_at: Option<Timestamp>,
    /// No longer this worker's: their results will be refused.
    pub lost: Vec<TaskId>,
    pub cancel: Vec<TaskId>,
    /// Exclusive ones whose time is nearly up: they hold for less than two thirds of a lease, and are renewed no longer.
    pub ending: Vec<TaskId>,
    /// Those that could not be looked at: nothing is known of them, and the next heartbeat may tell.
    pub unknown: Vec<TaskId>,
    /// The worker gets nothing more, and leaves when it has finished.
    pub drain: bool,
}

impl Beaten {
    pub(crate) fn join(&mut self, more: Self) {
        let known = [self.expires_at, more.expires_at];
        self.expires_at = known.into_iter().flatten().min();
        self.lost.extend(more.lost);
        self.cancel.extend(more.cancel);
        self.ending.extend(more.ending);
        self.unknown.extend(more.unknown);
        self.drain |= more.drain;
    }
}

impl Heartbeat {
    pub(crate) fn halves(&self) -> Option<[Self; 2]> {
        let of = |held| Self {
            worker: self.worker.clone(),
            epoch: self.epoch,
            held,
            leaves: self.leaves,
        };
        Some(halves(&self.held)?.map(of))
    }

    pub(crate) fn failed_part(&self) -> Beaten {
        let unknown = self.held.iter().map(|held| held.token.slot.task);
        Beaten {
            expires_at: None,
            lost: Vec::new(),
            cancel: Vec::new(),
            ending: Vec::new(),
            unknown: unknown.collect(),
            drain: false,
        }
    }

    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        needs.worker(&self.worker, Hold::Read);
        for held in &self.held {
            held::needs(&held.token, Hold::Read, needs);
        }
    }

    pub(crate) fn more(&self, view: &View, needs: &mut Needs, env: &Env<'_>) {
        let Some(worker) = view.workers.get(&self.worker) else {
            return;
        };
        if (self.leaves || is_due(worker, env)) && !view.holds_worker(&self.worker) {
            needs.worker(&self.worker, Hold::Lock);
        }
        for held in &self.held {
            held::more(&held.token, view, needs);
            let Some(lease) = view.leases.get(&held.token.slot) else {
                continue;
            };
            if held.changes(lease, env) && !view.holds_lease(lease.slot) {
                held::needs(&held.token, Hold::Lock, needs);
            }
            if held.running {
                start::need_to_begin(lease, view, needs);
            }
        }
    }

    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Beaten, Refused> {
        let worker = caller::worker(&self.worker, self.epoch, view)?;
        let drain = worker.is_draining;
        if self.leaves {
            view.workers.update(&self.worker, |worker| {
                worker.expires_at = worker.expires_at.min(env.now);
                worker.kept_for = None;
            });
        } else if is_due(worker, env) {
            let expires_at = env.now + env.policy.heartbeat_ttl;
            view.workers.update(&self.worker, |worker| {
                worker.expires_at = expires_at;
                worker.is_forgotten = false;
            });
        }
        let mut until = env.now + env.policy.lease;
        let mut beaten = Beaten {
            expires_at: None,
            lost: Vec::new(),
            cancel: Vec::new(),
            ending: Vec::new(),
            unknown: Vec::new(),
            drain,
        };
        for held in &self.held {
            let task = held.token.slot.task;
            match held::lease(&held.token, view) {
                // The sweep takes it away.
                Ok(lease) if has_ended(&lease, env) => beaten.lost.push(task),
                Ok(lease) => {
                    let expires_at = held.renew(&lease, view, env);
                    if lease.is_exclusive && expires_at < env.now + env.policy.renew_below() {
                        beaten.ending.push(task);
                    }
                    until = until.min(expires_at);
                }
                Err(Refused::AlreadyEnded(Status::Cancelled)) => beaten.cancel.push(task),
                Err(_) => beaten.lost.push(task),
            }
        }
        beaten.expires_at = Some(until);
        Ok(beaten)
    }
}

/// The row is written only when enough of its time has gone; or where a clock wrote it that was far ahead, or its worker
/// would seem to live long after its end.
fn is_due(worker: &Worker, env: &Env<'_>) -> bool {
    let Policy { heartbeat_ttl, .. } = *env.policy;
    let believed = env.policy.worker_believed_until(env.now);
    let left = worker.expires_at.since(env.now);
    left + env.policy.sign_of_life_every() <= heartbeat_ttl || worker.expires_at > believed
}

impl Held {
    /// Bytes of what it brings along.
    pub fn payload_len(&self) -> usize {
        self.checkpoint.as_ref().map_or(0, Json::len)
    }

    fn changes(&self, lease: &Lease, env: &Env<'_>) -> bool {
        let says_more = self.progress.is_some() || self.checkpoint.is_some();
        says_more || (self.running && lease.started_at.is_none()) || is_due_for_renewal(lease, env)
    }

    /// Until when the lease holds now.
    fn renew(&self, lease: &Lease, view: &mut View, env: &Env<'_>) -> Timestamp {
        if !self.changes(lease, env) {
            return lease.expires_at;
        }
        if self.running {
            start::begin(lease, None, view, env);
        }
        // With the deadline that it has by now.
        let lease = view.leases.get(&lease.slot).unwrap_or(lease);
        let expires_at = renewed(lease, env);
        let slot = lease.slot;
        view.leases.update::<SlotKey>(&slot, |lease| {
            lease.expires_at = expires_at;
            if self.progress.is_some() {
                lease.progress.clone_from(&self.progress);
            }
            if self.checkpoint.is_some() {
                lease.checkpoint.clone_from(&self.checkpoint);
            }
        });
        expires_at
    }
}

/// Until when the lease holds that is renewed now, where it is due.
fn renewed(lease: &Lease, env: &Env<'_>) -> Timestamp {
    if !is_due_for_renewal(lease, env) {
        return lease.expires_at;
    }
    let expires_at = env.now + env.policy.lease;
    match renewable_until(lease, env) {
        // It is not made shorter.
        Some(end) => expires_at.min(end.max(lease.expires_at)),
        None => expires_at,
    }
}

/// Only the end of its lease gives an exclusive run away, so that one must come when its time is up: its worker may have
/// hung, and go on to say that it is there.
fn renewable_until(lease: &Lease, env: &Env<'_>) -> Option<Timestamp> {
    let deadline = lease.deadline.filter(|_| lease.is_exclusive);
    deadline.map(|deadline| deadline + env.policy.timeout_margin)
}

/// It has expired and is not renewed.
fn has_ended(lease: &Lease, env: &Env<'_>) -> bool {
    let ends = renewable_until(lease, env).is_some_and(|end| end <= env.now);
    ends && lease.expires_at <= env.now
}

fn is_due_for_renewal(lease: &Lease, env: &Env<'_>) -> bool {
    lease.expires_at.since(env.now) < env.policy.renew_below()
        || lease.expires_at > env.policy.believed_until(env.now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_heartbeat_promise_no_more_than_each_of_them() {
        let beaten = |until: Option<i64>| Beaten {
            expires_at: until.map(Timestamp::from_micros),
            lost: Vec::new(),
            cancel: Vec::new(),
            ending: Vec::new(),
            unknown: Vec::new(),
            drain: false,
        };
        for (first, second, both) in [
            (Some(1), Some(2), Some(1)),
            (Some(2), Some(1), Some(1)),
            // One that could look at none says nothing of those of the other.
            (None, Some(2), Some(2)),
            (Some(2), None, Some(2)),
            (None, None, None),
        ] {
            let mut joined = beaten(first);
            joined.join(beaten(second));
            assert_eq!(joined, beaten(both));
        }
    }
}
