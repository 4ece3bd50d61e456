//! What a store answers with, and the methods by which whoever asked takes it.

use super::{
    AtWork, Counted, Holder, Holding, Listed, Minutes, QueuesListed, Sums, Survey, TaskView,
    WorkerCounts, WorkerView,
};
use crate::explain::Surroundings;
use crate::id::{OperationId, RunKey, TaskId, WorkerNumber};
use crate::name::Name;
use crate::operation::Operation;
use crate::queue::Queue;
use crate::rows::{Attempt, Ended, LateResult, Unique, UniqueKey, Worker};
use crate::time::Timestamp;

macro_rules! answers {
    ($($(#[$doc:meta])* $answer:ident($found:ty) => $take:ident),+ $(,)?) => {
        #[derive(Debug)]
        pub enum Answer {
            $($(#[$doc])* $answer($found),)+
            Pong,
        }

        /// Each is for whoever asked that question, and panics over the answer to another: a store that gives it is
        /// broken.
        impl Answer {
            $(pub fn $take(self) -> $found {
                match self {
                    Self::$answer(found) => found,
                    other => panic!("{} were asked for, and {other:?} came", stringify!($answer)),
                }
            })+
        }
    };
}

answers! {
    Task(Option<Box<TaskView>>) => task,
    Tasks(Listed) => tasks,
    Attempts(Attempts) => attempts,
    /// None where there is no such task.
    Explain(Option<Box<Surroundings>>) => explain,
    Counts(Vec<Counted>) => counts,
    Sums(Sums) => sums,
    Minutes(Minutes) => minutes,
    Workers(Vec<WorkerView>) => workers,
    WorkerCounts(WorkerCounts) => worker_counts,
    Survey(Survey) => survey,
    Gone(Vec<Name>) => gone,
    Worker(Option<Box<Worker>>) => worker,
    AtWork(Option<Box<AtWork>>) => at_work,
    Named(Vec<(WorkerNumber, Name)>) => named,
    Queues(Vec<Queue>) => queues,
    QueuePage(QueuesListed) => queue_page,
    Operation(Option<Box<Operation>>) => operation,
    Operations(Vec<Operation>) => operations,
    OldOperations(Vec<OperationId>) => old_operations,
    Freeable(Freeable) => freeable,
    Relics(Vec<Ended>) => relics,
    /// Each with its worker, if that is known.
    Lost(Vec<(RunKey, Option<Name>)>) => lost,
    Takeable(Vec<RunKey>) => takeable,
    Ended(Vec<TaskId>) => ended,
    Known(Vec<TaskId>) => known,
    /// None where there is no such task.
    Holder(Option<Holder>) => holder,
    Holdings(Vec<Holding>) => holdings,
    NextDue(Option<Timestamp>) => next_due,
}

/// The runs of a task that did not end it.
#[derive(Debug, Default)]
pub struct Attempts {
    /// Each with its worker's name.
    pub ended: Vec<(Attempt, Option<Name>)>,
    pub late: Vec<LateResult>,
}

/// Unique keys whose tasks have ended.
#[derive(Debug, Default)]
pub struct Freeable {
    pub keys: Vec<UniqueKey>,
    /// Behind whom to go on, if there is more to look at.
    pub next: Option<TaskId>,
}

impl Freeable {
    /// Of the keys that were looked at, each with whether its task has ended; `limit` were asked for.
    pub fn of(held: Vec<(Unique, bool)>, limit: usize) -> Self {
        let next = (held.len() == limit).then(|| held.last().map(|(row, _)| row.task));
        let ended = held.into_iter().filter(|(_, ended)| *ended);
        Self {
            next: next.flatten(),
            keys: ended.map(|(row, _)| row.key).collect(),
        }
    }
}

impl From<Freeable> for Answer {
    fn from(freeable: Freeable) -> Self {
        Self::Freeable(freeable)
    }
}
