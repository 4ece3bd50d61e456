//! A task as answers show it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use taskyard_core::id::TaskId;
use taskyard_core::status;

use crate::payload::Raw;
use crate::time::Time;

/// Where a task stands. The last four are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits for its `run_at`, or to run again after a failure.
    Scheduled,
    /// Due; waits for a worker.
    Pending,
    /// Leased to a worker that has not said that it began.
    Assigned,
    Running,
    Completed,
    Failed,
    Timeout,
    Cancelled,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        status::Status::from(self).as_str()
    }

    /// A final status never changes again.
    pub fn is_final(self) -> bool {
        status::Status::from(self).is_final()
    }
}

impl From<status::Status> for Status {
    fn from(status: status::Status) -> Self {
        match status {
            status::Status::Scheduled => Self::Scheduled,
            status::Status::Pending => Self::Pending,
            status::Status::Assigned => Self::Assigned,
            status::Status::Running => Self::Running,
            status::Status::Completed => Self::Completed,
            status::Status::Failed => Self::Failed,
            status::Status::Timeout => Self::Timeout,
            status::Status::Cancelled => Self::Cancelled,
        }
    }
}

impl From<Status> for status::Status {
    fn from(status: Status) -> Self {
        match status {
            Status::Scheduled => Self::Scheduled,
            Status::Pending => Self::Pending,
            Status::Assigned => Self::Assigned,
            Status::Running => Self::Running,
            Status::Completed => Self::Completed,
            Status::Failed => Self::Failed,
            Status::Timeout => Self::Timeout,
            Status::Cancelled => Self::Cancelled,
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One task: what was submitted, and how far it came.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Task<P = Raw> {
    pub id: TaskId,
    pub kind: String,
    pub queue: String,
    pub status: Status,
    /// What it was submitted with, null included. Left out of lists unless asked for.
    #[serde(
        default,
        deserialize_with = "there",
        skip_serializing_if = "Option::is_none"
    )]
    pub input: Option<P>,
    /// What its run gave back; null until it is completed. Left out of lists unless asked for.
    #[serde(
        default,
        deserialize_with = "there",
        skip_serializing_if = "Option::is_none"
    )]
    pub output: Option<P>,
    /// Why it ended, or why its latest run did not end it; null while nothing went wrong.
    pub error: Option<TaskError<P>>,
    /// -100 to 100; high runs first.
    pub priority: i16,
    /// The submitter's labels, for people and filters.
    pub labels: BTreeMap<String, String>,
    /// What its worker's labels must meet.
    pub requires: BTreeMap<String, String>,
    /// When it may first run, or run next.
    pub run_at: Time,
    pub created_at: Time,
    /// When its present or last run was given to a worker.
    pub assigned_at: Option<Time>,
    /// When its present or last run began.
    pub started_at: Option<Time>,
    /// When it reached its final status.
    pub ended_at: Option<Time>,
    /// How long one run may take from its start, in milliseconds.
    pub timeout_ms: u64,
    /// Runs that began.
    pub attempts: u32,
    /// Runs that failed or timed out. At `max_attempts` of them the task ends.
    pub failures: u32,
    /// Runs that began and were lost with their worker. At `max_losses` of them the task ends.
    pub losses: u32,
    pub max_attempts: u32,
    pub max_losses: u32,
    pub retry: Retry,
    /// The worker that holds it, or that ended it.
    pub worker_id: Option<String>,
    /// What its worker last said of the present run; null between runs.
    pub progress: Option<Progress>,
    /// The job it belongs to; null for a task on its own.
    pub job_id: Option<String>,
    /// Whether it never runs twice at once.
    #[serde(default)]
    pub exclusive: bool,
    /// What stands once in its queue among the tasks that have not ended.
    pub unique_key: Option<String>,
    /// The task that had ended, and that this one runs again.
    pub retry_of: Option<TaskId>,
    /// The dialect that it was submitted in: `simple`, say. Null for these routes; `v1` for their older form.
    pub origin: Option<String>,
    /// The problem, of a task that was submitted by naming it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem_id: Option<String>,
    /// What was to be solved of it.
    #[serde(
        default,
        deserialize_with = "there",
        skip_serializing_if = "Option::is_none"
    )]
    pub parameters: Option<P>,
    /// How many agreeing answers settle it. 1 for a task that takes the first.
    pub required_submissions: u32,
    /// Where null stands for what a damaged database no longer holds as JSON, as pointers into this task: `/input`,
    /// `/output`, `/error/detail`. Left out where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

