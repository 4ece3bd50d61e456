//! What happened in a minute.

use taskyard_core::id::ServerNumber;
use taskyard_core::minute::{Minute, MinuteKey, What};

use crate::postgres::params::{Columns, Params};

pub(in crate::postgres) fn minute_keys(server: ServerNumber, keys: &[MinuteKey]) -> Params<'_> {
    Columns::of(keys)
        .column(|key| key.minute)
        .column(|_| server.0)
        .column(|key| key.lane.0)
        .params()
}

/// Inserts or updates: both statements take the same parameters.
pub(in crate::postgres) fn minutes<'a>(server: ServerNumber, rows: &'a [&Minute]) -> Params<'a> {
    let columns = Columns::of(rows)
        .column(|row| row.key.minute)
        .column(|_| server.0)
        .column(|row| row.key.lane.0);
    let counts = What::ALL.into_iter().fold(columns, |columns, what| {
        columns.column(move |row| row.events.count(what))
    });
    counts
        .column(|row| row.events.waits.to_bytes())
        .column(|row| row.events.runs.to_bytes())
        .params()
}
