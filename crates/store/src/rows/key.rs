//! Idempotency keys, unique keys, the lanes' keys, and counters.

use std::sync::Arc;

use taskyard_core::counter::Counter;
use taskyard_core::id::TaskId;
use taskyard_core::labels::Demands;
use taskyard_core::lane::{Lane, LaneKey};
use taskyard_core::rows::{Idempotency, IdempotencyKey, Unique, UniqueKey};
use taskyard_core::status::Status;
use uuid::Uuid;

use crate::columns::BadColumn;
use crate::fields::{Database, Fields, Read, task};

pub(crate) fn idempotency<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Idempotency> {
    Ok(Idempotency {
        key: IdempotencyKey {
            scope: fields.text()?,
            key: fields.text()?,
        },
        digest: fields.digest()?,
        made: fields.decode(made)?,
        created_at: fields.time()?,
    })
}

fn made(bytes: &[u8]) -> Result<Arc<[TaskId]>, BadColumn> {
    let (ids, []) = bytes.as_chunks::<16>() else {
        return Err(BadColumn::new("idempotency.tasks", "part of an id"));
    };
    ids.iter().map(|id| task(Uuid::from_bytes(*id))).collect()
}

pub(crate) fn unique<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Unique> {
    Ok(Unique {
        key: UniqueKey {
            queue: fields.name()?,
            key: fields.text()?,
        },
        task: fields.task()?,
    })
}

pub(crate) fn lane<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, (Lane, Arc<LaneKey>)> {
    Ok((Lane(fields.take()?), Arc::new(lane_key(fields)?)))
}

pub(crate) fn lane_key<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, LaneKey> {
    Ok(LaneKey {
        queue: fields.name()?,
        kind: fields.name()?,
        demands: fields.decode(|text: &str| {
            Demands::from_text(text).map_err(|_| BadColumn::new("lane.demands", text))
        })?,
    })
}

pub(crate) fn counter<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Counter> {
    let mut tasks = Counter::default();
    for status in Status::ALL {
        tasks[status] = fields.take()?;
    }
    Ok(tasks)
}
