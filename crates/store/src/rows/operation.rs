//! Operations.

use taskyard_core::operation::Operation;

use crate::columns;
use crate::fields::{Database, Fields, Read};
use crate::filter;

pub(crate) fn operation<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Operation> {
    Ok(Operation {
        id: fields.operation()?,
        act: fields.decode(columns::act)?,
        filter: fields.decode(filter::filter)?.into(),
        cursor: fields.task_or_none()?,
        done: fields.take()?,
        skipped: fields.take()?,
        created_at: fields.time()?,
        state: columns::operation_state(fields.time_or_none()?, fields.take()?),
    })
}
