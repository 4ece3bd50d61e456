//! Operations.

use taskyard_core::id::OperationId;
use taskyard_core::operation::{Operation, State};
use taskyard_core::time::Timestamp;

use crate::columns;
use crate::filter;
use crate::postgres::params::{Columns, Params};

pub(in crate::postgres) fn operation_keys(ids: &[OperationId]) -> Params<'_> {
    Columns::of(ids).column(|id| id.as_uuid()).params()
}

/// Inserts or updates: both statements take the same parameters.
pub(in crate::postgres) fn operations<'a>(rows: &'a [&Operation]) -> Params<'a> {
    Columns::of(rows)
        .column(|row| row.id.as_uuid())
        .column(|row| columns::act_code(row.act))
        .column(|row| filter::text(&row.filter))
        .column(|row| row.cursor.map(taskyard_core::id::TaskId::as_uuid))
        .column(|row| row.done)
        .column(|row| row.skipped)
        .column(|row| row.created_at.as_micros())
        .column(|row| row.ended_at().map(Timestamp::as_micros))
        .column(|row| matches!(row.state, State::Cancelled(_)))
        .params()
}
