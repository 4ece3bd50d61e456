//! Register: a process says who it is and what it can run. Under a name that is known it takes the older process's
//! place: the epoch rises, and the leases of lower epochs are lost. Only a worker inside a server can take the place of
//! one, and it takes that of none outside that lives. A name that is new, or that was forgotten, takes room, which is
//! limited; workers inside have theirs.

use std::sync::Arc;

use crate::command::Env;
use crate::id::{Epoch, ServerNumber, WorkerNumber};
use crate::name::Name;
use crate::needs::{Hold, Needs};
use crate::refused::Refused;
use crate::rows::Worker;
use crate::view::View;
use crate::worker::Profile;

#[derive(Clone, Debug)]
pub struct Register {
    pub name: Name,
    /// The server in whose process it runs, if it is an internal one.
    pub server: Option<ServerNumber>,
    pub profile: Arc<Profile>,
    pub capacity: i32,
    /// Only if nobody has this name: who has it stays as it is, and one that was killed is refused until it was deleted or
    /// forgotten. For callers that say who they are with each call, and may say it twice at once, so that each call of a
    /// process that was ended would begin another one.
    pub if_new: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Registered {
    pub number: WorkerNumber,
    pub epoch: Epoch,
}

impl Register {
    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        needs.worker(&self.name, Hold::Lock);
    }

    pub(crate) fn more(&self, view: &View, needs: &mut Needs, env: &Env<'_>) {
        let takes_room = self.takes_room(view);
        let Some(last) = view.last_worker() else {
            needs.last_worker |= takes_room || view.workers.get(&self.name).is_none();
            return;
        };
        // They are counted only where as many names were ever given a number; that takes a look at each.
        let max = env.policy.workers_max;
        let may_be_full = usize::try_from(last.0).is_ok_and(|names| names >= max);
        if takes_room && may_be_full && !env.workers_full && view.live_workers().is_none() {
            needs.live_workers = Some(max);
        }
    }

    fn takes_room(&self, view: &View) -> bool {
        let known = view.workers.get(&self.name);
        self.server.is_none() && known.is_none_or(|row| row.is_forgotten)
    }

    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Registered, Refused> {
        let max = env.policy.workers_max;
        let has_room =
            !self.takes_room(view) || (!env.workers_full && view.take_room_for_worker(max));
        let known = view.workers.get(&self.name);
        let (completed, failed) = known.map_or((0, 0), |known| (known.completed, known.failed));
        let killed_before = known.and_then(|known| known.killed_before);
        let (number, epoch) = match known {
            // Its process would end for good, though nothing is wrong with it. It may have been heard of long ago: its
            // server comes back, and gives it the same name.
            // Of one that was deleted, or that nobody lists any more, somebody decided otherwise.
            Some(known)
                if known.server.is_some() && self.server.is_none() && !known.is_forgotten =>
            {
                return Err(Refused::WorkerIsInternal);
            }
            Some(known) if self.if_new && !known.is_forgotten && known.is_killed => {
                return Err(Refused::WorkerKilled);
            }
            Some(known) if self.if_new && !known.is_forgotten => {
                return Ok(Registered {
                    number: known.number,
                    epoch: known.epoch,
                });
            }
            _ if !has_room => return Err(Refused::TooManyWorkers(max)),
            // It would end for good, and its runs be lost. One that its server has not heard of for a while may only
            // have waited for the server: it is gone when it would have lost its leases as well.
            Some(known)
                if known.server.is_none()
                    && self.server.is_some()
                    && known.expires_at + env.policy.lease > env.now =>
            {
                return Err(Refused::WorkerIsExternal);
            }
            Some(known) => (known.number, known.epoch.next()),
            None => view.next_worker(),
        };
        let row = Worker {
            name: self.name.clone(),
            number,
            epoch,
            server: self.server,
            profile: Arc::clone(&self.profile),
            capacity: self.capacity,
            registered_at: env.now,
            expires_at: env.now + env.policy.heartbeat_ttl,
            kept_for: None,
            is_draining: false,
            is_killed: false,
            killed_before,
            completed,
            failed,
            is_forgotten: false,
        };
        view.workers.put(self.name.clone(), row);
        Ok(Registered { number, epoch })
    }
}
