//! Start: a worker says that a run began. Its time runs from here.

use crate::command::Env;
use crate::id::{Epoch, WorkerNumber};
use crate::moves;
use crate::needs::{Hold, Needs};
use crate::refused::Refused;
use crate::rows::Lease;
use crate::time::Timestamp;
use crate::verbs::held::{self, Token};
use crate::view::View;

#[derive(Clone, Debug)]
pub struct Start {
    pub token: Token,
    /// When it began, by its worker's clock; taken as now where it makes no sense.
    pub started_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Started {
    pub started_at: Timestamp,
    pub expires_at: Timestamp,
    /// Whose run it is.
    pub by: (WorkerNumber, Epoch),
}

impl Start {
    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        held::needs(&self.token, Hold::Lock, needs);
    }

    pub(crate) fn more(&self, view: &View, needs: &mut Needs, _env: &Env<'_>) {
        held::more(&self.token, view, needs);
        if let Some(lease) = view.leases.get(&self.token.slot) {
            need_to_begin(lease, view, needs);
        }
    }

    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Started, Refused> {
        let lease = held::lease(&self.token, view)?;
        let started_at = begin(&lease, self.started_at, view, env);
        Ok(Started {
            started_at,
            expires_at: lease.expires_at,
            by: (lease.worker, lease.epoch),
        })
    }
}

/// The task's timeout is not in the lease.
pub(super) fn need_to_begin(lease: &Lease, view: &View, needs: &mut Needs) {
    if lease.started_at.is_none() {
        moves::need_history(lease, view, needs);
    }
}

/// Marks the run as begun, once; what it answers is when it began.
pub(super) fn begin(
    lease: &Lease,
    said: Option<Timestamp>,
    view: &mut View,
    env: &Env<'_>,
) -> Timestamp {
    if let Some(started_at) = lease.started_at {
        return started_at;
    }
    let brief = view.brief(lease.slot.task);
    let timeout = brief.expect("a leased task exists").timeout;
    let said = said.unwrap_or(env.now);
    moves::begin(view, lease, said, timeout, env.now)
}
