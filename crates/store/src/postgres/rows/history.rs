//! Runs that did not end their task, and reports that came too late.

use taskyard_core::id::RunKey;
use taskyard_core::json::Json;
use taskyard_core::rows::{Attempt, LateResult};

use super::task::failure_columns;
use crate::columns;
use crate::postgres::params::{Columns, Params};

pub(in crate::postgres) fn run_keys(rows: &[RunKey]) -> Params<'_> {
    run_columns(Columns::of(rows), |run| *run).params()
}

fn run_columns<'a, R>(columns: Columns<'a, R>, run: impl Fn(&R) -> RunKey) -> Columns<'a, R> {
    columns
        .column(|row| run(row).slot.task.as_uuid())
        .column(|row| run(row).slot.slot.0)
        .column(|row| run(row).fence.0)
}

pub(in crate::postgres) fn attempts(rows: &[Attempt]) -> Params<'_> {
    let columns = run_columns(Columns::of(rows), |row| row.run)
        .column(|row| row.number)
        .column(|row| row.worker.0)
        .column(|row| row.claimed_at.as_micros())
        .column(|row| row.started_at.map(|at| at.as_micros()))
        .column(|row| row.ended_at.as_micros())
        .column(|row| columns::end_code(row.end));
    failure_columns(columns, |row| row.error.as_ref()).params()
}

pub(in crate::postgres) fn late_results(rows: &[LateResult]) -> Params<'_> {
    let columns = run_columns(Columns::of(rows), |row| row.run)
        .column(|row| row.at.as_micros())
        .column(|row| columns::said_code(row.said));
    failure_columns(columns, |row| row.error.as_ref())
        .column(|row| row.output.as_ref().map(Json::as_str))
        .params()
}
