//! Who waits for which task to end.

use hashbrown::HashMap;
use taskyard_core::id::TaskId;
use tokio::sync::watch;

/// One channel a task, made by its first waiter and closed by the task's end. What it says before that is that the
/// task may have ended elsewhere.
#[derive(Default)]
pub(crate) struct Waits(HashMap<TaskId, watch::Sender<()>>);

impl Waits {
    /// Changes when the task may have ended elsewhere, and is closed when it has ended here. To be asked for before the
    /// task is looked at, so that no end slips in between.
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

    /// Another server may have ended any of them.
    pub(crate) fn look_again(&self) {
        for sender in self.0.values() {
            sender.send_replace(());
        }
    }
}
