//! Changing a task that waits.

use serde::{Deserialize, Serialize};

use crate::request::Request;
use crate::time::Time;

/// `PATCH /tasks/{id}`. What is not named stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// High runs first; -100 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// Not to be run before; a time that has passed means now. Not together with `delay_ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at: Option<Time>,
    /// The same as a wait from now on, in milliseconds. 0 to 315,360,000,000 (ten years).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<i64>,
}

impl Request for Patch {
    const LEVELS: usize = 1;
}
