//! What is kept, and for how long: nothing goes before its time, nor while somebody may ask for it by a key.

use std::sync::Arc;

use taskyard_core::id::TaskId;
use taskyard_core::queue::Queue;

use crate::invariants::Moment;
use crate::ledger::Ledger;

/// These are there no more.
pub(crate) fn check(gone: &[TaskId], ledger: &mut Ledger, moment: &Moment<'_>) {
    for task in gone {
        let outcome = ledger.outcomes.get(task).map(Arc::clone);
        let view = ledger.known.tasks.get(task).cloned();
        let (Some(outcome), Some(view)) = (outcome, view) else {
            panic!("I1: a task is gone that had not ended: {task}");
        };
        let life = |queue: Option<&Queue>| {
            let retention = queue.and_then(|queue| queue.retention);
            retention
                .unwrap_or(moment.policy.retention)
                .of(outcome.status)
        };
        let since = moment.since;
        let mut lives = ledger.queues.from(&view.lane.queue, since).map(life);
        let was_kept =
            lives.any(|life| life.is_some_and(|life| outcome.ended_at + life <= moment.now));
        assert!(
            was_kept,
            "nothing is taken away before its time, at {}: {view:?}",
            moment.now
        );
        let known_from = outcome.ended_at.max(task.made_at());
        assert!(
            known_from + moment.policy.key_life < moment.now,
            "nothing is taken away that a key may stand for, at {}: {view:?}",
            moment.now
        );
        ledger.tally.count("task_is_discarded");
        if view.task.unique_key.is_some() {
            ledger.tally.count("task_with_a_unique_key_is_discarded");
        }
        ledger.known.discard(*task);
        ledger.discarded.insert(*task, moment.commit);
    }
}
