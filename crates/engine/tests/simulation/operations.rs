//! Operations as they go on: each treats every task that it finds and that was made before it, once, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use taskyard_core::filter::Filter;
use taskyard_core::id::{OperationId, TaskId};
use taskyard_core::operation::{Act, Operation, State};
use taskyard_core::query::{Standing, TaskView};
use taskyard_core::rows::Task;
use taskyard_core::status::Status;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::operate::Operated;

use crate::invariants::Moment;
use crate::known::Known;
use crate::ledger::Ledger;

#[derive(Default)]
pub(crate) struct Operations {
    followed: BTreeMap<OperationId, Followed>,
    /// What each key was answered with first.
    keys: BTreeMap<String, OperationId>,
    /// For which operation and task each task was wanted that a piece would make.
    pieces: BTreeMap<TaskId, (OperationId, TaskId)>,
    /// What a clock that was set back since had made, when a piece was looked for.
    ahead: BTreeSet<TaskId>,
}

struct Followed {
    row: Operation,
    /// What it found when it began, and would have found at any time since.
    steady: BTreeSet<TaskId>,
    /// What it has run again.
    made: BTreeSet<TaskId>,
    /// It was taken away, long after its end.
    is_cleared: bool,
}

/// What a commit did to tasks, besides what the rows of operations say.
pub(crate) struct Done<'a> {
    pub(crate) changed: &'a [TaskView],
    /// Those of them that were cancelled.
    pub(crate) cancelled: &'a [TaskId],
    /// Those of them that were made.
    pub(crate) made: &'a [TaskId],
    /// Those that were elsewhere in between, when a piece looked at them, though they stand as they did.
    pub(crate) moved: &'a [TaskId],
}

impl Operations {
    pub(crate) fn wants(&mut self, task: TaskId, operation: OperationId, of: TaskId) {
        self.pieces.insert(task, (operation, of));
    }

