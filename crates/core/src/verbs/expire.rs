//! Expire: runs whose worker is gone, or that take too long, are taken away. The sweep brings candidates; each is
//! judged here again, under its lock, so that any number of servers may sweep.

use crate::command::Env;
use crate::id::{RunKey, TaskId};
use crate::moves::{self, Ending};
use crate::name::Name;
use crate::needs::{Hold, Needs};
use crate::refused::Refused;
use crate::rows::{End, Failure, Lease, Worker};
use crate::slot::Event;
use crate::time::Timestamp;
use crate::view::View;

#[derive(Clone, Debug)]
pub struct Expire {
    /// Each with its worker.
    pub runs: Vec<(RunKey, Name)>,
    /// While the server has a reason to doubt its own view, nobody's silence counts.
    pub grace: bool,
    /// Since when this server is the only one, where it can be the only one: internal workers that registered before
    /// went with the process before it.
    pub alone_since: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Expired {
    pub tasks: Vec<TaskId>,
}

impl Expire {
    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        for (run, worker) in &self.runs {
            needs.leases.push((run.slot, Hold::Lock));
            needs.worker(worker, Hold::Lock);
            needs.tasks.push(run.slot.task);
            needs.carries.push(run.slot);
        }
    }

    #[expect(clippy::unused_self, reason = "every verb has one")]
    pub(crate) fn more(&self, _view: &View, _needs: &mut Needs, _env: &Env<'_>) {}

    #[expect(clippy::unnecessary_wraps, reason = "every verb answers alike")]
    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Expired, Refused> {
        let mut tasks = Vec::new();
        for (run, worker) in &self.runs {
            let Some(lease) = view
                .leases
                .get(&run.slot)
                .filter(|lease| lease.fence == run.fence)
                .cloned()
            else {
                continue;
            };
            if let Some((event, ending)) = self.judge(&lease, worker, view, env) {
                moves::end_run(view, &lease, event, ending, env);
                tasks.push(run.slot.task);
            }
        }
        Ok(Expired { tasks })
    }

    fn went_with_its_server(&self, worker: &Worker) -> bool {
        worker.server.is_some()
            && self
                .alone_since
                .is_some_and(|since| worker.registered_at < since)
    }

    fn judge(
        &self,
        lease: &Lease,
        worker: &Name,
        view: &View,
        env: &Env<'_>,
    ) -> Option<(Event, Ending)> {
        let overdue = lease
            .deadline
            .is_some_and(|deadline| deadline + env.policy.timeout_margin <= env.now);
        if overdue {
            let error = Failure::new("timeout", "the run took longer than its timeout_ms");
            return Some((
                Event::TimedOut,
                Ending {
                    end: Some(End::TimedOut),
                    error: Some(error),
                    ..Ending::default()
                },
            ));
        }
        let row = view
            .workers
            .get(worker)
            .filter(|row| row.number == lease.worker);
        let why = if row.is_some_and(|row| row.epoch > lease.epoch) {
            "another process took this worker's name"
        } else if row.is_some_and(|row| self.went_with_its_server(row)) {
            "its server has ended"
        } else if self.grace {
            return None;
        } else if row.is_none_or(|row| row.is_offline(env.now)) {
            "the worker gave no sign of life"
        } else if lease.expires_at <= env.now {
            "the worker did not renew the lease"
        } else {
            return None;
        };
        let error = Some(Failure::new("worker_lost", why));
        Some((
            Event::Lost,
            Ending {
                end: Some(End::Lost),
                error,
                ..Ending::default()
            },
        ))
    }
}
