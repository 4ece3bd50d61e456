//! Kill: a worker ends now, by somebody's decision. From here on nobody is that worker, until a process registers under
//! its name: its epoch rises, so that whatever still calls as it is refused, and does nothing more. What it held goes
//! back at no cost to the tasks, for they did not end it, and runs elsewhere at once.
//!
//! But for exclusive tasks: a process that cannot be reached may go on with those as long as it has their leases, so only
//! the end of these gives them away.

use crate::command::Env;
use crate::id::TaskId;
use crate::moves::{self, Ending};
use crate::name::Name;
use crate::needs::{Hold, Needs};
use crate::refused::Refused;
use crate::rows::{End, Failure, Lease};
use crate::slot::Event;
use crate::topic::Topic;
use crate::verbs::caller;
use crate::view::View;

#[derive(Clone, Debug)]
pub struct Kill {
    pub worker: Name,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Killed {
    /// Those whose runs went back, by key; none of a worker that was offline already, which is left as it is.
    pub tasks: Vec<TaskId>,
}

impl Kill {
    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        needs.worker(&self.worker, Hold::Lock);
    }

    /// Also of one that is offline: what stands before this in its batch may bring it back.
    pub(crate) fn more(&self, view: &View, needs: &mut Needs, _env: &Env<'_>) {
        let Some(worker) = view.workers.get(&self.worker) else {
            return;
        };
        if !view.knows_leases_of(worker.number) {
            needs.leases_of.push(worker.number);
            return;
        }
        for lease in view.leases_of(worker.number).filter(|lease| goes(lease)) {
            if !view.holds_lease(lease.slot) {
                needs.leases.push((lease.slot, Hold::Lock));
            }
            moves::need_history(lease, view, needs);
        }
    }

    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Killed, Refused> {
        let worker = caller::listed(&self.worker, view)?;
        if worker.is_offline(env.now) {
            return Ok(Killed { tasks: Vec::new() });
        }
        let number = worker.number;
        view.workers.update(&self.worker, |row| {
            row.epoch = row.epoch.next();
            row.expires_at = env.now;
            row.kept_for = None;
            row.is_killed = true;
        });
        let mut leases: Vec<Lease> = Vec::new();
        // A worker whose name is new in this very batch holds nothing yet.
        if view.knows_leases_of(number) {
            let held = view.leases_of(number).filter(|lease| goes(lease));
            // Where a damaged database has lost the task, that must not keep its worker from being killed.
            let has_task = |lease: &&Lease| view.tasks.get(&lease.slot.task).is_some();
            leases.extend(held.filter(has_task).cloned());
        }
        // In the order of their keys: the same on every store.
        leases.sort_unstable_by_key(|lease| lease.slot);
        for lease in &leases {
            let ending = Ending {
                end: Some(End::Released),
                error: Some(Failure::new("worker_killed", "its worker was killed")),
                ..Ending::default()
            };
            moves::end_run(view, lease, Event::Released, ending, env);
        }
        view.announce(Topic::Told(number));
        let tasks = leases.iter().map(|lease| lease.slot.task);
        Ok(Killed {
            tasks: tasks.collect(),
        })
    }
}

fn goes(lease: &Lease) -> bool {
    !lease.is_exclusive
}
