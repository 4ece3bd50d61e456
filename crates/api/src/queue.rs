//! Queues: how much waits in them, and what is set of them.

use serde::{Deserialize, Deserializer, Serialize};

use crate::request::Request;
use crate::stats::{Counts, Rates};
use crate::task::Retry;

/// One queue: one that has or had tasks, or of which something was set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Queue {
    pub name: String,
    /// Nothing of it is given to workers; what they have goes on.
    pub paused: bool,
    /// Its tasks by status.
    pub counts: Counts,
    /// How long the task has been due that is next in turn, in milliseconds; the longest over its kinds. Null where none
    /// is due.
    pub oldest_ms: Option<u64>,
    /// What happened in it in the last minute, per second, up to a second late. Null where more happened elsewhere than
    /// servers tell apart, and it may have been here.
    pub rates: Option<Rates>,
    /// What its tasks take that do not say themselves; null: what the server says.
    pub defaults: Defaults,
    /// How long its tasks are kept once they have ended; null: as the server says.
    pub retention: Option<Retention>,
}

/// How long tasks are kept once they have ended, in milliseconds, for each way to end: 0 to 315,360,000,000 (ten years).
/// Those that it does not name, and those that are null, are kept for good. Whatever it says, a task stays for the server's
/// `--key-life` once it has ended, so that a submit that is sent again finds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    pub completed_ms: Option<i64>,
    pub failed_ms: Option<i64>,
    pub timeout_ms: Option<i64>,
    pub cancelled_ms: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Defaults {
    pub max_attempts: Option<u32>,
    pub timeout_ms: Option<u64>,
    pub retry: Option<Retry>,
}

/// What is set of a queue, as it is after a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueSettings {
    pub name: String,
    pub paused: bool,
    pub defaults: Defaults,
    pub retention: Option<Retention>,
}

/// `PATCH /queues/{name}`: for tasks that are submitted from now on and do not say themselves. What is not named stays as
/// it is; null is what the server says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PatchQueue {
    /// How many failed or timed out runs end a task. 1 to 1,000,000.
    #[serde(
        default,
        deserialize_with = "named",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<i64>))]
    pub max_attempts: Option<Option<i64>>,
    /// How long one run may take from its start, in milliseconds. 1 to 315,360,000,000 (ten years).
    #[serde(
        default,
        deserialize_with = "named",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<i64>))]
    pub timeout_ms: Option<Option<i64>>,
    /// How long a task waits after failures.
    #[serde(
        default,
        deserialize_with = "named",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Retry>))]
    pub retry: Option<Option<Retry>>,
    /// How long its tasks are kept once they have ended, of those too that ended before. It is set as a whole.
    #[serde(
        default,
        deserialize_with = "named",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Retention>))]
    pub retention: Option<Option<Retention>>,
}

impl Request for PatchQueue {
    const LEVELS: usize = 1;
}

/// A field that stands there, be it null.
fn named<'de, D, T>(reader: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(reader).map(Some)
}
