//! Who calls: a worker is known by its name, and a process that lost the name to a later one is told so.

use crate::id::Epoch;
use crate::name::Name;
use crate::refused::Refused;
use crate::rows::Worker;
use crate::view::View;

/// The worker's row, if `epoch` is not that of a process that was replaced; `None` is whichever process has the name.
pub(super) fn worker<'a>(
    name: &Name,
    epoch: Option<Epoch>,
    view: &'a View,
) -> Result<&'a Worker, Refused> {
    match view.workers.get(name) {
        None => Err(Refused::NoSuchWorker),
        Some(worker) if epoch.is_some_and(|epoch| epoch != worker.epoch) => {
            Err(Refused::WorkerReplaced)
        }
        Some(worker) => Ok(worker),
    }
}
