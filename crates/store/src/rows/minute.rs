//! What happened in a minute.

use taskyard_core::lane::Lane;
use taskyard_core::minute::{Durations, Events, Minute, MinuteKey};

use crate::columns;
use crate::fields::{Database, Fields, Read};

pub(crate) fn minute<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Minute> {
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

fn durations<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Durations> {
    fields.decode(columns::durations)
}
