//! What became of each run of a task.

use serde::{Deserialize, Serialize};

use crate::payload::Raw;
use crate::task::TaskError;
use crate::time::Time;

/// The runs of one task, oldest first, and the results that were refused. Of the last runs that did not end the task,
/// `--history-max` (100) of them, it is kept how they ended, and of each run the result that was refused last.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attempts<P = Raw> {
    pub items: Vec<Attempt<P>>,
    /// One for each run at most, and one for all results that name a run which never was, or is no longer kept.
    pub late_results: Vec<LateResult<P>>,
    /// Where null stands for what a damaged database no longer holds as JSON, as pointers into this answer. Left out where
    /// there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

/// One time that the task was given to a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attempt<P = Raw> {
    /// Counted from 1 over the runs that began; null for one that never did.
    pub attempt: Option<u32>,
    /// Counts every time the task was given out, from 1: tells runs apart.
    pub fence: u32,
    pub worker_id: String,
    /// How it ended; null while it lasts.
    pub outcome: Option<Outcome>,
    pub claimed_at: Time,
    /// Null where nothing says that it began.
    pub started_at: Option<Time>,
    /// Null while it lasts.
    pub ended_at: Option<Time>,
    /// Without its detail where that is longer than `--attempt-detail-max` (64 KiB); the task shows that
    /// of its latest run whole.
    pub error: Option<TaskError<P>>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Completed,
    Failed,
    TimedOut,
    /// Its worker asked to have it run again later.
    Snoozed,
    /// Its worker handed it back.
    Released,
    /// Its worker was gone, or did not renew its lease.
    Lost,
    /// The task was cancelled meanwhile.
    Cancelled,
}

/// A result that was refused, since its lease was no longer the task's, or its run had reported another one. It changed
/// nothing and is kept to be seen until another one of its run is refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LateResult<P = Raw> {
    /// Of the run that it named; 0 where that run never was, or is no longer kept.
    pub fence: u32,
    /// When it came.
    pub at: Time,
    /// What it said.
    pub outcome: Outcome,
    /// Null where there was none, or it was too long to keep.
    pub output: Option<P>,
    pub error: Option<TaskError<P>>,
}
