//! Where a slot stands (ready, scheduled, leased), and what it carries from place to place.

use std::sync::Arc;

use rusqlite::{CachedStatement, params};
use taskyard_core::id::{Epoch, Fence, WorkerNumber};
use taskyard_core::json::Json;
use taskyard_core::lane::Lane;
use taskyard_core::rows::{Carry, LastError, Lease, Progress, Ready, Scheduled};

use crate::columns;
use crate::sqlite::fields::{Fields, Read, failure_columns, reported_columns};

pub(crate) fn ready(fields: &mut Fields<'_>) -> Read<Ready> {
    Ok(Ready {
        lane: Lane(fields.take()?),
        order_key: fields.order_key()?,
        slot: fields.slot()?,
        has_carry: fields.take()?,
    })
}

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

pub(crate) const SCHEDULED_WIDTH: usize = 7;

pub(crate) fn scheduled(fields: &mut Fields<'_>) -> Read<Scheduled> {
    Ok(Scheduled {
        run_at: fields.time()?,
        slot: fields.slot()?,
        lane: Lane(fields.take()?),
        order_key: fields.order_key()?,
        why: fields.decode(columns::why)?,
        has_carry: fields.take()?,
    })
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

pub(crate) const LEASE_WIDTH: usize = 17;

pub(crate) fn lease(fields: &mut Fields<'_>) -> Read<Lease> {
    Ok(Lease {
        slot: fields.slot()?,
        fence: Fence(fields.take()?),
        secret: fields.take()?,
        worker: WorkerNumber(fields.take()?),
        epoch: Epoch(fields.take()?),
        seq: fields.take()?,
        lane: Lane(fields.take()?),
        has_carry: fields.take()?,
        claimed_at: fields.time()?,
        started_at: fields.time_or_none()?,
        expires_at: fields.time()?,
        deadline: fields.time_or_none()?,
        progress: progress(fields.take()?, fields.take()?),
        checkpoint: fields.json_or_none()?,
        is_exclusive: fields.take()?,
    })
}

/// Progress that says nothing is no progress.
pub(crate) fn progress(fraction: Option<f64>, message: Option<Arc<str>>) -> Option<Progress> {
    (fraction.is_some() || message.is_some()).then_some(Progress { fraction, message })
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
        row.seq,
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

pub(crate) const CARRY_WIDTH: usize = 18;

pub(crate) fn carry(fields: &mut Fields<'_>) -> Read<Carry> {
    Ok(Carry {
        slot: fields.slot()?,
        run_at: fields.time()?,
        order_key: fields.order_key()?,
        fence: Fence(fields.take()?),
        counts: fields.counts()?,
        error: fields.failure()?.map_or(LastError::None, LastError::Here),
        reported: fields.reported()?,
        checkpoint: fields.json_or_none()?,
        suspect_since: fields.time_or_none()?,
        kept_until: fields.time_or_none()?,
        priority: fields.priority()?,
    })
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
