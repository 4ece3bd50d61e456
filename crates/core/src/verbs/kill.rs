//! Kill: a worker ends now, by somebody's decision. From here on nobody is that worker, until a process registers under
//! its name: its epoch rises, so that whatever still calls as it is refused, and does nothing more. What it held goes
//! back at no cost to the tasks, for they did not end it, and runs elsewhere at once.
//!
//! It may hold thousands of runs, so whoever kills it brings some of them, and the others once it is killed. What nobody
//! brings, because a server died over it, is taken away by the sweep in the same way: the worker's row tells
//! [`Expire`](super::expire::Expire) why, also once another process has the name.
//!
//! But for exclusive tasks: a process that cannot be reached may go on with those as long as it has their leases, so only
//! the end of these gives them away.

use crate::command::{Env, halves};
use crate::id::{Epoch, RunKey, TaskId, WorkerNumber};
use crate::moves::{self, Ending};
use crate::name::Name;
use crate::needs::{Hold, Needs};
use crate::refused::Refused;
use crate::rows::{End, Failure, Lease, Worker};
use crate::slot::Event;
use crate::topic::Topic;
use crate::verbs::caller;
use crate::view::View;

#[derive(Clone, Debug)]
pub struct Kill {
    pub worker: Name,
    /// Those of its runs that go back with this command; each is judged here again.
    pub runs: Vec<RunKey>,
    pub part: Part,
}

/// A worker may hold more than goes back at once, and a process may register under its name before the rest does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// It ends, where that is still to be done.
    First,
    /// Goes on with the kill that brought the worker to this epoch, whoever has its name by now.
    Since(Epoch),
    /// Goes on where the worker was killed, whoever has its name by now, and does nothing to one that was not.
    Rest,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Killed {
    /// The epoch that the worker was brought to: what it held before that goes back. None of one that was offline already,
    /// which is left as it is.
    pub epoch: Option<Epoch>,
    /// Those whose runs went back, in the order in which these were brought.
    pub tasks: Vec<TaskId>,
}

impl Killed {
    pub(crate) fn nothing() -> Self {
        Self {
            epoch: None,
            tasks: Vec::new(),
        }
    }

    pub(crate) fn join(&mut self, more: Self) {
        self.epoch = self.epoch.or(more.epoch);
        self.tasks.extend(more.tasks);
    }
}

impl Kill {
    /// The first kills, where that is still to be done. The second finds it done, or a process that took the name since,
    /// and goes on with what was held before.
    pub(crate) fn halves(&self) -> Option<[Self; 2]> {
        let [first, second] = halves(&self.runs)?;
        let of = |runs, part| Self {
            worker: self.worker.clone(),
            runs,
            part,
        };
        let rest = match self.part {
            Part::First => Part::Rest,
            part => part,
        };
        Some([of(first, self.part), of(second, rest)])
    }

    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        needs.worker(&self.worker, Hold::Lock);
        for run in &self.runs {
            needs.leases.push((run.slot, Hold::Lock));
            needs.tasks.push(run.slot.task);
            needs.carries.push(run.slot);
        }
    }

    #[expect(clippy::unused_self, reason = "every verb has one")]
    pub(crate) fn more(&self, _view: &View, _needs: &mut Needs, _env: &Env<'_>) {}

    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Killed, Refused> {
        let worker = caller::listed(&self.worker, view)?;
        let (number, is_killed) = (worker.number, worker.is_killed);
        let epoch = match self.part {
            Part::Since(epoch) => epoch,
            // What is left of it goes on.
            Part::First | Part::Rest if is_killed => worker.epoch,
            Part::Rest => match worker.killed_before {
                Some(epoch) => epoch,
                None => return Ok(Killed::nothing()),
            },
            Part::First if worker.is_offline(env.now) => return Ok(Killed::nothing()),
            Part::First => self.end(number, worker.epoch.next(), view, env),
        };
        let mut tasks = Vec::new();
        for run in &self.runs {
            let goes = |lease: &&Lease| {
                (lease.fence, lease.worker) == (run.fence, number) && goes_back(lease, epoch)
            };
            let lease = view.leases.get(&run.slot).filter(goes).cloned();
            // Where a damaged database has lost the task, that must not keep the others from going back.
            if let Some(lease) = lease
                && view.tasks.get(&run.slot.task).is_some()
            {
                let (event, ending) = gives_back();
                moves::end_run(view, &lease, event, ending, env);
                tasks.push(run.slot.task);
            }
        }
        // Whether this kill is the one that brought it there, nobody knows once a process has its name.
        let is_known = self.part != Part::Rest || is_killed;
        let epoch = is_known.then_some(epoch);
        Ok(Killed { epoch, tasks })
    }

    fn end(&self, number: WorkerNumber, epoch: Epoch, view: &mut View, env: &Env<'_>) -> Epoch {
        view.workers.update(&self.worker, |row| {
            row.epoch = epoch;
            row.expires_at = env.now;
            row.kept_for = None;
            row.is_killed = true;
            row.killed_before = Some(epoch);
        });
        view.announce(Topic::Told(number));
        epoch
    }
}

/// Whether it goes back because its worker was killed.
pub(super) fn ended(worker: &Worker, lease: &Lease) -> bool {
    let killed = worker.killed_before;
    killed.is_some_and(|epoch| goes_back(lease, epoch))
}

fn goes_back(lease: &Lease, killed: Epoch) -> bool {
    lease.epoch < killed && !lease.is_exclusive
}

/// What becomes of its runs, whoever takes them away.
pub(super) fn gives_back() -> (Event, Ending) {
    let ending = Ending {
        end: Some(End::Released),
        error: Some(Failure::new("worker_killed", "its worker was killed")),
        ..Ending::default()
    };
    (Event::Released, ending)
}
