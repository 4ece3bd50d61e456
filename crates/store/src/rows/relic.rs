//! Tasks that have ended, as far as tells whether they may go.

use taskyard_core::lane::Lane;
use taskyard_core::rows::{Ended, Relic};

use super::task::status;
use crate::fields::{Database, Fields, Read};

pub(crate) fn ended<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Ended> {
    Ok(Ended {
        task: fields.task()?,
        status: status(fields)?,
        ended_at: fields.time()?,
        queue: fields.name()?,
    })
}

pub(crate) fn relic<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Relic> {
    Ok(Relic {
        ended: ended(fields)?,
        lane: Lane(fields.take()?).plain(),
        unique_key: fields.text_or_none()?,
    })
}
