//! What happened in a minute.

use rusqlite::{CachedStatement, params};
use taskyard_core::minute::Minute;

use crate::sqlite::commit::SERVER;
use crate::sqlite::fields::Read;

/// Inserts or updates: both statements take the same parameters.
pub(crate) fn write_minute(statement: &mut CachedStatement<'_>, row: &Minute) -> Read<usize> {
    let [
        submitted,
        started,
        completed,
        failed,
        timeout,
        cancelled,
        retried,
    ] = row.events.counts;
    statement.execute(params![
        row.key.minute,
        SERVER,
        row.key.lane.0,
        submitted,
        started,
        completed,
        failed,
        timeout,
        cancelled,
        retried,
        row.events.waits.to_bytes(),
        row.events.runs.to_bytes(),
    ])
}
