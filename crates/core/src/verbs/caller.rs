//! Who calls: a worker is known by its name, and a process that lost the name to a later one is told so. And who is spoken
//! of, by those who look after the workers.

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
        // Nobody is, whatever the epoch.
        Some(worker) if worker.is_killed => Err(Refused::WorkerKilled),
        Some(worker) if epoch.is_some_and(|epoch| epoch != worker.epoch) => {
            Err(Refused::WorkerReplaced)
        }
        Some(worker) => Ok(worker),
    }
}

/// The row of a worker that lists show.
pub(super) fn listed<'a>(name: &Name, view: &'a View) -> Result<&'a Worker, Refused> {
    let known = view.workers.get(name).filter(|row| !row.is_forgotten);
    known.ok_or(Refused::NoSuchWorker)
}
