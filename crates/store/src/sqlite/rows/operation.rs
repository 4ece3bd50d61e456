//! Operations.

use rusqlite::{CachedStatement, params};
use taskyard_core::operation::{Operation, State};
use taskyard_core::time::Timestamp;

use crate::columns;
use crate::filter;
use crate::sqlite::fields::Read;

/// Inserts or updates: both statements take the same parameters.
pub(crate) fn write_operation(statement: &mut CachedStatement<'_>, row: &Operation) -> Read<usize> {
    statement.execute(params![
        row.id.as_bytes(),
        columns::act_code(row.act),
        filter::text(&row.filter),
        row.cursor.as_ref().map(|cursor| cursor.as_bytes()),
        row.done,
        row.skipped,
        row.created_at.as_micros(),
        row.ended_at().map(Timestamp::as_micros),
        matches!(row.state, State::Cancelled(_)),
    ])
}
