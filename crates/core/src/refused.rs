//! Why a command did not do what it asks. A refusal is a reply like any other, and changed nothing, but that a refused
//! result is kept to be seen.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};

use crate::id::TaskId;
use crate::status::Status;

/// Each variant tells its caller what to do about it; the edge maps it to a problem code once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("there is no task with this id")]
    NoSuchTask,
    #[error("there is no operation with this id; those that ended long ago are forgotten")]
    NoSuchOperation,
    #[error("the operation has already ended")]
    OperationEnded,
    #[error("no worker of this name is registered; one that is to work under it registers first")]
    NoSuchWorker,
    #[error("the task has ended before: it {}", .0.as_end())]
    AlreadyEnded(Status),
    #[error("the task has not ended: it is {0}")]
    NotEnded(Status),
    /// What is run again would be damaged as well.
    #[error(
        "what the database holds of the task's {0} is damaged and no JSON any more; submit it anew, with its {0} from \
         elsewhere"
    )]
    Damaged(&'static str),
    #[error("this lease is not the task's current one")]
    StaleLease,
    #[error("the run has already reported something else")]
    ReportedOtherwise,
    /// The others of its report were taken.
    #[error("the database did not take this result; it may be sent again")]
    Broken,
    #[error("the task is not free to be claimed")]
    NotClaimable,
    /// To a claim that names its task.
    #[error("this worker is not registered for {0}, so it cannot claim the task")]
    WorkerUnfit(Unfit),
    #[error("the task does not wait any more: a worker has it")]
    NotWaiting,
    #[error(
        "the epoch is not that of the worker's registration: another process has registered under this name since, or it \
         was killed, or no registration ever had that epoch"
    )]
    WorkerReplaced,
    /// By somebody's decision. Nobody is this worker.
    #[error(
        "the worker was killed: what it held goes to others, and nothing is taken from whoever calls as it. End the process; \
         its name is free to register again, and for one that does not register once the worker was deleted: DELETE \
         /api/v1/workers/{{id}}"
    )]
    WorkerKilled,
    /// To a claim that names its task.
    #[error(
        "the worker was drained: it gets nothing more, finishes what it holds and leaves. Its name works again once a process \
         registers under it, or, for one that does not register, once the worker was deleted: DELETE /api/v1/workers/{{id}}"
    )]
    WorkerDraining,
    #[error(
        "the worker is online; drain it and wait until it holds nothing, or kill it, before it is deleted"
    )]
    WorkerIsOnline,
    #[error(
        "an internal worker of a server has this name, or had it and may come back; choose another, or, if no server has such \
         a worker any more, delete it first: DELETE /api/v1/workers/{{id}}"
    )]
    WorkerIsInternal,
    /// To a worker inside of a server.
    #[error("a worker outside of the server has this name")]
    WorkerIsExternal,
    /// The same id stands for another request.
    #[error("task {0} exists already and was submitted with another body")]
    IdTaken(TaskId),
    /// A client's id says that it was made too long ago, or in the future.
    #[error(
        "task id {id} says that it was made at {made}; it must be of the last {}, and at most {} ahead of the server's clock",
        in_words(.life),
        in_words(.skew),
        made = .id.made_at()
    )]
    IdNotRecent {
        id: TaskId,
        life: Duration,
        skew: Duration,
    },
    #[error("this Idempotency-Key was used with another body")]
    KeyReused,
    #[error(
        "unfinished tasks are in {0} different combinations of queue, kind and requires already; use fewer of them, or try \
         again when some have ended"
    )]
    TooManyLanes(usize),
    #[error("{0} queues are paused or have defaults of their own already; no other one can be set")]
    TooManyQueues(usize),
    #[error(
        "{0} operations are under way already; try again when one has ended, or cancel one with POST \
         /api/v1/operations/{{id}}/cancel"
    )]
    TooManyOperations(usize),
    /// Each would go on with what it remembers.
    #[error(
        "{}. Those that are gone are forgotten in {seconds} s",
        others_up(*.servers)
    )]
    OthersUp { servers: u64, seconds: u64 },
    #[error(
        "{0} workers are known already; register under a worker_id that is known, or try again when some have been gone \
         for long enough to be forgotten"
    )]
    TooManyWorkers(usize),
}

fn others_up(servers: u64) -> String {
    match servers {
        1 => "another server says that it is up on this database; stop it first".to_owned(),
        _ => format!(
            "{servers} other servers say that they are up on this database; stop them first"
        ),
    }
}

/// What of a task its worker would have to be registered for, and is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    Kind,
    Queue,
    Requires,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind => "the task's kind",
            Self::Queue => "the task's queue",
            Self::Requires => "the labels that the task requires",
        })
    }
}

/// `24 hours`.
fn in_words(time: &Duration) -> String {
    let printer = SpanPrinter::new()
        .designator(Designator::Verbose)
        .spacing(Spacing::BetweenUnitsAndDesignators);
    printer.duration_to_string(&SignedDuration::try_from(*time).unwrap_or(SignedDuration::MAX))
}
