//! What happened in a minute.

use rusqlite::{CachedStatement, params};
use taskyard_core::lane::Lane;
use taskyard_core::minute::{Durations, Events, Minute, MinuteKey};

use crate::columns;
use crate::sqlite::commit::SERVER;
use crate::sqlite::fields::{Fields, Read};

pub(crate) fn minute(fields: &mut Fields<'_>) -> Read<Minute> {
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
    fields.decode(|bytes: Vec<u8>| columns::durations(&bytes))
}

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
