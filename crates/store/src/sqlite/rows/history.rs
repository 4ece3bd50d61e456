//! Runs that did not end their task, and reports that came too late.

use rusqlite::{CachedStatement, params};
use taskyard_core::id::RunKey;
use taskyard_core::json::Json;
use taskyard_core::rows::{Attempt, LateResult};

use crate::columns;
use crate::sqlite::fields::{Read, failure_columns};

pub(crate) fn insert_attempt(statement: &mut CachedStatement<'_>, row: &Attempt) -> Read<usize> {
    let (code, message, detail) = failure_columns(row.error.as_ref());
    statement.execute(params![
        row.run.slot.task.as_bytes(),
        row.run.slot.slot.0,
        row.run.fence.0,
        row.number,
        row.worker.0,
        row.claimed_at.as_micros(),
        row.started_at.map(|at| at.as_micros()),
        row.ended_at.as_micros(),
        columns::end_code(row.end),
        code,
        message,
        detail,
    ])
}

pub(crate) fn put_late_result(
    statement: &mut CachedStatement<'_>,
    row: &LateResult,
) -> Read<usize> {
    let (code, message, detail) = failure_columns(row.error.as_ref());
    statement.execute(params![
        row.run.slot.task.as_bytes(),
        row.run.slot.slot.0,
        row.run.fence.0,
        row.at.as_micros(),
        columns::said_code(row.said),
        code,
        message,
        detail,
        row.output.as_ref().map(Json::as_str),
    ])
}

/// For both tables.
pub(crate) fn delete_run(statement: &mut CachedStatement<'_>, run: RunKey) -> Read<usize> {
    statement.execute(params![
        run.slot.task.as_bytes(),
        run.slot.slot.0,
        run.fence.0
    ])
}
