//! Where a slot stands (ready, scheduled, leased), and what it carries from place to place.

use rusqlite::{CachedStatement, params};
use taskyard_core::json::Json;
use taskyard_core::rows::{Carry, Lease, Ready, Scheduled};

use crate::columns;
use crate::sqlite::fields::{Read, failure_columns, reported_columns};

pub(crate) fn insert_ready(statement: &mut CachedStatement<'_>, row: &Ready) -> Read<usize> {
    statement.execute(params![
        row.lane.0,
        row.order_key.0,
        row.slot.task.as_bytes(),
        row.slot.slot.0,
        row.has_carry,
    ])
}

pub(crate) fn delete_ready(statement: &mut CachedStatement<'_>, row: &Ready) -> Read<usize> {
    statement.execute(params![
        row.lane.0,
        row.order_key.0,
        row.slot.task.as_bytes(),
        row.slot.slot.0,
    ])
}

pub(crate) fn insert_scheduled(
    statement: &mut CachedStatement<'_>,
    row: &Scheduled,
) -> Read<usize> {
    statement.execute(params![
        row.run_at.as_micros(),
        row.slot.task.as_bytes(),
        row.slot.slot.0,
        row.lane.0,
        row.order_key.0,
        columns::why_code(row.why),
        row.has_carry,
    ])
}

pub(crate) fn delete_scheduled(
    statement: &mut CachedStatement<'_>,
    row: &Scheduled,
) -> Read<usize> {
    statement.execute(params![
        row.run_at.as_micros(),
        row.slot.task.as_bytes(),
        row.slot.slot.0,
    ])
}

/// Inserts or updates: both statements take the same parameters.
pub(crate) fn write_lease(statement: &mut CachedStatement<'_>, row: &Lease) -> Read<usize> {
    let progress = row.progress.as_ref();
    statement.execute(params![
        row.slot.task.as_bytes(),
        row.slot.slot.0,
        row.fence.0,
        row.secret,
        row.worker.0,
        row.epoch.0,
        columns::seq_code(row),
        row.lane.0,
        row.has_carry,
        row.claimed_at.as_micros(),
        row.started_at.map(|at| at.as_micros()),
        row.expires_at.as_micros(),
        row.deadline.map(|at| at.as_micros()),
        progress.and_then(|progress| progress.fraction),
        progress.and_then(|progress| progress.message.as_deref()),
        row.checkpoint.as_ref().map(Json::as_str),
        row.is_exclusive,
    ])
}

/// Inserts or updates: both statements take the same parameters.
pub(crate) fn write_carry(statement: &mut CachedStatement<'_>, row: &Carry) -> Read<usize> {
    let (code, message, detail) = failure_columns(row.error.here());
    let (reported_fence, reported_digest) = reported_columns(row.reported.as_ref());
    statement.execute(params![
        row.slot.task.as_bytes(),
        row.slot.slot.0,
        row.run_at.as_micros(),
        row.order_key.0,
        row.fence.0,
        row.counts.attempts,
        row.counts.failures,
        row.counts.losses,
        row.counts.lost_in_a_row,
        code,
        message,
        detail,
        reported_fence,
        reported_digest,
        row.checkpoint.as_ref().map(Json::as_str),
        row.suspect_since.map(|at| at.as_micros()),
        row.kept_until.map(|at| at.as_micros()),
        row.priority.get(),
    ])
}
