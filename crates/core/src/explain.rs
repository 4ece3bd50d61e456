//! Why a task is not running, or is: judged by the same rules that deal it, over what a store read of one moment.

use crate::id::TaskId;
use crate::labels::Demands;
use crate::policy::Policy;
use crate::query::{Standing, TaskView, WorkerView};
use crate::rows::{Carry, Lease, Scheduled, Why, Worker};
use crate::slot::Place;
use crate::status::Status;
use crate::time::Timestamp;

/// How many workers are looked at for one task; whoever has more knows a thousand that do.
pub const WORKERS_MAX: usize = 1_000;
/// How many tasks before one are counted.
pub const BEFORE_MAX: usize = 1_000;

/// What a store is asked for a task.
#[derive(Clone, Debug)]
pub struct Explain {
    pub task: TaskId,
    pub now: Timestamp,
    /// Looks at no more workers than this.
    pub workers: usize,
    /// Counts no more tasks than this before it.
    pub before: usize,
}

impl Explain {
    pub fn new(task: TaskId, now: Timestamp) -> Self {
        Self {
            task,
            now,
            workers: WORKERS_MAX,
            before: BEFORE_MAX,
        }
    }
}

/// A task and what decides when it runs, of one moment.
#[derive(Clone, Debug)]
pub struct Surroundings {
    pub view: TaskView,
    pub is_queue_paused: bool,
    /// How many are ready before it in its lane, counted up to a bound; 0 unless it is ready itself.
    pub before: usize,
    /// Who is online, up to a bound; nobody where it does not matter.
    pub workers: Vec<WorkerView>,
    /// Who holds it.
    pub holder: Option<Worker>,
}

/// One reason why a task stands where it stands.
#[derive(Clone, PartialEq, Debug)]
pub enum Reason {
    Ended(Status),
    /// No worker is to have it: it fails when its time comes, which is this.
    CommandNotAllowed(Timestamp),
    WaitsForRunAt(Timestamp),
    WaitsForRetry(Timestamp),
    WaitsForSnooze(Timestamp),
    QueuePaused,
    /// Nobody of so many who are online asks for its kind. So many of them ask for none, and take what they name.
    NoWorkerForKind {
        online: usize,
        by_name: usize,
    },
    /// So many run its kind, none of them its queue.
    NoWorkerForQueue {
        workers: usize,
    },
    /// So many run its kind and queue, and the labels of none of them meet what it requires.
    RequiresUnmet {
        workers: usize,
        demands: Demands,
    },
    /// So many could run it, and all of them drain.
    WorkersDraining {
        workers: usize,
    },
    /// So many could run it, and all of them have as much as they take.
    WorkersBusy {
        workers: usize,
    },
    /// So many are to be given out before it.
    WaitsInTurn {
        before: usize,
    },
    /// So many could run it and have room: whoever asks next gets it.
    WaitsForClaim {
        workers: usize,
    },
    /// So many leases of it were lost in a row: it waits for a worker that holds nothing else.
    Suspect {
        lost: i32,
    },
    /// A worker has it and has not said that it began.
    Assigned,
    Running,
    /// Its worker is offline: it is given to another once that was noticed, at this time at the latest.
    WorkerSilent(Timestamp),
    /// Its worker is offline and it never runs twice at once: it is given to another when its lease ends.
    ExclusiveLease(Timestamp),
}

impl Reason {
    /// The stable word for it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ended(_) => "ended",
            Self::CommandNotAllowed(_) => "command_not_allowed",
            Self::WaitsForRunAt(_) => "waits_for_run_at",
            Self::WaitsForRetry(_) => "waits_for_retry",
            Self::WaitsForSnooze(_) => "waits_for_snooze",
            Self::QueuePaused => "queue_paused",
            Self::NoWorkerForKind { .. } => "no_worker_for_kind",
            Self::NoWorkerForQueue { .. } => "no_worker_for_queue",
            Self::RequiresUnmet { .. } => "requires_unmet",
            Self::WorkersDraining { .. } => "workers_draining",
            Self::WorkersBusy { .. } => "workers_busy",
            Self::WaitsInTurn { .. } => "waits_in_turn",
            Self::WaitsForClaim { .. } => "waits_for_claim",
            Self::Suspect { .. } => "suspect",
            Self::Assigned => "assigned",
            Self::Running => "running",
            Self::WorkerSilent(_) => "worker_silent",
            Self::ExclusiveLease(_) => "exclusive_lease",
        }
    }
}

