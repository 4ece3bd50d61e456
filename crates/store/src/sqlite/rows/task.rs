//! A task as it was submitted, and its end.

use rusqlite::{CachedStatement, params};
use taskyard_core::id::TaskId;
use taskyard_core::json::Json;
use taskyard_core::rows::{Outcome, Task};

use crate::columns::{self, labels_text, micros};
use crate::sqlite::fields::{Read, failure_columns, reported_columns};

pub(crate) fn insert_task(statement: &mut CachedStatement<'_>, row: &Task) -> Read<usize> {
    statement.execute(params![
        row.id.as_bytes(),
        row.lane.0,
        row.order_key.0,
        row.priority.get(),
        row.run_at.as_micros(),
        row.created_at.as_micros(),
        row.limits.max_attempts,
        row.limits.max_losses,
        micros(row.timeout),
        micros(row.retry.backoff),
        row.retry.factor,
        micros(row.retry.max),
        row.retry.jitter,
        labels_text(row.labels.as_ref()),
        row.digest.as_ref().map(|digest| digest.0.as_slice()),
        i64::try_from(row.input.bytes()).unwrap_or(i64::MAX),
        row.input.here().map(Json::as_str),
        row.is_exclusive,
        row.unique_key,
        row.retry_of.as_ref().map(TaskId::as_bytes),
        row.origin.map(columns::origin_code),
    ])
}

pub(crate) fn insert_outcome(statement: &mut CachedStatement<'_>, row: &Outcome) -> Read<usize> {
    let (reported_fence, reported_digest) = reported_columns(row.reported.as_ref());
    let (code, message, detail) = failure_columns(row.error.as_ref());
    statement.execute(params![
        row.task.as_bytes(),
        row.lane.0,
        row.status.code(),
        row.claimed_at.map(|at| at.as_micros()),
        row.started_at.map(|at| at.as_micros()),
        row.ended_at.as_micros(),
        row.worker.map(|worker| worker.0),
        row.counts.attempts,
        row.counts.failures,
        row.counts.losses,
        row.counts.lost_in_a_row,
        row.fence.0,
        reported_fence,
        reported_digest,
        code,
        message,
        detail,
        row.output.as_ref().map(Json::as_str),
    ])
}
