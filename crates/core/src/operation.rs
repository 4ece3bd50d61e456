//! Operations: one act on every task that a filter lets through, however many there are.
//!
//! The row is what is authoritative. It is worked off in pieces, newest task first; each piece is one command, which
//! moves the row's cursor in the same commit as it acts, and only if the cursor is where the piece begins. So no task is
//! acted on twice, whoever repeats a piece, and after a stop of any kind it goes on where it was.

use std::sync::Arc;
use std::time::Duration;

use crate::filter::Filter;
use crate::id::{OperationId, TaskId};
use crate::rows::Task;
use crate::status::Status;
use crate::time::Timestamp;

/// So much later a server may know what time it is than another one. What was just made there is not from the future.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(1);

#[derive(Clone, PartialEq, Debug)]
pub struct Operation {
    pub id: OperationId,
    pub act: Act,
    pub filter: Arc<Filter>,
    /// The last task that it is done with, of those in the order of their ids downwards.
    pub cursor: Option<TaskId>,
    /// How many tasks it has acted on.
    pub done: i64,
    /// How many it found that could not be acted on when their turn came, or could not be read.
    pub skipped: i64,
    /// Tasks that were made later are not touched.
    pub created_at: Timestamp,
    pub state: State,
}

/// What is done to each task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    Cancel,
    /// A new task for each, as it was.
    Retry,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Running,
    Done(Timestamp),
    /// Stopped on its way; what it did stays.
    Cancelled(Timestamp),
}

impl Operation {
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    pub fn ended_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Running => None,
            State::Done(at) | State::Cancelled(at) => Some(at),
        }
    }

    /// Whether the task was there when the operation began, whatever its id says: what a retry makes is never retried by
    /// it again. `now` is when it was looked for. What was made later by the clock than that was made before somebody set
    /// the clock back.
    pub fn found(&self, task: &Task, now: Timestamp) -> bool {
        task.created_at <= self.created_at || task.created_at > now + CLOCKS_APART_MAX
    }
}

impl Act {
    /// Whether it can be done to a task that stands there.
    pub fn fits(self, status: Status) -> bool {
        match self {
            Self::Cancel => !status.is_final(),
            Self::Retry => status.is_final(),
        }
    }

    /// The filter's tasks that it can be done to; `None` where the filter names only others.
    pub fn narrow(self, mut filter: Filter) -> Option<Filter> {
        if filter.statuses.is_empty() {
            filter.statuses = Status::ALL.to_vec();
        }
        filter.statuses.retain(|status| self.fits(*status));
        (!filter.statuses.is_empty()).then_some(filter)
    }
}
