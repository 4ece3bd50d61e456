//! A task as it was submitted, and its end.

use std::sync::Arc;

use taskyard_core::id::TaskId;
use taskyard_core::json::Json;
use taskyard_core::rows::{Failure, Outcome, Reported, Task};

use crate::columns::{self, labels_text, micros};
use crate::postgres::fields::storable;
use crate::postgres::params::{Columns, Params};

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
        .column(|row| labels_text(row.labels.as_ref()))
        .column(|row| row.digest.as_ref().map(|digest| digest.0.as_slice()))
        .column(|row| i64::try_from(row.input.bytes()).unwrap_or(i64::MAX))
        .column(|row| row.input.here().map(Json::as_str))
        .column(|row| row.is_exclusive)
        .column(|row| row.unique_key.as_deref())
        .column(|row| row.retry_of.map(|id| id.as_uuid()))
        .column(|row| row.origin.map(columns::origin_code))
        .params()
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

/// What [`Fields::failure`](crate::fields::Fields::failure) reads.
pub(super) fn failure_columns<'a, R>(
    columns: Columns<'a, R>,
    error: impl Fn(&'a R) -> Option<&'a Failure>,
) -> Columns<'a, R> {
    columns
        .column(|row| error(row).map(|error| storable(&error.code)))
        .column(|row| error(row).map(|error| storable(&error.message)))
        .column(|row| error(row)?.detail.as_ref().map(Json::as_str))
}

/// What [`Fields::reported`](crate::fields::Fields::reported) reads.
pub(super) fn reported_columns<'a, R>(
    columns: Columns<'a, R>,
    reported: impl Fn(&'a R) -> Option<&'a Reported>,
) -> Columns<'a, R> {
    columns
        .column(|row| reported(row).map(|reported| reported.fence.0))
        .column(|row| reported(row).map(|reported| reported.digest.0.as_slice()))
}
