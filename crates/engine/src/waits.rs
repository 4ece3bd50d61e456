//! Who waits for which task to end.

use hashbrown::HashMap;
use taskyard_core::hints::{Mark, Which};
use taskyard_core::id::TaskId;
use tokio::sync::watch;

/// One channel a task, made by its first waiter and closed by the task's end, here or elsewhere. Nothing is ever sent.
#[derive(Default)]
pub(crate) struct Waits(HashMap<TaskId, watch::Sender<()>>);

impl Waits {
    /// Is closed when the task has ended. To be asked for before the task is looked at, so that no end slips in between.
    pub(crate) fn on(&mut self, task: TaskId) -> watch::Receiver<()> {
        // Those that everybody has left are swept here, so that none outlives its waiters by long.
        if self.0.len() >= 1024 && self.0.len().is_power_of_two() {
            self.0.retain(|_, sender| sender.receiver_count() > 0);
        }
        self.0
            .entry(task)
            .or_insert_with(|| watch::channel(()).0)
            .subscribe()
    }

    pub(crate) fn ended(&mut self, task: TaskId) {
        self.0.remove(&task);
    }

    /// There is no task any more.
    pub(crate) fn all_ended(&mut self) {
        self.0.clear();
    }

    /// How many tasks somebody waits for.
    pub(crate) fn count(&self) -> usize {
        let is_waited_for = |one: &&watch::Sender<()>| one.receiver_count() > 0;
        self.0.values().filter(is_waited_for).count()
    }

    /// Those of these tasks that somebody waits for.
    pub(crate) fn tasks(&self, which: &Which<Mark>) -> Vec<TaskId> {
        if which.is_empty() {
            return Vec::new();
        }
        let all = self.0.iter();
        let these = all.filter(|(task, _)| which.has(&Mark::from(**task)));
        let waited_for = these.filter(|(_, one)| one.receiver_count() > 0);
        waited_for.map(|(task, _)| *task).collect()
    }
}

#[cfg(test)]
mod tests {
    use taskyard_core::time::Timestamp;

    use super::*;

    #[test]
    fn those_that_everybody_has_left_do_not_gather() {
        let mut waits = Waits::default();
        let task = |n: u128| TaskId::new(Timestamp::default(), n << 40);
        let stays = waits.on(task(0));
        for n in 1..10_000 {
            drop(waits.on(task(n)));
        }

        assert!(waits.0.len() <= 1024, "{}", waits.0.len());
        assert_eq!(waits.tasks(&Which::Any), [task(0)]);
        drop(stays);
    }

    #[test]
    fn who_waits_for_a_task_is_found_by_its_mark() {
        let mut waits = Waits::default();
        let task = |n: u128| TaskId::new(Timestamp::default(), n);
        let _waiting = [waits.on(task(1)), waits.on(task(2))];
        // Who waits no more is not looked for.
        drop(waits.on(task(0x1_0001)));

        let marked = |n: u16| waits.tasks(&[Mark(n)].into_iter().collect());

        assert_eq!(marked(1), [task(1)]);
        assert_eq!(marked(3), []);
        assert_eq!(waits.tasks(&Which::default()), []);
    }
}
