//! Tasks as somebody wanted them: what is made is that, to the last byte, and nothing else.

use taskyard_core::query::TaskView;
use taskyard_core::queue::{Defaults, Queue};
use taskyard_core::verbs::submit::{Begin, NewTask};

use crate::invariants::Moment;
use crate::ledger::Ledger;

/// Of a task that was not there before.
pub(crate) fn check(view: &TaskView, ledger: &Ledger, moment: &Moment<'_>) {
    let task = &view.task;
    assert!(
        !ledger.discarded.contains_key(&task.id),
        "I6: what was taken away does not come back: {view:?}"
    );
    let wanted = ledger.wanted.get(&(task.id, task.digest));
    let wanted = wanted.unwrap_or_else(|| panic!("nobody asked for this task: {view:?}"));
    let run_at = match wanted.begin {
        Begin::Now => task.created_at,
        Begin::At(at) => at,
        Begin::After(wait) => task.created_at + wait,
    };
    let is_same = task.priority == wanted.priority
        && task.input.here() == Some(&wanted.input)
        && task.labels.as_ref() == Some(&wanted.labels)
        && task.is_exclusive == wanted.is_exclusive
        && task.unique_key == wanted.unique_key
        && task.retry_of == wanted.retry_of
        && task.origin == wanted.origin
        && task.run_at == run_at.max(task.created_at)
        && *view.lane == wanted.lane;
    assert!(
        is_same,
        "a task is as it was wanted: {view:?}, wanted {wanted:?}"
    );
    assert!(
        defaults(view, ledger, moment)
            .iter()
            .any(|defaults| fits(view, wanted, defaults, moment)),
        "what a task does not say, its queue does: {view:?}, wanted {wanted:?}"
    );
    if let Some(of) = wanted.retry_of.and_then(|of| ledger.known.tasks.get(&of)) {
        is_the_same_once_more(view, of);
    }
}

fn is_the_same_once_more(view: &TaskView, of: &TaskView) {
    let (task, before) = (&view.task, &of.task);
    let is_same = view.lane == of.lane
        && task.input == before.input
        && task.labels == before.labels
        && task.limits == before.limits
        && task.timeout == before.timeout
        && task.retry == before.retry
        && task.is_exclusive == before.is_exclusive
        && task.unique_key == before.unique_key
        && task.priority == of.priority();
    assert!(
        of.status().is_final() && is_same,
        "what has ended is run again as it was: {of:?}, again {view:?}"
    );
}

/// Of its queue. A server goes by what it remembers, which another one may have set otherwise.
fn defaults(view: &TaskView, ledger: &Ledger, moment: &Moment<'_>) -> Vec<Defaults> {
    let defaults =
        |queue: Option<&Queue>| queue.map_or_else(Defaults::default, |queue| queue.defaults);
    let queue = &view.lane.queue;
    if ledger.servers == 1 {
        let set = ledger.queues.from(queue, moment.since);
        return set.map(defaults).collect();
    }
    ledger.queues.ever(queue).map(defaults).collect()
}

fn fits(view: &TaskView, wanted: &NewTask, of_queue: &Defaults, moment: &Moment<'_>) -> bool {
    let (task, policy) = (&view.task, moment.policy);
    let timeout = wanted.timeout.or(of_queue.timeout);
    let retry = wanted.retry.or(of_queue.retry);
    let kind = view.lane.kind.as_str();
    let max_attempts = policy.max_attempts_of(kind, of_queue.max_attempts);
    task.limits.max_attempts == wanted.max_attempts.unwrap_or(max_attempts)
        && task.limits.max_losses == wanted.max_losses.unwrap_or(policy.max_losses)
        && task.timeout == timeout.unwrap_or(policy.timeout)
        && task.retry == retry.unwrap_or(policy.retry)
}
