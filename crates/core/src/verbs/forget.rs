//! Forget: workers that have been gone for long are listed no more. The service brings candidates; each is judged here
//! again, under its lock.

use crate::command::{Env, halves};
use crate::name::Name;
use crate::needs::{Hold, Needs};
use crate::policy::Policy;
use crate::refused::Refused;
use crate::rows::Worker;
use crate::time::Timestamp;
use crate::view::View;

#[derive(Clone, Debug)]
pub struct Forget {
    pub workers: Vec<Name>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forgotten {
    pub count: usize,
}

impl Forget {
    pub(crate) fn halves(&self) -> Option<[Self; 2]> {
        Some(halves(&self.workers)?.map(|workers| Self { workers }))
    }

    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        for name in &self.workers {
            needs.worker(name, Hold::Lock);
        }
    }

    #[expect(clippy::unused_self, reason = "every verb has one")]
    pub(crate) fn more(&self, _view: &View, _needs: &mut Needs, _env: &Env<'_>) {}

    #[expect(clippy::unnecessary_wraps, reason = "every verb answers alike")]
    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Forgotten, Refused> {
        let mut count = 0;
        for name in &self.workers {
            if view.workers.get(name).is_some_and(|row| is_gone(row, env)) {
                view.workers.update(name, |row| row.is_forgotten = true);
                count += 1;
            }
        }
        Ok(Forgotten { count })
    }
}

/// The sweep has long taken away what it held; where it could not, it still finds the leases by the worker's row.
fn is_gone(worker: &Worker, env: &Env<'_>) -> bool {
    !worker.is_forgotten && worker.expires_at <= expired_before(env.policy, env.now)
}

/// Who gave its last sign of life a worker's life ago has expired by then.
pub fn expired_before(policy: &Policy, now: Timestamp) -> Timestamp {
    now + policy.heartbeat_ttl - policy.worker_life
}
