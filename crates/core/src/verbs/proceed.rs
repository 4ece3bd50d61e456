//! Proceed: the next piece of an operation. Its tasks were looked for before; each is judged here again, under its lock.
//!
//! The operation's cursor moves in the same commit. A piece that does not begin where the cursor is has been done
//! already, by another server or by an earlier sending, and changes nothing.

use crate::command::Env;
use crate::id::{OperationId, SlotKey, TaskId};
use crate::needs::{Hold, Needs};
use crate::operation::{Act, Operation, State};
use crate::query::{Listed, TaskView};
use crate::refused::Refused;
use crate::standing::{self, Standing};
use crate::time::Timestamp;
use crate::verbs::cancel;
use crate::verbs::submit::{self, NewTask};
use crate::verbs::unique;
use crate::view::View;

#[derive(Clone, Debug)]
pub struct Proceed {
    pub operation: OperationId,
    /// The operation's cursor when the tasks were looked for.
    pub behind: Option<TaskId>,
    pub piece: Piece,
    /// So many were come across besides that cannot be read: they are skipped.
    pub unreadable: usize,
    /// Where the next piece begins; none behind the last.
    pub next: Option<TaskId>,
}

#[derive(Clone, Debug)]
pub enum Piece {
    Cancel(Vec<TaskId>),
    /// What is made for each.
    Retry(Vec<NewTask>),
    /// So many that the database refuses to touch are left as they are.
    PassOver(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Proceeded {
    /// As it is now; none if the piece was not its next one.
    pub operation: Option<Operation>,
    /// Of each task that the piece would make, in their order, whether it did.
    pub made: Vec<bool>,
}

impl Proceed {
    /// The piece that is made of what was found behind the operation's cursor, with what the clock showed then.
    pub fn of(
        operation: &Operation,
        found: Listed,
        now: Timestamp,
        new_id: impl FnMut() -> TaskId,
    ) -> Self {
        let unreadable = found.unreadable.len();
        let views = found
            .items
            .into_iter()
            .filter(|view| operation.found(&view.task, now));
        Self {
            operation: operation.id,
            behind: operation.cursor,
            piece: Piece::of(operation.act, views, new_id),
            unreadable,
            next: found.next,
        }
    }

    /// The same piece, without trying it again.
    pub fn passing_over(self) -> Self {
        let tasks = match &self.piece {
            Piece::Cancel(tasks) => tasks.len(),
            Piece::Retry(tasks) => tasks.len(),
            Piece::PassOver(tasks) => *tasks,
        };
        let piece = Piece::PassOver(tasks);
        Self { piece, ..self }
    }

    pub(crate) fn needs(&self, needs: &mut Needs, env: &Env<'_>) {
        needs.operations.push(self.operation);
        match &self.piece {
            Piece::Cancel(tasks) => {
                let slots = tasks.iter().copied().map(SlotKey::only);
                slots.for_each(|slot| standing::needs(slot, needs));
            }
            Piece::Retry(tasks) => submit::need_places(tasks, needs, env),
            Piece::PassOver(_) => {}
        }
    }

    pub(crate) fn more(&self, view: &View, needs: &mut Needs, _env: &Env<'_>) {
        let Some(operation) = self.next_of(view) else {
            return;
        };
        if let Some(worker) = &operation.filter.worker
            && !view.workers.knows(worker)
        {
            needs.worker(worker, Hold::Read);
        }
        match &self.piece {
            Piece::Cancel(tasks) => {
                let slots = tasks.iter().copied().map(SlotKey::only);
                slots.for_each(|slot| standing::more(slot, view, needs));
            }
            Piece::Retry(tasks) => {
                unique::more(tasks.iter().filter_map(NewTask::unique_key), view, needs);
            }
            Piece::PassOver(_) => {}
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "every verb answers alike")]
    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Proceeded, Refused> {
        let Some(mut operation) = self.next_of(view).cloned() else {
            return Ok(Proceeded {
                operation: None,
                made: Vec::new(),
            });
        };
        let mut made = Vec::new();
        let (done, of) = match &self.piece {
            Piece::Cancel(tasks) => {
                let cancel = |task: &&TaskId| cancel_one(**task, &operation, view, env);
                (tasks.iter().filter(cancel).count(), tasks.len())
            }
            Piece::Retry(tasks) => {
                made.extend(tasks.iter().map(|task| make_one(task, view, env)));
                (made.iter().filter(|made| **made).count(), tasks.len())
            }
            Piece::PassOver(tasks) => (0, *tasks),
        };
        operation.done += count(done);
        operation.skipped += count(of - done + self.unreadable);
        operation.cursor = self.next.or(operation.cursor);
        if self.next.is_none() {
            operation.state = State::Done(env.now);
        }
        view.operations
            .update(&self.operation, |row| row.clone_from(&operation));
        Ok(Proceeded {
            operation: Some(operation),
            made,
        })
    }

    /// The operation, if this piece is its next one.
    fn next_of<'a>(&self, view: &'a View) -> Option<&'a Operation> {
        let operation = view.operations.get(&self.operation)?;
        (operation.is_running() && operation.cursor == self.behind).then_some(operation)
    }
}

impl Piece {
    fn of(
        act: Act,
        views: impl Iterator<Item = TaskView>,
        mut new_id: impl FnMut() -> TaskId,
    ) -> Self {
        match act {
            Act::Cancel => Self::Cancel(views.map(|view| view.task.id).collect()),
            Act::Retry => {
                // A task stands where the filter found it for good: it has ended.
                let again = |view: TaskView| NewTask::again(&view, new_id()).ok();
                Self::Retry(views.filter_map(again).collect())
            }
        }
    }
}

/// Whether it was done: the task may have ended or gone on since it was found.
fn cancel_one(task: TaskId, operation: &Operation, view: &mut View, env: &Env<'_>) -> bool {
    let standing = standing::of(SlotKey::only(task), view);
    let fits = match &standing {
        Standing::Unknown | Standing::Ended(_) => false,
        Standing::Scheduled(_) | Standing::Ready(_) => operation.filter.worker.is_none(),
        Standing::Leased(lease) => operation.filter.worker.as_ref().is_none_or(|name| {
            let worker = view.workers.peek(name);
            worker.is_some_and(|worker| worker.number == lease.worker)
        }),
    };
    let statuses = &operation.filter.statuses;
    let stands_there = |status| statuses.is_empty() || statuses.contains(&status);
    fits && standing.status().is_some_and(stands_there) && cancel::end(standing, view, env).is_ok()
}

/// Whether it was made: another task may have its unique key, and there may be no room for its lane.
fn make_one(task: &NewTask, view: &mut View, env: &Env<'_>) -> bool {
    let is_taken = |key| unique::holder(&key, view).is_some();
    if task.unique_key().is_some_and(is_taken) {
        return false;
    }
    let has_lane = submit::take_up_lanes(std::iter::once(&task.lane), view, env).is_ok();
    if has_lane {
        task.make(view, env);
    }
    has_lane
}

fn count(tasks: usize) -> i64 {
    i64::try_from(tasks).unwrap_or(i64::MAX)
}
