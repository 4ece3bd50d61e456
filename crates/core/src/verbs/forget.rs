//! Forget: workers that have been gone for long are listed no more. The service brings candidates; each is judged here
//! again, under its lock. Or somebody asks for it, and it is enough that the worker is offline, or that it was drained and
//! holds nothing: it has left, or is about to.
//!
//! A worker whose row says that it was heard later than can be believed was heard by a clock that was ahead: it would seem
//! online until the time comes, however long it is gone. From here on it counts as one that was heard just now.

use crate::command::{Env, halves};
use crate::name::Name;
use crate::needs::{Hold, Needs};
use crate::policy::Policy;
use crate::refused::Refused;
use crate::rows::Worker;
use crate::time::Timestamp;
use crate::verbs::caller;
use crate::view::View;

#[derive(Clone, Debug)]
pub struct Forget {
    pub workers: Vec<Name>,
    /// Somebody asks for it, and is refused where it is not to be had.
    pub is_asked_for: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Forgotten {
    pub count: usize,
    /// How many were heard by a clock that was ahead, and count as heard now.
    pub ahead: usize,
}

impl Forgotten {
    pub(crate) fn join(&mut self, more: Self) {
        self.count += more.count;
        self.ahead += more.ahead;
    }
}

impl Forget {
    pub(crate) fn halves(&self) -> Option<[Self; 2]> {
        let of = |workers| Self {
            workers,
            is_asked_for: self.is_asked_for,
        };
        Some(halves(&self.workers)?.map(of))
    }

    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        for name in &self.workers {
            needs.worker(name, Hold::Lock);
        }
    }

    /// What each holds, whatever its row says now: another command of the batch may have it drain.
    pub(crate) fn more(&self, view: &View, needs: &mut Needs, _env: &Env<'_>) {
        if !self.is_asked_for {
            return;
        }
        let known = self
            .workers
            .iter()
            .filter_map(|name| view.workers.get(name));
        let unknown = known.filter(|row| !view.knows_leases_of(row.number));
        needs.leases_of.extend(unknown.map(|row| row.number));
    }

    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Forgotten, Refused> {
        if self.is_asked_for {
            return self.decide_as_asked(view, env);
        }
        let mut forgotten = Forgotten::default();
        for name in &self.workers {
            let Some(row) = view.workers.get(name).filter(|row| !row.is_forgotten) else {
                continue;
            };
            if is_gone(row, env) {
                view.workers.update(name, |row| row.is_forgotten = true);
                forgotten.count += 1;
            } else if row.expires_at > env.policy.worker_believed_until(env.now) {
                let heard_now = env.now + env.policy.heartbeat_ttl;
                // Nobody is a worker that was killed, so nobody will be heard.
                let expires_at = if row.is_killed { env.now } else { heard_now };
                view.workers.update(name, |row| row.expires_at = expires_at);
                forgotten.ahead += 1;
            }
        }
        Ok(forgotten)
    }

    /// All of them or none.
    fn decide_as_asked(&self, view: &mut View, env: &Env<'_>) -> Result<Forgotten, Refused> {
        for name in &self.workers {
            let row = caller::listed(name, view)?;
            if !row.is_offline(env.now) && !has_left(row, view) {
                return Err(Refused::WorkerIsOnline);
            }
        }
        for name in &self.workers {
            view.workers.update(name, |row| {
                row.is_forgotten = true;
                // Who is forgotten is offline.
                row.expires_at = row.expires_at.min(env.now);
            });
        }
        Ok(Forgotten {
            count: self.workers.len(),
            ahead: 0,
        })
    }
}

/// There is nothing that it could still do, whether or not its process is there yet. Of one that registered in this very
/// batch nobody has looked, and it has hardly left.
fn has_left(row: &Worker, view: &View) -> bool {
    let holds_nothing = || view.leases_of(row.number).next().is_none();
    row.is_draining && view.knows_leases_of(row.number) && holds_nothing()
}

/// The sweep has long taken away what it held; where it could not, it still finds the leases by the worker's row.
fn is_gone(worker: &Worker, env: &Env<'_>) -> bool {
    worker.expires_at <= expired_before(env.policy, env.now)
}

/// Who gave its last sign of life a worker's life ago has expired by then.
pub fn expired_before(policy: &Policy, now: Timestamp) -> Timestamp {
    now + policy.heartbeat_ttl - policy.worker_life
}
