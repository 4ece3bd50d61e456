//! Logs of runs.

use taskyard_core::id::Fence;
use taskyard_core::log::{Line, Row};

use crate::columns;
use crate::fields::{Database, Fields, Read};
use crate::logs::Listed;

pub(crate) fn listed<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Listed> {
    Ok(Listed {
        id: fields.take()?,
        fence: Fence(fields.take()?),
        attempt: fields.take()?,
    })
}

pub(crate) fn row<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Row> {
    Ok(Row {
        seq: fields.decode(|seq: i32| columns::unsigned(seq.into()))?,
        line: Line {
            at: fields.time()?,
            stream: fields.decode(columns::stream)?,
            text: fields.take()?,
        },
    })
}