/// All that keeps the task from its end, the first that has to change first.
pub fn explain(around: &Surroundings, now: Timestamp, policy: &Policy) -> Vec<Reason> {
    match &around.view.standing {
        Standing::Ended(outcome) => vec![Reason::Ended(outcome.status)],
        Standing::Leased(lease) => of_lease(lease, around.holder.as_ref(), now),
        // Neither its queue nor any worker matters to it.
        Standing::Scheduled(row) if is_refused(around, policy) => {
            vec![Reason::CommandNotAllowed(row.run_at)]
        }
        Standing::Scheduled(row) => {
            let mut reasons = vec![until(row)];
            // What would keep it waiting when its time has come.
            reasons.extend(paused(around));
            reasons.extend(staffing(around).err());
            reasons
        }
        Standing::Ready => of_ready(around),
    }
}

fn is_refused(around: &Surroundings, policy: &Policy) -> bool {
    let view = &around.view;
    let kind = Some(view.lane.kind.as_str());
    policy.refusal_of(&view.task, kind).is_some()
}

fn until(row: &Scheduled) -> Reason {
    match row.why {
        Why::RunAt => Reason::WaitsForRunAt(row.run_at),
        Why::BackOff => Reason::WaitsForRetry(row.run_at),
        Why::Snooze => Reason::WaitsForSnooze(row.run_at),
    }
}

fn paused(around: &Surroundings) -> Option<Reason> {
    around.is_queue_paused.then_some(Reason::QueuePaused)
}

fn of_lease(lease: &Lease, holder: Option<&Worker>, now: Timestamp) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if holder.is_none_or(|worker| worker.is_offline(now)) {
        reasons.push(if lease.is_exclusive {
            Reason::ExclusiveLease(lease.expires_at)
        } else {
            Reason::WorkerSilent(lease.expires_at)
        });
    }
    reasons.push(match lease.place() {
        Place::Running => Reason::Running,
        Place::Scheduled | Place::Ready | Place::Suspect | Place::Leased | Place::Ended(_) => {
            Reason::Assigned
        }
    });
    reasons
}

fn of_ready(around: &Surroundings) -> Vec<Reason> {
    let mut reasons = Vec::new();
    reasons.extend(paused(around));
    let counts = Carry::counts(around.view.carry.as_ref());
    if counts.is_suspect() {
        let lost = counts.lost_in_a_row;
        reasons.push(Reason::Suspect { lost });
    }
    let could = match staffing(around) {
        Ok(could) => could,
        Err(reason) => {
            reasons.push(reason);
            return reasons;
        }
    };
    let has_room = |view: &&&WorkerView| {
        let capacity = usize::try_from(view.worker.capacity).unwrap_or(0);
        view.held < if counts.is_suspect() { 1 } else { capacity }
    };
    let free = could.iter().filter(has_room).count();
    if free == 0 {
        let workers = could.len();
        reasons.push(Reason::WorkersBusy { workers });
    }
    if around.before > 0 {
        let before = around.before;
        reasons.push(Reason::WaitsInTurn { before });
    } else if free > 0 && reasons.is_empty() {
        reasons.push(Reason::WaitsForClaim { workers: free });
    }
    reasons
}

/// The workers that could run it, or what all that are online lack.
fn staffing(around: &Surroundings) -> Result<Vec<&WorkerView>, Reason> {
    let lane = &around.view.lane;
    let online = around.workers.len();
    let mut left: Vec<&WorkerView> = around.workers.iter().collect();
    left.retain(|view| view.worker.profile.runs(&lane.kind));
    if left.is_empty() {
        let takes_by_name = |view: &&WorkerView| view.worker.profile.is_by_name();
        let by_name = around.workers.iter().filter(takes_by_name).count();
        return Err(Reason::NoWorkerForKind { online, by_name });
    }
    let workers = left.len();
    left.retain(|view| view.worker.profile.serves_queue(&lane.queue));
    if left.is_empty() {
        return Err(Reason::NoWorkerForQueue { workers });
    }
    let workers = left.len();
    left.retain(|view| view.worker.profile.serves(lane));
    if left.is_empty() {
        let demands = lane.demands.clone();
        return Err(Reason::RequiresUnmet { workers, demands });
    }
    let workers = left.len();
    left.retain(|view| !view.worker.is_draining);
    if left.is_empty() {
        return Err(Reason::WorkersDraining { workers });
    }
    Ok(left)
}
