//! Who follows the log of which task.

use hashbrown::HashMap;
use taskyard_core::hints::{Mark, Which};
use taskyard_core::id::TaskId;
use tokio::sync::watch;

/// One channel a task that is followed, made by the first who follows it, and gone with the last line that nobody
/// followed any more.
#[derive(Default)]
pub(crate) struct Follows(HashMap<TaskId, watch::Sender<()>>);

impl Follows {
    /// Is sent something for lines that come in from now on.
    pub(crate) fn on(&mut self, task: TaskId) -> watch::Receiver<()> {
        // Those that everybody has left, and whose tasks print no more, are swept here.
        if self.0.len() >= 1024 && self.0.len().is_power_of_two() {
            self.0.retain(|_, sender| sender.receiver_count() > 0);
        }
        let sender = self.0.entry(task);
        sender.or_insert_with(|| watch::channel(()).0).subscribe()
    }

    /// Lines came in at another server for some that have these marks.
    pub(crate) fn printed_any(&mut self, which: &Which<Mark>) {
        if !which.is_empty() {
            let is_left = |task: &TaskId, sender: &mut watch::Sender<()>| {
                !which.has(&Mark::from(*task)) || sender.send(()).is_ok()
            };
            self.0.retain(is_left);
        }
    }

    pub(crate) fn printed(&mut self, task: TaskId) {
        if let Some(sender) = self.0.get(&task)
            && sender.send(()).is_err()
        {
            self.0.remove(&task);
        }
    }
}
