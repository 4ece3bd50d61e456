//! Handing tasks in: one, or many at once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use taskyard_core::id::TaskId;

use crate::payload::Raw;
use crate::request::{Request, null_is_absent};
use crate::task::{Retry, Status};
use crate::time::Time;

/// Where a task waits that names no queue.
pub const DEFAULT_QUEUE: &str = "default";

/// One task to be done; an element of a batch, or a line of an NDJSON body. Only `kind` and `input` must be there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Submit<P = Raw> {
    /// What sort of work it is: decides which workers can run it. 1–64 of `A–Z a–z 0–9 . _ - : /`, but not `.` or `..`.
    pub kind: String,
    /// What the work is about; any JSON, null included, of up to `--input-max` (1 MiB) and `--depth-max` (64) levels.
    pub input: P,
    /// The line it waits in; named like a kind. Default `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// High runs first; one level is worth ten minutes of waiting. -100 to 100, default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// Not to be run before; a time that has passed means now. Default now. Not together with `delay_ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at: Option<Time>,
    /// The same as a wait from now on, in milliseconds. 0 to 315,360,000,000 (ten years).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<i64>,
    /// How many failed or timed out runs end it. 1 to 1,000,000; default `--max-attempts` (5), or 1 for kind `command`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<i64>,
    /// How long one run may take from its start, in milliseconds. 1 to 315,360,000,000 (ten years); default `--timeout`
    /// (30 min).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<i64>,
    /// How many runs lost with their workers end it. 1 to 1,000,000; default `--max-losses` (5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_losses: Option<i64>,
    /// For people and filters. Up to 32; names 1–64 of `A–Z a–z 0–9 . _ -`, values 1–64 bytes of UTF-8 (`é` is two) with no
    /// control characters.
    #[serde(
        default,
        deserialize_with = "null_is_absent",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub labels: BTreeMap<String, String>,
    /// Demands on its worker's labels: a value, or a comparison with a number such as `>=16`. Up to 32, each of 1–64 bytes
    /// of UTF-8 (`é` is two).
    #[serde(
        default,
        deserialize_with = "null_is_absent",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub requires: BTreeMap<String, String>,
    /// How long it waits after failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Never two runs of it at once, whatever happens: it is given away only when the lease of its run has ended, so a
    /// worker that is gone costs up to the length of a lease. Default false.
    #[serde(
        default,
        deserialize_with = "null_is_absent",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub exclusive: bool,
    /// While another task of the queue with this key has not ended, that one is answered (200) and none is made. 1 to 255
    /// bytes with no control characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique_key: Option<String>,
    /// Its id, made by the submitter: a UUIDv7 of the last `--key-life` (24 h), and ahead of the server's clock by
    /// `--clock-skew` (5 min) at most. Sent again with the same body it answers the same, so a submit whose answer was lost
    /// can be repeated. Default: made by the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<TaskId>,
}

impl<P> Submit<P> {
    /// The names of all that it may say.
    pub const FIELDS: &[&str] = &[
        "kind",
        "input",
        "queue",
        "priority",
        "run_at",
        "delay_ms",
        "max_attempts",
        "timeout_ms",
        "max_losses",
        "labels",
        "requires",
        "retry",
        "exclusive",
        "unique_key",
        "id",
    ];

    /// A task with nothing said but what must be.
    pub fn new(kind: impl Into<String>, input: P) -> Self {
        Self {
            kind: kind.into(),
            input,
            queue: None,
            priority: None,
            run_at: None,
            delay_ms: None,
            max_attempts: None,
            timeout_ms: None,
            max_losses: None,
            labels: BTreeMap::new(),
            requires: BTreeMap::new(),
            retry: None,
            exclusive: false,
            unique_key: None,
            id: None,
        }
    }
}

impl<P> Request for Submit<P> {
    const LEVELS: usize = 1;
}

/// `POST /tasks/batch` with a JSON array: all of them or none, at most 10,000.
impl<P> Request for Vec<Submit<P>> {
    const LEVELS: usize = 2;
}

/// The older form of a task, which names a problem and no kind. It is one of kind `problem`, with both
/// of these as its input, and run once unless `max_attempts` says otherwise. The other fields of the newer form mean the same
/// in this one; fields that nobody knows are passed over.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SubmitProblem<P = Raw> {
    /// Decides which handler solves it; `test-problem` is built in.
    pub problem_id: String,
    /// What its handler takes; any JSON of one level less than `--depth-max` (64) which, together with `problem_id`, has up to
    /// `--input-max` (1 MiB). Default null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<P>,
}

/// The two are what is kept as the task's input, so the body may nest as deep as that.
impl<P> Request for SubmitProblem<P> {
    const LEVELS: usize = 0;
}

/// The answer to one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Submitted {
    pub id: TaskId,
    pub status: Status,
}

/// The answer to a batch: the ids in the order of the tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SubmittedBatch {
    pub ids: Vec<TaskId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_all_that_its_reader_knows() {
        let error = serde_json::from_str::<Submit>(r#"{"nobody knows this": 1}"#).unwrap_err();
        let known = Submit::<()>::FIELDS.iter().map(|name| format!("`{name}`"));
        let known = known.collect::<Vec<_>>().join(", ");

        assert!(
            error
                .to_string()
                .contains(&format!("expected one of {known} at")),
            "{error}"
        );
    }
}
