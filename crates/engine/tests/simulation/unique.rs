//! Unique keys: of one queue's tasks with the same key at most one has not ended, and who wants another is told which.

use taskyard_core::id::TaskId;
use taskyard_core::query::TaskView;
use taskyard_core::verbs::submit::{Made, Submit, Submitted};

use crate::known::unique_key;
use crate::ledger::Ledger;

/// Of tasks that have changed.
pub(crate) fn check(changed: &[TaskView], ledger: &Ledger) {
    for key in changed.iter().filter_map(unique_key) {
        let open = &ledger.known.unique[&key];
        assert!(
            open.len() <= 1,
            "one unfinished task has a unique key: {key:?} {open:?}"
        );
    }
}

/// The batch began after commit number `since`.
pub(crate) fn check_submitted(
    submit: &Submit,
    submitted: &Submitted,
    since: u64,
    ledger: &mut Ledger,
) {
    let places = submitted.ids.iter().zip(&submitted.made);
    for ((id, made), task) in places.zip(&submit.tasks) {
        if *made != Made::ByAnother {
            continue;
        }
        ledger.tally.count("unique_key_is_taken");
        let has_ended_before = |task: &TaskId| {
            let ended_with = ledger.ended_with.get(task);
            ended_with.is_some_and(|commit| *commit <= since)
        };
        assert!(
            !has_ended_before(id),
            "a task that has ended stands in nobody's place: {id} in that of {task:?}"
        );
        if let Some(view) = ledger.known.tasks.get(id) {
            let is_its = view.task.unique_key == task.unique_key
                && view.lane.queue == task.lane.queue
                && task.unique_key.is_some();
            assert!(
                is_its,
                "who stands in a task's place has its unique key: {view:?} in that of {task:?}"
            );
        }
    }
}
