//! Idempotency keys, unique keys, the lanes' keys, and counters.

use std::sync::Arc;

use rusqlite::{CachedStatement, params, params_from_iter};
use taskyard_core::counter::Counter;
use taskyard_core::id::TaskId;
use taskyard_core::labels::Demands;
use taskyard_core::lane::{Lane, LaneKey};
use taskyard_core::rows::{Digest, Idempotency, IdempotencyKey, Unique, UniqueKey};
use taskyard_core::status::Status;

use crate::columns::BadColumn;
use crate::sqlite::fields::{Fields, Read, task};

pub(crate) fn idempotency(fields: &mut Fields<'_>) -> Read<Idempotency> {
    Ok(Idempotency {
        key: IdempotencyKey {
            scope: fields.take()?,
            key: fields.take()?,
        },
        digest: Digest(fields.take()?),
        made: fields.decode(|bytes: Vec<u8>| made(&bytes))?,
        created_at: fields.time()?,
    })
}

fn made(bytes: &[u8]) -> Result<Arc<[TaskId]>, BadColumn> {
    let (ids, []) = bytes.as_chunks::<16>() else {
        return Err(BadColumn::new("idempotency.tasks", "part of an id"));
    };
    ids.iter().copied().map(task).collect()
}

/// Inserts or updates: both statements take the same parameters.
pub(crate) fn write_idempotency(
    statement: &mut CachedStatement<'_>,
    row: &Idempotency,
) -> Read<usize> {
    let made: Vec<u8> = row.made.iter().flat_map(|id| *id.as_bytes()).collect();
    statement.execute(params![
        row.key.scope,
        row.key.key,
        row.digest.0.as_slice(),
        made,
        row.created_at.as_micros(),
    ])
}

pub(crate) fn unique(fields: &mut Fields<'_>) -> Read<Unique> {
    Ok(Unique {
        key: UniqueKey {
            queue: fields.name()?,
            key: fields.take()?,
        },
        task: fields.task()?,
    })
}

/// Inserts or updates: both statements take the same parameters.
pub(crate) fn write_unique(statement: &mut CachedStatement<'_>, row: &Unique) -> Read<usize> {
    statement.execute(params![
        row.key.queue.as_str(),
        row.key.key,
        row.task.as_bytes(),
    ])
}

pub(crate) fn lane(fields: &mut Fields<'_>) -> Read<(Lane, Arc<LaneKey>)> {
    Ok((Lane(fields.take()?), Arc::new(lane_key(fields)?)))
}

pub(crate) fn insert_lane(
    statement: &mut CachedStatement<'_>,
    (lane, key): &(Lane, Arc<LaneKey>),
) -> Read<usize> {
    statement.execute(params![
        lane.0,
        key.queue.as_str(),
        key.kind.as_str(),
        key.demands.to_text(),
    ])
}

pub(crate) fn lane_key(fields: &mut Fields<'_>) -> Read<LaneKey> {
    Ok(LaneKey {
        queue: fields.name()?,
        kind: fields.name()?,
        demands: fields.decode(|text: String| {
            Demands::from_text(&text).map_err(|_| BadColumn::new("lane.demands", text))
        })?,
    })
}

pub(crate) fn write_counter(
    statement: &mut CachedStatement<'_>,
    server: i32,
    lane: Lane,
    change: &Counter,
) -> Read<usize> {
    let key = [server, lane.0].map(i64::from);
    let by_status = Status::ALL.map(|status| change[status]);
    statement.execute(params_from_iter(key.into_iter().chain(by_status)))
}

pub(crate) fn counter(fields: &mut Fields<'_>) -> Read<Counter> {
    let mut tasks = Counter::default();
    for status in Status::ALL {
        tasks[status] = fields.take()?;
    }
    Ok(tasks)
}
