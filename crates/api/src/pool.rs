//! The workers inside of a server.

use serde::{Deserialize, Serialize};

use crate::request::Request;

/// `POST /workers/internal/scale`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// How many internal workers there should be. 0 to 50.
    pub count: i64,
}

impl Request for Scale {
    const LEVELS: usize = 0;
}

/// The internal workers of the server that answers, as they are now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pool {
    /// How many there should be; kept while they are stopped.
    pub desired: u32,
    /// How many of them take tasks.
    pub running: u32,
    /// All that are there, by number: also those that finish what they hold and leave.
    pub workers: Vec<PoolWorker>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PoolWorker {
    pub worker_id: String,
    /// It finishes what it holds and leaves.
    pub draining: bool,
}
