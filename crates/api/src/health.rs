//! Whether the server is well, and whether it takes work.

use serde::{Deserialize, Serialize};

/// The answer of `GET /health`: 200 while `ok`, else 503 with the same body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// The database answers and takes writes. What is wrong with logs alone concerns no task, and changes nothing here.
    pub ok: bool,
    pub version: String,
    pub database: DatabaseHealth,
    pub logs: LogsHealth,
    pub workers: WorkersHealth,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DatabaseHealth {
    /// `sqlite` or `postgres`.
    pub kind: String,
    pub ok: bool,
    /// What is wrong; null while nothing is.
    pub message: Option<String>,
}

/// Where what runs print is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogsHealth {
    /// Nothing is known that would keep logs from being written and shown.
    pub ok: bool,
    /// What is wrong; null while nothing is.
    pub message: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkersHealth {
    /// Those heard of lately; null while the database does not tell.
    pub online: Option<u32>,
    /// Those that went silent and are still remembered; null while the database does not tell.
    pub offline: Option<u32>,
}

/// The answer of `GET /ready`: 200 once the server takes requests, 503 before, and from when it begins to stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Readiness {
    pub ready: bool,
    /// What it waits for; null when ready.
    pub message: Option<String>,
}

/// A database that was emptied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Emptied {
    /// The new incarnation, as `taskyard db stats` shows it.
    pub incarnation: String,
}

/// What a sweep did that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Swept {
    /// How many runs it took away.
    pub expired: usize,
    /// Whether nobody's silence counted.
    pub grace: bool,
}
