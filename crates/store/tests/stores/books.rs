//! What must hold of all tasks together, whatever the commands were: none is forgotten, none comes from nowhere, and an
//! end is final.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use taskyard_core::command::{Answer, Command, Done};
use taskyard_core::id::TaskId;
use taskyard_core::query::{Standing, TaskView};
use taskyard_core::rows::Outcome;

/// The tasks that were acknowledged and not taken away since, and how those ended that have.
#[derive(Default)]
pub(crate) struct Books {
    tasks: BTreeMap<TaskId, Option<Arc<Outcome>>>,
    /// How many commands failed that nobody may run.
    pub(crate) refused: usize,
}

impl Books {
    pub(crate) fn made(&mut self, task: TaskId) {
        let before = self.tasks.insert(task, None);
        assert!(before.is_none(), "{task} is made while it is there");
    }

    /// Its row was taken away by hand.
    pub(crate) fn lost(&mut self, task: TaskId) {
        self.tasks.remove(&task);
    }

    fn taken_away(&mut self, task: TaskId, named: &BTreeSet<TaskId>) {
        assert!(named.contains(&task), "{task} is forgotten");
        let end = self.tasks.remove(&task).flatten();
        assert!(end.is_some(), "{task} is taken away before its end");
    }

    /// What the batch promised, held against the tasks that are there behind it.
    pub(crate) fn check(&mut self, batch: &[Command], answers: &[Answer], there: &[TaskView]) {
        let discards = batch.iter().filter_map(|command| match command {
            Command::Discard(discard) => Some(&discard.tasks),
            _ => None,
        });
        let named: BTreeSet<TaskId> = discards.flatten().copied().collect();
        let mut gone = 0;
        let mut discarded = 0;
        for (command, answer) in batch.iter().zip(answers) {
            let Ok(Ok(done)) = answer else { continue };
            if let Done::Discard(taken) = done {
                discarded += taken.count;
            }
            let new = command.new_tasks().iter().enumerate();
            for (_, task) in new.filter(|(at, _)| done.has_made(*at)) {
                if self.tasks.contains_key(&task.id) {
                    self.taken_away(task.id, &named);
                    gone += 1;
                }
                self.made(task.id);
            }
        }
        let ids: BTreeSet<TaskId> = there.iter().map(|view| view.task.id).collect();
        assert_eq!(ids.len(), there.len(), "a task is listed twice");
        let missing = self.tasks.keys().filter(|task| !ids.contains(task));
        let missing: Vec<TaskId> = missing.copied().collect();
        gone += missing.len();
        missing
            .into_iter()
            .for_each(|task| self.taken_away(task, &named));
        assert_eq!(gone, discarded, "as many are gone as were said to go");
        there.iter().for_each(|view| self.ends_once(view));
    }

    fn ends_once(&mut self, view: &TaskView) {
        let task = view.task.id;
        let known = self.tasks.get_mut(&task);
        let known = known.unwrap_or_else(|| panic!("{task} was not acknowledged"));
        match (&view.standing, &*known) {
            (Standing::Ended(end), None) => {
                let error = end.error.as_ref();
                let was_refused = error.is_some_and(|error| &*error.code == "command_not_allowed");
                self.refused += usize::from(was_refused);
                *known = Some(Arc::clone(end));
            }
            (Standing::Ended(end), Some(first)) => assert_eq!(end, first, "an end never changes"),
            (standing, first) => {
                assert!(first.is_none(), "{task} is back from its end: {standing:?}")
            }
        }
    }
}
