//! A task as it was submitted, and its end.

use rusqlite::{CachedStatement, params};
use taskyard_core::id::{Fence, TaskId, WorkerNumber};
use taskyard_core::json::Json;
use taskyard_core::labels::Labels;
use taskyard_core::lane::Lane;
use taskyard_core::retry::Retry;
use taskyard_core::rows::{Closed, Input, Outcome, Task};
use taskyard_core::slot::Limits;
use taskyard_core::status::Status;

use crate::columns::{self, BadColumn, micros};
use crate::sqlite::fields::{Fields, Read, failure_columns, reported_columns};

pub(crate) fn task(fields: &mut Fields<'_>) -> Read<Task> {
    Ok(Task {
        id: fields.task()?,
        lane: Lane(fields.take()?),
        order_key: fields.order_key()?,
        priority: fields.priority()?,
        run_at: fields.time()?,
        created_at: fields.time()?,
        limits: Limits {
            max_attempts: fields.take()?,
            max_losses: fields.take()?,
        },
        timeout: fields.duration()?,
        retry: Retry {
            backoff: fields.duration()?,
            factor: fields.take()?,
            max: fields.duration()?,
            jitter: fields.take()?,
        },
        labels: fields.decode(|text: String| {
            Labels::from_text(&text).map_err(|_| BadColumn::new("task.labels", text))
        })?,
        digest: fields.digest_or_none()?,
        input: input(fields)?,
        is_exclusive: fields.take()?,
        unique_key: fields.take()?,
        retry_of: fields.task_or_none()?,
        origin: fields.decode(columns::origin)?,
    })
}

/// Its length, and itself where the statement wants it.
pub(crate) fn input(fields: &mut Fields<'_>) -> Read<Input> {
    let bytes: i64 = fields.take()?;
    let left = Input::Left(usize::try_from(bytes).unwrap_or(usize::MAX));
    Ok(fields.json_or_none()?.map_or(left, Input::Here))
}

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
        row.labels.to_text(),
        row.digest.as_ref().map(|digest| digest.0.as_slice()),
        i64::try_from(row.input.bytes()).unwrap_or(i64::MAX),
        row.input.here().map(Json::as_str),
        row.is_exclusive,
        row.unique_key,
        row.retry_of.as_ref().map(TaskId::as_bytes),
        row.origin.map(columns::origin_code),
    ])
}

pub(crate) const OUTCOME_WIDTH: usize = 18;

pub(crate) fn outcome(fields: &mut Fields<'_>) -> Read<Outcome> {
    let task = fields.task()?;
    let lane = Lane(fields.take()?);
    let status = status(fields)?;
    let (claimed_at, started_at) = (fields.time_or_none()?, fields.time_or_none()?);
    let ended_at = fields.time()?;
    let worker = fields.take::<Option<i32>>()?.map(WorkerNumber);
    let counts = fields.counts()?;
    let fence = Fence(fields.take()?);
    let reported = fields.reported()?;
    let error = fields.failure()?;
    let output = fields.json_or_none()?;
    Ok(Outcome {
        task,
        lane,
        status,
        output,
        error,
        claimed_at,
        started_at,
        ended_at,
        worker,
        counts,
        fence,
        reported,
    })
}

/// As much of one as decisions go by.
pub(crate) fn closed(fields: &mut Fields<'_>) -> Read<Closed> {
    Ok(Closed {
        status: status(fields)?,
        fence: Fence(fields.take()?),
        reported: fields.reported()?,
    })
}

fn status(fields: &mut Fields<'_>) -> Read<Status> {
    fields.decode(|code| {
        Status::from_code(code).ok_or_else(|| BadColumn::new("outcome.status", code))
    })
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
