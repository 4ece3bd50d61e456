//! Why a task is not running, or is.

use serde::{Deserialize, Serialize};
use taskyard_core::id::TaskId;

use crate::task::Status;

/// Why a task stands where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Explanation {
    pub task_id: TaskId,
    pub status: Status,
    /// At least one; what has to change first stands first.
    pub reasons: Vec<Reason>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reason {
    /// A stable word, such as `no_worker_for_kind`; the table of them is in docs/api.md.
    pub code: String,
    /// The same for people, with what it is about.
    pub detail: String,
    /// What would help; null where nothing has to be done.
    pub action: Option<String>,
}