/// What stands there, be it null: none is for what is left out.
fn there<'de, D: Deserializer<'de>, P: Deserialize<'de>>(reader: D) -> Result<Option<P>, D::Error> {
    P::deserialize(reader).map(Some)
}

/// What went wrong, for people and for programs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TaskError<P = Raw> {
    /// For programs, so the same for the same cause: the worker's own, or `worker_lost`, `timeout`, `unreadable`. One word
    /// is best; 1–64 characters of any sort are taken, but no control characters.
    pub code: String,
    /// For people. At most 16 KiB of UTF-8 (`é` is two bytes).
    pub message: String,
    /// More of it, for programs: the exit code and output of a command, say. At most `--output-max` (8 MiB).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<P>,
}

/// The code and the message, without the detail.
impl<P> std::fmt::Display for TaskError<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// How far a run is, in its worker's words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The share that is done, 0 to 1.
    pub fraction: Option<f64>,
    /// For people. At most 1 KiB of UTF-8 (`é` is two bytes).
    pub message: Option<String>,
}

/// How long a task waits after a failure until it runs again: `backoff_ms × factorⁿ`, at most `max_ms`, give or take `jitter`.
/// In a request, what is left out takes its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(from = "SomeOfRetry")]
pub struct Retry {
    /// The wait after the first failure, in milliseconds. 0 to ten years; default 1,000.
    pub backoff_ms: u64,
    /// What each further failure multiplies it by. 1 to 1,000; default 2.
    pub factor: f64,
    /// The longest wait before jitter, in milliseconds. 0 to ten years; default 600,000 (10 minutes).
    pub max_ms: u64,
    /// The share by which a wait is lengthened or shortened at random. 0 to 1; default 0.2.
    pub jitter: f64,
}

/// As a request may say it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SomeOfRetry {
    backoff_ms: Option<u64>,
    factor: Option<f64>,
    max_ms: Option<u64>,
    jitter: Option<f64>,
}

impl From<SomeOfRetry> for Retry {
    fn from(some: SomeOfRetry) -> Self {
        let default = Self::default();
        Self {
            backoff_ms: some.backoff_ms.unwrap_or(default.backoff_ms),
            factor: some.factor.unwrap_or(default.factor),
            max_ms: some.max_ms.unwrap_or(default.max_ms),
            jitter: some.jitter.unwrap_or(default.jitter),
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        taskyard_core::retry::Retry::default().into()
    }
}

impl From<taskyard_core::retry::Retry> for Retry {
    fn from(retry: taskyard_core::retry::Retry) -> Self {
        let millis =
            |wait: std::time::Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self {
            backoff_ms: millis(retry.backoff),
            factor: retry.factor,
            max_ms: millis(retry.max),
            jitter: retry.jitter,
        }
    }
}

/// Where a task stands now: the answer to what changes only that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Standing {
    pub task_id: TaskId,
    pub status: Status,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_the_engines_word() {
        for status in status::Status::ALL {
            let written = serde_json::to_string(&Status::from(status)).unwrap();
            assert_eq!(written, format!("{:?}", status.as_str()));
            assert_eq!(status::Status::from(Status::from(status)), status);
        }
    }

    #[test]
    fn a_task_is_written_as_it_was_read() {
        let without = r#""id":"01890a5d-ac96-774b-bcce-b302099a8057","kind":"a","queue":"q","status":"pending""#;
        let rest = r#""error":null,"priority":0,"labels":{},"requires":{},"run_at":"2026-01-31T12:00:00.000Z","created_at":"2026-01-31T12:00:00.000Z","assigned_at":null,"started_at":null,"ended_at":null,"timeout_ms":1,"attempts":0,"failures":0,"losses":0,"max_attempts":1,"max_losses":1,"retry":{"backoff_ms":1,"factor":2.0,"max_ms":1,"jitter":0.5},"worker_id":null,"progress":null,"job_id":null,"exclusive":false,"unique_key":null,"retry_of":null,"origin":null,"required_submissions":1"#;
        for payload in [
            "",
            r#""input":null,"output":null,"#,
            r#""input":[1],"output":null,"#,
            r#""input":null,"output":{"a": 1},"#,
        ] {
            let text = format!("{{{without},{payload}{rest}}}");
            let task: Task = serde_json::from_str(&text).unwrap();

            assert_eq!(serde_json::to_string(&task).unwrap(), text);
        }
    }

    #[test]
    fn a_retry_that_names_one_setting_keeps_the_others_default() {
        let retry: Retry = serde_json::from_str(r#"{"factor": 1.5}"#).unwrap();

        assert_eq!(
            retry,
            Retry {
                factor: 1.5,
                ..Retry::default()
            }
        );
    }
}
