//! What others should hear of once a batch is committed. Hints to look, never the truth itself.

use std::sync::Arc;

use crate::id::{TaskId, WorkerNumber};
use crate::lane::Lane;
use crate::rows::Outcome;
use crate::time::Timestamp;

#[derive(Clone, PartialEq, Debug)]
pub enum Topic {
    /// Something became ready, or was left over by a pick.
    Ready(Lane),
    /// Something waits for this time.
    Scheduled(Timestamp),
    Ended(Arc<Outcome>),
    /// A task was cancelled while this worker held it.
    Cancelled {
        worker: WorkerNumber,
        task: TaskId,
    },
}