    pub(crate) fn found_ahead(&mut self, tasks: impl Iterator<Item = TaskId>) {
        self.ahead.extend(tasks);
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &Operation> {
        let rows = self.followed.values();
        rows.filter(|followed| !followed.is_cleared)
            .map(|followed| &followed.row)
            .filter(|row| row.is_running())
    }

    pub(crate) fn any(&self, place: usize) -> Option<OperationId> {
        self.followed.keys().rev().nth(place).copied()
    }

    /// One key stands for one operation.
    pub(crate) fn operated(&mut self, key: Option<&str>, operated: &Operated) {
        if let Some(key) = key {
            let first = *self.keys.entry(key.to_owned()).or_insert(operated.id);
            assert_eq!(first, operated.id, "I2: one key stands for one operation");
        }
        assert!(
            self.followed.contains_key(&operated.id),
            "I1: what was begun is there: {operated:?}"
        );
    }

    pub(crate) fn cancelled(&self, operation: OperationId) {
        let followed = self.followed.get(&operation);
        assert!(
            followed.is_some_and(|followed| !followed.row.is_running()),
            "an operation that was stopped does not go on: {operation:?}"
        );
    }

    fn see(&mut self, rows: Vec<Operation>, known: &Known, moment: &Moment<'_>) -> i64 {
        let mut cancelled = 0;
        let may_be_forgotten = |row: &Operation| {
            let ended = row.ended_at();
            ended.is_some_and(|ended| ended + moment.policy.operation_life <= moment.now)
        };
        let there: BTreeSet<OperationId> = rows.iter().map(|row| row.id).collect();
        for (id, followed) in &mut self.followed {
            if !followed.is_cleared && !there.contains(id) {
                assert!(
                    may_be_forgotten(&followed.row),
                    "an operation is known for a while after its end: {:?}",
                    followed.row
                );
                followed.is_cleared = true;
            }
        }
        for row in rows {
            let is_another = |followed: &Followed| {
                followed.row.created_at != row.created_at && may_be_forgotten(&followed.row)
            };
            if self.followed.get(&row.id).is_some_and(is_another) {
                // By a sending of it that a server which stood still had in hand for longer than the first was known.
                self.followed.remove(&row.id);
            }
            let followed = self.followed.entry(row.id).or_insert_with(|| Followed {
                steady: found(&row, known),
                made: BTreeSet::new(),
                is_cleared: false,
                row: Operation {
                    cursor: None,
                    done: 0,
                    skipped: 0,
                    state: State::Running,
                    ..row.clone()
                },
            });
            let done = followed.goes_on(row);
            if followed.row.act == Act::Cancel {
                cancelled += done;
            }
        }
        cancelled
    }
}

/// With the rows as they are now; none where they cannot have changed.
pub(crate) fn check(
    rows: Option<Vec<Operation>>,
    done: &Done<'_>,
    ledger: &mut Ledger,
    moment: &Moment<'_>,
) {
    ledger.note_made(done.made);
    let nobody_asked = |task: &&TaskId| !ledger.cancels.contains(*task);
    let unasked: Vec<TaskId> = done
        .cancelled
        .iter()
        .filter(nobody_asked)
        .copied()
        .collect();
    for task in &unasked {
        let view = &ledger.known.tasks[task];
        let is_its = |row: &Operation| {
            let was_there = was_there(row, &view.task) || ledger.operations.ahead.contains(task);
            row.act == Act::Cancel && was_there && whatever_its_state(row, view)
        };
        let mut running = ledger.operations.running();
        // One that begins with this very commit is not followed yet.
        let is_new = |row: &Operation| !ledger.operations.followed.contains_key(&row.id);
        let mut begun = rows.iter().flatten().filter(|row| is_new(row));
        assert!(
            running.any(is_its) || begun.any(is_its),
            "nothing is cancelled that nobody asked for: {view:?}"
        );
    }
    for followed in ledger.operations.followed.values_mut() {
        followed.forget_what_left(done);
    }
    let cancelled = rows.map_or(0, |rows| ledger.operations.see(rows, &ledger.known, moment));
    let count = |tasks: usize| i64::try_from(tasks).expect("few");
    assert!(
        (count(unasked.len())..=count(done.cancelled.len())).contains(&cancelled),
        "an operation counts what it cancels: {cancelled} of {:?}",
        done.cancelled
    );
    for followed in ledger.operations.followed.values_mut() {
        if followed.row.act == Act::Retry {
            assert_eq!(
                followed.row.done,
                count(followed.made.len()),
                "an operation counts what it makes: {:?}",
                followed.row
            );
        }
        if matches!(followed.row.state, State::Done(_)) && !followed.is_cleared {
            followed.has_treated_all();
        }
    }
}

/// What the operation finds of these.
fn found(row: &Operation, known: &Known) -> BTreeSet<TaskId> {
    let views = known.tasks.values();
    let found = views.filter(|view| was_there(row, &view.task) && row.filter.lets_through(view));
    found.map(|view| view.task.id).collect()
}

/// When the operation began, by a clock that was never set back.
fn was_there(row: &Operation, task: &Task) -> bool {
    row.found(task, Timestamp::MAX)
}

/// Whether the filter would let it through but for where it stands.
fn whatever_its_state(row: &Operation, view: &TaskView) -> bool {
    let filter = Filter {
        statuses: Vec::new(),
        worker: None,
        ..Filter::clone(&row.filter)
    };
    filter.lets_through(view)
}

impl Followed {
    /// Answers how many tasks it was done to.
    fn goes_on(&mut self, after: Operation) -> i64 {
        let before = &self.row;
        let is_same = (before.act, &before.filter, before.created_at)
            == (after.act, &after.filter, after.created_at);
        assert!(
            is_same,
            "an operation stays what it is: {before:?}, {after:?}"
        );
        assert!(
            before.is_running() || *before == after,
            "an operation that has ended stays as it is: {before:?}, {after:?}"
        );
        let goes_down =
            before.cursor.is_none() || (after.cursor.is_some() && after.cursor <= before.cursor);
        let (done, skipped) = (after.done - before.done, after.skipped - before.skipped);
        assert!(
            goes_down && done >= 0 && skipped >= 0,
            "an operation goes on behind what it has done: {before:?}, {after:?}"
        );
        assert!(
            before.cursor != after.cursor || !after.is_running() || done + skipped == 0,
            "a piece moves the cursor: {before:?}, {after:?}"
        );
        self.row = after;
        done
    }

