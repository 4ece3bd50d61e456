//! What a worker reports of its runs, many results in one call.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use taskyard_core::id::{NotAnId, TaskId};

use crate::answered::Answered;
use crate::payload::Raw;
use crate::request::{Request, nearest_if_any};
use crate::task::TaskError;
use crate::time::Time;
use crate::worker::{Claim, Run, is_false};

/// `POST /workers/{id}/report`: results, and perhaps a claim for new tasks in the same call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Report<P = Raw, I = TaskId> {
    /// At most `--batch-max` (10,000). One that cannot be taken is answered with its problem and keeps no other from being taken.
    pub results: Vec<RunResult<P, I>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Of the worker's registration; an older one is refused. Default: the current one.
    #[serde(
        default,
        deserialize_with = "nearest_if_any",
        skip_serializing_if = "Option::is_none"
    )]
    pub epoch: Option<u32>,
}

impl<P, I> Request for Report<P, I> {
    const LEVELS: usize = 3;
}

/// How one run ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RunResult<P = Raw, I = TaskId> {
    /// What is no id names no task: this result is answered so, and the others are taken.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub task_id: I,
    pub lease_token: String,
    pub outcome: Said,
    /// Of a completed run; any JSON of up to `--output-max` (8 MiB) and `--depth-max` (64) levels. Default null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<P>,
    /// Of a failed or timed out run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<TaskError<P>>,
    /// False: another run of the task would be useless. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<bool>,
    /// Of a snoozed run: how long the task waits, in milliseconds. 0 to 315,360,000,000 (ten years).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<i64>,
    /// When the run began, by the worker's clock, where nothing said so before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
}

impl<P> RunResult<P> {
    /// A result with nothing said but what must be.
    pub fn new(task_id: TaskId, lease_token: impl Into<String>, outcome: Said) -> Self {
        Self {
            task_id,
            lease_token: lease_token.into(),
            outcome,
            output: None,
            error: None,
            retry: None,
            delay_ms: None,
            started_at: None,
        }
    }
}

/// A task by what a request calls it, which need not be an id.
#[derive(Clone, Copy, Debug)]
pub struct Called(pub Result<TaskId, NotAnId>);

impl From<TaskId> for Called {
    fn from(id: TaskId) -> Self {
        Self(Ok(id))
    }
}

impl<'de> Deserialize<'de> for Called {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(reader)?;
        Ok(Self(text.parse()))
    }
}

/// What a worker can say of a run's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Said {
    Completed,
    Failed,
    TimedOut,
    /// To run again later, at no cost.
    Snoozed,
    /// Handed back, at no cost.
    Released,
}

/// The answer to a report.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reported<P = Raw> {
    /// One for each result, in their order.
    pub results: Vec<Answered>,
    /// Where the report held a claim that was served. One that was not may be sent again, with its `seq`: alone it is told
    /// why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<Run<P>>>,
    /// As in the answer to a heartbeat.
    #[serde(default, skip_serializing_if = "is_false")]
    pub drain: bool,
    /// As in the answer to a claim, where `tasks` is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// The same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_ms: Option<u64>,
}
