//! What happened in a minute.

use taskyard_core::id::ServerNumber;
use taskyard_core::lane::Lane;
use taskyard_core::minute::{Durations, Events, Minute, MinuteKey, What};

use crate::columns;
use crate::postgres::fields::{Fields, Read};
use crate::postgres::params::{Columns, Params};

pub(in crate::postgres) fn minute(fields: &mut Fields<'_>) -> Read<Minute> {
    let key = MinuteKey {
        minute: fields.take()?,
        lane: Lane(fields.take()?),
    };
    let mut events = Events::default();
    for count in &mut events.counts {
        *count = fields.take()?;
    }
    events.waits = durations(fields)?;
    events.runs = durations(fields)?;
    Ok(Minute { key, events })
}

fn durations(fields: &mut Fields<'_>) -> Read<Durations> {
    fields.decode(columns::durations)
}

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