    fn forget_what_left(&mut self, done: &Done<'_>) {
        let left = |view: &&TaskView| !self.row.filter.lets_through(view);
        let left = done.changed.iter().filter(left);
        let left: Vec<TaskId> = left.map(|view| view.task.id).collect();
        // Wherever it was, what finds all that is open finds it.
        let open = Status::ALL.into_iter().filter(|status| !status.is_final());
        let finds_all = self.row.filter.statuses.len() == open.count();
        let moved: &[TaskId] = if finds_all && self.row.filter.worker.is_none() {
            &[]
        } else {
            done.moved
        };
        for task in left.iter().chain(moved) {
            self.steady.remove(task);
        }
    }

    /// What it made for each, or passed over because there was no room, it has treated.
    fn has_treated_all(&mut self) {
        let row = &self.row;
        let left: Vec<_> = self.steady.difference(&self.made).collect();
        match row.act {
            Act::Cancel => assert!(
                left.is_empty(),
                "an operation cancels all that it finds: {row:?}, left {left:?}"
            ),
            Act::Retry => assert!(
                i64::try_from(left.len()).expect("few") <= row.skipped,
                "an operation runs all again that it finds: {row:?}, left {left:?}"
            ),
        }
        self.steady.clear();
    }
}

impl Ledger {
    /// I2: for each task that it finds a retry makes one.
    fn note_made(&mut self, made: &[TaskId]) {
        for task in made {
            let Some((operation, of)) = self.operations.pieces.get(task).copied() else {
                continue;
            };
            let is_ahead = self.operations.ahead.contains(&of);
            let followed = self.operations.followed.get_mut(&operation);
            let followed = followed.expect("its row came before");
            self.tally.count("operation_makes_a_task");
            let view = self.known.tasks.get(&of);
            let is_found = |view: &TaskView| {
                (is_ahead || was_there(&followed.row, &view.task))
                    && followed.row.filter.lets_through(view)
            };
            assert!(
                view.is_none_or(is_found),
                "an operation runs again what it finds and was made before: {:?}, {view:?}",
                followed.row
            );
            assert!(
                followed.made.insert(of),
                "an operation runs a task again once: {of}"
            );
        }
    }

    /// What has gone cannot be treated any more.
    pub(crate) fn forget_gone(&mut self, gone: &[TaskId]) {
        for followed in self.operations.followed.values_mut() {
            for task in gone {
                followed.steady.remove(task);
            }
        }
    }

    pub(crate) fn note_cancelled(&mut self, cancelled: &[TaskId]) {
        let unasked = cancelled
            .iter()
            .filter(|task| !self.cancels.contains(*task));
        for _ in unasked {
            self.tally.count("operation_cancels_a_task");
        }
    }
}

/// Which of these were given back and given out again by one commit, or made to wait otherwise.
pub(crate) fn moved(changed: &[TaskView], known: &Known) -> Vec<TaskId> {
    let fence = |view: &TaskView| match &view.standing {
        Standing::Leased(lease) => Some(lease.fence),
        Standing::Scheduled(_) | Standing::Ready | Standing::Ended(_) => None,
    };
    let has_moved = |view: &&TaskView| {
        let before = known.tasks.get(&view.task.id);
        before
            .is_some_and(|before| (fence(before), before.run_at()) != (fence(view), view.run_at()))
    };
    let moved = changed.iter().filter(has_moved);
    // What has ended moves no more.
    let moved = moved.filter(|view| !view.status().is_final());
    moved.map(|view| view.task.id).collect()
}

/// Which of these were just cancelled.
pub(crate) fn cancelled(changed: &[TaskView], known: &Known) -> Vec<TaskId> {
    let is_new = |view: &&TaskView| {
        let before = known.tasks.get(&view.task.id).map(TaskView::status);
        view.status() == Status::Cancelled && before != Some(Status::Cancelled)
    };
    let cancelled = changed.iter().filter(is_new);
    cancelled.map(|view| view.task.id).collect()
}
