//! Operations: one act on every task that a filter lets through.

use serde::{Deserialize, Serialize};
use taskyard_core::id::OperationId;

use crate::request::{Request, null_is_absent, one_or_several};
use crate::task;
use crate::time::Time;

/// Which tasks: every condition that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TasksFilter {
    /// Any of these fits; none given: all. One may stand by itself, without an array around it.
    #[serde(
        default,
        deserialize_with = "one_or_several",
        skip_serializing_if = "Vec::is_empty"
    )]
    // The server's description says what it may be.
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value))]
    pub status: Vec<task::Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The worker that holds the task, or that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    /// `name=value` each, up to 32: all of them must be on the task. Whatever stands behind the first `=` is the value.
    #[serde(
        default,
        deserialize_with = "null_is_absent",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub label: Vec<String>,
    /// The first six or more characters of an id; or words, each of which must stand in the kind or in a label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// Created at this time or later, by the time that the task's id says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_after: Option<Time>,
    /// Created before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_before: Option<Time>,
}

/// `POST /tasks/cancel` and `POST /tasks/retry`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Operate {
    #[serde(default, deserialize_with = "null_is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<TasksFilter>))]
    pub filter: TasksFilter,
    /// Every task is meant: needed where the filter is empty, so that one that was forgotten is no mistake. Default: false.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub all: bool,
    /// Changes nothing, and tells how many tasks the filter lets through. Default: false.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub dry_run: bool,
}

impl Request for Operate {
    const LEVELS: usize = 0;
}

/// What a dry run answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Matching {
    pub matched: u64,
    /// It was counted no further: there may be more.
    pub at_least: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Act {
    Cancel,
    /// A new task for each, as it was.
    Retry,
}

/// How far an operation is. The last two are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = OperationStatus))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Running,
    Done,
    /// Stopped on its way; what it did stays.
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Operation {
    pub id: OperationId,
    pub act: Act,
    pub status: Status,
    /// The tasks that it is about, of those that were there when it began; of statuses only those that the act is for.
    pub filter: TasksFilter,
    /// How many tasks it has found so far: those it acted on, and those it skipped.
    pub matched: u64,
    /// How many it has acted on so far.
    pub done: u64,
    /// How many had gone on or ended when their turn came, or could not be made again: another task has their unique key,
    /// or there is no room for their lane. Also those that a damaged database cannot read, whatever the filter says.
    pub skipped: u64,
    pub created_at: Time,
    /// Null while it is running.
    pub ended_at: Option<Time>,
}
