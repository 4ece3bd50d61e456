//! Priorities as they were changed: one that was taken stays.

use std::collections::BTreeMap;

use taskyard_core::id::TaskId;
use taskyard_core::order::Priority;
use taskyard_core::query::TaskView;

#[derive(Default)]
pub(crate) struct Patches(BTreeMap<TaskId, Asked>);

#[derive(Default)]
struct Asked {
    priorities: Vec<Priority>,
    /// One of them was taken.
    is_taken: bool,
}

impl Patches {
    pub(crate) fn asked(&mut self, task: TaskId, priority: Priority) {
        self.0.entry(task).or_default().priorities.push(priority);
    }

    pub(crate) fn taken(&mut self, task: TaskId) {
        self.0.entry(task).or_default().is_taken = true;
    }

    pub(crate) fn check(&self, view: &TaskView) {
        if view.status().is_final() {
            return;
        }
        let priority = view.priority();
        let asked = self.0.get(&view.task.id);
        let is_its = match asked {
            Some(Asked {
                priorities,
                is_taken: true,
            }) if priorities.len() == 1 => priority == priorities[0],
            Some(Asked { priorities, .. }) => {
                priority == view.task.priority || priorities.contains(&priority)
            }
            None => priority == view.task.priority,
        };
        assert!(is_its, "a priority is as somebody has set it: {view:?}");
    }
}
