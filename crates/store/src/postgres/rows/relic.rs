//! Tasks that have ended, as far as tells whether they may go.

use taskyard_core::lane::Lane;
use taskyard_core::rows::{Ended, Relic};
use taskyard_core::status::Status;

use crate::columns::BadColumn;
use crate::postgres::fields::{Fields, Read};

pub(in crate::postgres) fn ended(fields: &mut Fields<'_>) -> Read<Ended> {
    Ok(Ended {
        task: fields.task()?,
        status: fields.decode(|code: i16| {
            Status::from_code(code).ok_or_else(|| BadColumn::new("outcome.status", code))
        })?,
        ended_at: fields.time()?,
        queue: fields.name()?,
    })
}

pub(in crate::postgres) fn relic(fields: &mut Fields<'_>) -> Read<Relic> {
    Ok(Relic {
        ended: ended(fields)?,
        lane: Lane(fields.take()?).plain(),
        unique_key: fields.text_or_none()?,
    })
}
