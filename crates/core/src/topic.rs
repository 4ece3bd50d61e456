//! What others should hear of once a batch is committed. Hints to look, never the truth itself.

use std::sync::Arc;

use crate::id::WorkerNumber;
use crate::lane::Lane;
use crate::rows::{End, Outcome};
use crate::time::Timestamp;

#[derive(Clone, PartialEq, Debug)]
pub enum Topic {
    /// Something became ready, or was left over by a pick. In a lane's twin, also that a suspect is gone for which a
    /// worker may have been kept.
    Ready(Lane),
    /// Something waits for this time.
    Scheduled(Timestamp),
    Ended(Arc<Outcome>),
    /// A run of this worker ended, and its task, of this lane, did not.
    GivenBack {
        worker: WorkerNumber,
        lane: Lane,
        end: Option<End>,
    },
    /// There is something that this worker should hear at once: its claims wait no longer.
    Told(WorkerNumber),
}

impl Topic {
    /// The worker whose hand holds a run less than before.
    pub fn frees(&self) -> Option<WorkerNumber> {
        match self {
            Self::Ended(outcome) => outcome.worker,
            Self::GivenBack { worker, .. } => Some(*worker),
            Self::Ready(_) | Self::Scheduled(_) | Self::Told(_) => None,
        }
    }
}
