//! Who has a unique key: the task that its row names, until that has ended.

use crate::id::TaskId;
use crate::needs::Needs;
use crate::rows::UniqueKey;
use crate::view::View;

/// What tells whether the keys are free: the ends of the tasks that have them.
pub(super) fn more(keys: impl IntoIterator<Item = UniqueKey>, view: &View, needs: &mut Needs) {
    for key in keys {
        if let Some(row) = view.uniques.get(&key)
            && !view.outcomes.knows(&row.task)
        {
            needs.outcomes.push(row.task);
        }
    }
}

/// The task that has this key and has not ended.
pub(super) fn holder(key: &UniqueKey, view: &View) -> Option<TaskId> {
    let row = view.uniques.get(key)?;
    // Of one that this batch has made, an end is known if there is one.
    view.outcomes.peek(&row.task).is_none().then_some(row.task)
}
