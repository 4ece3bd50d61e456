//! Idempotency keys, unique keys, the lanes' keys, and counters.

use std::sync::Arc;

use rusqlite::{CachedStatement, params, params_from_iter};
use taskyard_core::counter::Counter;
use taskyard_core::lane::{Lane, LaneKey};
use taskyard_core::rows::{Idempotency, Unique};
use taskyard_core::status::Status;

use crate::sqlite::fields::Read;

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

/// Inserts or updates: both statements take the same parameters.
pub(crate) fn write_unique(statement: &mut CachedStatement<'_>, row: &Unique) -> Read<usize> {
    statement.execute(params![
        row.key.queue.as_str(),
        row.key.key,
        row.task.as_bytes(),
    ])
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
