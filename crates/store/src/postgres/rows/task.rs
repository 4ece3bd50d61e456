//! A task as it was submitted, and its end.

use std::sync::Arc;

use taskyard_core::id::{Fence, TaskId, WorkerNumber};
use taskyard_core::json::Json;
use taskyard_core::labels::Labels;
use taskyard_core::lane::Lane;
use taskyard_core::retry::Retry;
use taskyard_core::rows::{Closed, Failure, Input, Outcome, Reported, Task};
use taskyard_core::slot::Limits;
use taskyard_core::status::Status;

use crate::columns::{self, BadColumn, micros};
use crate::postgres::fields::{Fields, Read, storable};
use crate::postgres::params::{Columns, Params};

pub(in crate::postgres) fn task(fields: &mut Fields<'_>) -> Read<Task> {
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
        labels: fields.decode(|text: &str| {
            Labels::from_text(text).map_err(|_| BadColumn::new("task.labels", text))
        })?,
        digest: fields.digest_or_none()?,
        input: input(fields)?,
        is_exclusive: fields.take()?,
        unique_key: fields.text_or_none()?,
        retry_of: fields.task_or_none()?,
        origin: fields.decode(columns::origin)?,
    })
}

/// Its length, and itself where the statement wants it.
pub(in crate::postgres) fn input(fields: &mut Fields<'_>) -> Read<Input> {
    let bytes: i64 = fields.take()?;
    let left = Input::Left(usize::try_from(bytes).unwrap_or(usize::MAX));
    Ok(fields.json_or_none()?.map_or(left, Input::Here))
}

pub(in crate::postgres) fn task_keys(rows: &[TaskId]) -> Params<'_> {
    Columns::of(rows).column(|id| id.as_uuid()).params()
}

pub(in crate::postgres) fn tasks(rows: &[Arc<Task>]) -> Params<'_> {
    Columns::of(rows)
        .column(|row| row.id.as_uuid())
        .column(|row| row.lane.0)
        .column(|row| row.order_key.0)
        .column(|row| row.priority.get())
        .column(|row| row.run_at.as_micros())
        .column(|row| row.created_at.as_micros())
        .column(|row| row.limits.max_attempts)
        .column(|row| row.limits.max_losses)
        .column(|row| micros(row.timeout))
        .column(|row| micros(row.retry.backoff))
        .column(|row| row.retry.factor)
        .column(|row| micros(row.retry.max))
        .column(|row| row.retry.jitter)
        .column(|row| row.labels.to_text())
        .column(|row| row.digest.as_ref().map(|digest| digest.0.as_slice()))
        .column(|row| i64::try_from(row.input.bytes()).unwrap_or(i64::MAX))
        .column(|row| row.input.here().map(Json::as_str))
        .column(|row| row.is_exclusive)
        .column(|row| row.unique_key.as_deref())
        .column(|row| row.retry_of.map(|id| id.as_uuid()))
        .column(|row| row.origin.map(columns::origin_code))
        .params()
}

pub(in crate::postgres) const OUTCOME_WIDTH: usize = 18;

pub(in crate::postgres) fn outcome(fields: &mut Fields<'_>) -> Read<Outcome> {
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

/// As much of one as decisions go by, and whose it is.
pub(in crate::postgres) fn closed(fields: &mut Fields<'_>) -> Read<(TaskId, Closed)> {
    let task = fields.task()?;
    let closed = Closed {
        status: status(fields)?,
        fence: Fence(fields.take()?),
        reported: fields.reported()?,
    };
    Ok((task, closed))
}

fn status(fields: &mut Fields<'_>) -> Read<Status> {
    fields.decode(|code| {
        Status::from_code(code).ok_or_else(|| BadColumn::new("outcome.status", code))
    })
}

pub(in crate::postgres) fn outcomes(rows: &[Arc<Outcome>]) -> Params<'_> {
    let columns = Columns::of(rows)
        .column(|row| row.task.as_uuid())
        .column(|row| row.lane.0)
        .column(|row| row.status.code())
        .column(|row| row.claimed_at.map(|at| at.as_micros()))
        .column(|row| row.started_at.map(|at| at.as_micros()))
        .column(|row| row.ended_at.as_micros())
        .column(|row| row.worker.map(|worker| worker.0))
        .column(|row| row.counts.attempts)
        .column(|row| row.counts.failures)
        .column(|row| row.counts.losses)
        .column(|row| row.counts.lost_in_a_row)
        .column(|row| row.fence.0);
    let columns = reported_columns(columns, |row| row.reported.as_ref());
    failure_columns(columns, |row| row.error.as_ref())
        .column(|row| row.output.as_ref().map(Json::as_str))
        .params()
}

/// What [`Fields::failure`] reads.
pub(super) fn failure_columns<'a, R>(
    columns: Columns<'a, R>,
    error: impl Fn(&'a R) -> Option<&'a Failure>,
) -> Columns<'a, R> {
    columns
        .column(|row| error(row).map(|error| storable(&error.code)))
        .column(|row| error(row).map(|error| storable(&error.message)))
        .column(|row| error(row)?.detail.as_ref().map(Json::as_str))
}

/// What [`Fields::reported`] reads.
pub(super) fn reported_columns<'a, R>(
    columns: Columns<'a, R>,
    reported: impl Fn(&'a R) -> Option<&'a Reported>,
) -> Columns<'a, R> {
    columns
        .column(|row| reported(row).map(|reported| reported.fence.0))
        .column(|row| reported(row).map(|reported| reported.digest.0.as_slice()))
}
