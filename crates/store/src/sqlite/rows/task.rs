//! A task as it was submitted, and its end.

use rusqlite::CachedStatement;
use taskyard_core::id::TaskId;
use taskyard_core::json::Json;
use taskyard_core::rows::{Outcome, Task};

use crate::columns::{self, labels_text, micros};
use crate::sqlite::fields::{Read, failure_columns, reported_columns};

/// What a row has in common with the one before stays bound. Tasks that come together are alike but for their ids and
/// inputs, and to bind all columns anew takes a tenth of the time that a row takes.
pub(crate) fn insert_tasks<'a>(
    statement: &mut CachedStatement<'_>,
    rows: impl IntoIterator<Item = &'a Task>,
) -> Read<()> {
    let mut bound = None;
    for row in rows {
        bind_task(statement, bound, row)?;
        statement.raw_execute()?;
        bound = Some(row);
    }
    Ok(())
}

fn bind_task(statement: &mut CachedStatement<'_>, bound: Option<&Task>, row: &Task) -> Read<()> {
    let differs = |differs: fn(&Task, &Task) -> bool| bound.is_none_or(|bound| differs(bound, row));
    statement.raw_bind_parameter(1, row.id.as_bytes())?;
    if differs(|a, b| {
        (a.lane, a.order_key, a.priority) != (b.lane, b.order_key, b.priority)
            || (a.run_at, a.created_at) != (b.run_at, b.created_at)
    }) {
        statement.raw_bind_parameter(2, row.lane.0)?;
        statement.raw_bind_parameter(3, row.order_key.0)?;
        statement.raw_bind_parameter(4, row.priority.get())?;
        statement.raw_bind_parameter(5, row.run_at.as_micros())?;
        statement.raw_bind_parameter(6, row.created_at.as_micros())?;
    }
    if differs(|a, b| (a.limits, a.timeout, a.retry) != (b.limits, b.timeout, b.retry)) {
        statement.raw_bind_parameter(7, row.limits.max_attempts)?;
        statement.raw_bind_parameter(8, row.limits.max_losses)?;
        statement.raw_bind_parameter(9, micros(row.timeout))?;
        statement.raw_bind_parameter(10, micros(row.retry.backoff))?;
        statement.raw_bind_parameter(11, row.retry.factor)?;
        statement.raw_bind_parameter(12, micros(row.retry.max))?;
        statement.raw_bind_parameter(13, row.retry.jitter)?;
    }
    if differs(|a, b| a.labels != b.labels) {
        statement.raw_bind_parameter(14, labels_text(row.labels.as_ref()))?;
    }
    if differs(|a, b| a.digest != b.digest) {
        let digest = row.digest.as_ref().map(|digest| digest.0.as_slice());
        statement.raw_bind_parameter(15, digest)?;
    }
    let bytes = i64::try_from(row.input.bytes()).unwrap_or(i64::MAX);
    statement.raw_bind_parameter(16, bytes)?;
    statement.raw_bind_parameter(17, row.input.here().map(Json::as_str))?;
    if differs(|a, b| {
        (a.is_exclusive, &a.unique_key) != (b.is_exclusive, &b.unique_key)
            || (a.retry_of, a.origin) != (b.retry_of, b.origin)
    }) {
        statement.raw_bind_parameter(18, row.is_exclusive)?;
        statement.raw_bind_parameter(19, &row.unique_key)?;
        let retry_of = row.retry_of.as_ref().map(TaskId::as_bytes);
        statement.raw_bind_parameter(20, retry_of)?;
        statement.raw_bind_parameter(21, row.origin.map(columns::origin_code))?;
    }
    Ok(())
}

/// As [`insert_tasks`]: runs that end together differ in their task, their times and what came of them.
pub(crate) fn insert_outcomes<'a>(
    statement: &mut CachedStatement<'_>,
    rows: impl IntoIterator<Item = &'a Outcome>,
) -> Read<()> {
    let mut bound = None;
    for row in rows {
        bind_outcome(statement, bound, row)?;
        statement.raw_execute()?;
        bound = Some(row);
    }
    Ok(())
}

fn bind_outcome(
    statement: &mut CachedStatement<'_>,
    bound: Option<&Outcome>,
    row: &Outcome,
) -> Read<()> {
    let differs =
        |differs: fn(&Outcome, &Outcome) -> bool| bound.is_none_or(|bound| differs(bound, row));
    statement.raw_bind_parameter(1, row.task.as_bytes())?;
    if differs(|a, b| {
        (a.lane, a.status, a.worker) != (b.lane, b.status, b.worker)
            || (a.claimed_at, a.started_at, a.ended_at) != (b.claimed_at, b.started_at, b.ended_at)
    }) {
        statement.raw_bind_parameter(2, row.lane.0)?;
        statement.raw_bind_parameter(3, row.status.code())?;
        statement.raw_bind_parameter(4, row.claimed_at.map(|at| at.as_micros()))?;
        statement.raw_bind_parameter(5, row.started_at.map(|at| at.as_micros()))?;
        statement.raw_bind_parameter(6, row.ended_at.as_micros())?;
        statement.raw_bind_parameter(7, row.worker.map(|worker| worker.0))?;
    }
    if differs(|a, b| (a.counts, a.fence) != (b.counts, b.fence)) {
        statement.raw_bind_parameter(8, row.counts.attempts)?;
        statement.raw_bind_parameter(9, row.counts.failures)?;
        statement.raw_bind_parameter(10, row.counts.losses)?;
        statement.raw_bind_parameter(11, row.counts.lost_in_a_row)?;
        statement.raw_bind_parameter(12, row.fence.0)?;
    }
    if differs(|a, b| a.reported != b.reported) {
        let (fence, digest) = reported_columns(row.reported.as_ref());
        statement.raw_bind_parameter(13, fence)?;
        statement.raw_bind_parameter(14, digest)?;
    }
    if differs(|a, b| a.error != b.error) {
        let (code, message, detail) = failure_columns(row.error.as_ref());
        statement.raw_bind_parameter(15, code)?;
        statement.raw_bind_parameter(16, message)?;
        statement.raw_bind_parameter(17, detail)?;
    }
    if differs(|a, b| a.output != b.output) {
        statement.raw_bind_parameter(18, row.output.as_ref().map(Json::as_str))?;
    }
    Ok(())
}
