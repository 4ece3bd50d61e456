//! Runs that did not end their task, and reports that came too late.

use rusqlite::{CachedStatement, params};
use taskyard_core::id::{Fence, RunKey, WorkerNumber};
use taskyard_core::json::Json;
use taskyard_core::rows::{Attempt, LateResult};

use crate::columns;
use crate::sqlite::fields::{Fields, Read, failure_columns};

pub(crate) fn run(fields: &mut Fields<'_>) -> Read<RunKey> {
    Ok(RunKey {
        slot: fields.slot()?,
        fence: Fence(fields.take()?),
    })
}

pub(crate) fn attempt(fields: &mut Fields<'_>) -> Read<Attempt> {
    Ok(Attempt {
        run: run(fields)?,
        number: fields.take()?,
        worker: WorkerNumber(fields.take()?),
        claimed_at: fields.time()?,
        started_at: fields.time_or_none()?,
        ended_at: fields.time()?,
        end: fields.decode(columns::end)?,
        error: fields.failure()?,
    })
}

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

pub(crate) fn late_result(fields: &mut Fields<'_>) -> Read<LateResult> {
    Ok(LateResult {
        run: run(fields)?,
        at: fields.time()?,
        said: fields.decode(columns::said)?,
        error: fields.failure()?,
        output: fields.json_or_none()?,
    })
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
