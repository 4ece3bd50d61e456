//! What a worker reports of one run, on the routes of its task.

use serde::{Deserialize, Serialize};
use taskyard_core::id::TaskId;

use crate::payload::Raw;
use crate::request::Request;
use crate::task::{Progress, Status, TaskError};
use crate::time::Time;

/// `POST /tasks/{id}/start`: the run began. Wanted only of runs that last longer than an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Start {
    pub lease_token: String,
    /// When it began, by the worker's clock. Default now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
}

impl Request for Start {
    const LEVELS: usize = 0;
}

/// The answer to a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Started {
    pub task_id: TaskId,
    pub status: Status,
    /// When the run is taken to have begun: its timeout counts from then.
    pub started_at: Time,
    pub lease_expires_at: Time,
}

/// `POST /tasks/{id}/progress`: how far the run is. Renews its lease.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReportProgress<P = Raw> {
    pub lease_token: String,
    /// Default: no news.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What a later run may go on from; JSON of up to `--checkpoint-max` (64 KiB). Default: what was saved before stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<P>,
}

impl<P> Request for ReportProgress<P> {
    const LEVELS: usize = 1;
}

/// The answer to progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Renewed {
    pub task_id: TaskId,
    pub status: Status,
    pub lease_expires_at: Time,
}

/// `POST /tasks/{id}/complete`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Complete<P = Raw> {
    pub lease_token: String,
    /// Any JSON of up to `--output-max` (8 MiB) and `--depth-max` (64) levels. Default null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<P>,
    /// When the run began, by the worker's clock, where nothing said so before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
}

impl<P> Request for Complete<P> {
    const LEVELS: usize = 1;
}

/// `POST /tasks/{id}/fail`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Fail<P = Raw> {
    pub lease_token: String,
    pub error: TaskError<P>,
    /// False: another run would be useless. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<bool>,
    /// When the run began, by the worker's clock, where nothing said so before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
}

impl<P> Request for Fail<P> {
    const LEVELS: usize = 2;
}

/// `POST /tasks/{id}/snooze`: to run again later, at no cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Snooze {
    pub lease_token: String,
    /// How long the task waits, in milliseconds. 0 to 315,360,000,000 (ten years).
    pub delay_ms: i64,
}

impl Request for Snooze {
    const LEVELS: usize = 0;
}

/// `POST /tasks/{id}/release`: handed back, at no cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Release {
    pub lease_token: String,
}

impl Request for Release {
    const LEVELS: usize = 0;
}
