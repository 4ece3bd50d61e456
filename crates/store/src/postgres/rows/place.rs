//! Where a slot stands (ready, scheduled, leased), and what it carries from place to place.

use taskyard_core::id::{Epoch, Fence, SlotKey, WorkerNumber};
use taskyard_core::json::Json;
use taskyard_core::lane::Lane;
use taskyard_core::needs::{ReadyKey, ScheduledKey};
use taskyard_core::rows::{Carry, LastError, Lease, Progress, Ready, Scheduled};
use taskyard_core::view::Brief;

use super::task::{self, failure_columns, reported_columns};
use crate::columns;
use crate::postgres::fields::{Fields, Read, storable};
use crate::postgres::params::{Columns, Params};

pub(in crate::postgres) fn ready(fields: &mut Fields<'_>) -> Read<Ready> {
    Ok(Ready {
        lane: Lane(fields.take()?),
        order_key: fields.order_key()?,
        slot: fields.slot()?,
        has_carry: fields.take()?,
    })
}

/// What a pick reads of a task, behind the ready row and its place.
pub(in crate::postgres) fn brief(fields: &mut Fields<'_>) -> Read<Brief> {
    Ok(Brief {
        timeout: fields.duration()?,
        is_exclusive: fields.take()?,
        input: task::input(fields)?,
    })
}

pub(in crate::postgres) fn ready_keys(rows: &[ReadyKey]) -> Params<'_> {
    Columns::of(rows)
        .column(|key| key.lane.0)
        .column(|key| key.order_key.0)
        .column(|key| key.slot.task.as_uuid())
        .column(|key| key.slot.slot.0)
        .params()
}

pub(in crate::postgres) fn readies<'a>(rows: &'a [&Ready]) -> Params<'a> {
    Columns::of(rows)
        .column(|row| row.lane.0)
        .column(|row| row.order_key.0)
        .column(|row| row.slot.task.as_uuid())
        .column(|row| row.slot.slot.0)
        .column(|row| row.has_carry)
        .params()
}

pub(in crate::postgres) const SCHEDULED_WIDTH: usize = 7;

pub(in crate::postgres) fn scheduled(fields: &mut Fields<'_>) -> Read<Scheduled> {
    Ok(Scheduled {
        run_at: fields.time()?,
        slot: fields.slot()?,
        lane: Lane(fields.take()?),
        order_key: fields.order_key()?,
        why: fields.decode(columns::why)?,
        has_carry: fields.take()?,
    })
}

pub(in crate::postgres) fn scheduled_keys(rows: &[ScheduledKey]) -> Params<'_> {
    Columns::of(rows)
        .column(|key| key.run_at.as_micros())
        .column(|key| key.slot.task.as_uuid())
        .column(|key| key.slot.slot.0)
        .params()
}

pub(in crate::postgres) fn scheduleds<'a>(rows: &'a [&Scheduled]) -> Params<'a> {
    Columns::of(rows)
        .column(|row| row.run_at.as_micros())
        .column(|row| row.slot.task.as_uuid())
        .column(|row| row.slot.slot.0)
        .column(|row| row.lane.0)
        .column(|row| row.order_key.0)
        .column(|row| columns::why_code(row.why))
        .column(|row| row.has_carry)
        .params()
}

/// For every table that has a slot as its key.
pub(in crate::postgres) fn slot_keys(rows: &[SlotKey]) -> Params<'_> {
    Columns::of(rows)
        .column(|key| key.task.as_uuid())
        .column(|key| key.slot.0)
        .params()
}

pub(in crate::postgres) const LEASE_WIDTH: usize = 17;

pub(in crate::postgres) fn lease(fields: &mut Fields<'_>) -> Read<Lease> {
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
        progress: progress(fields)?,
        checkpoint: fields.json_or_none()?,
        is_exclusive: fields.take()?,
    })
}

/// Progress that says nothing is no progress.
pub(in crate::postgres) fn progress(fields: &mut Fields<'_>) -> Read<Option<Progress>> {
    let (fraction, message) = (fields.take::<Option<f64>>()?, fields.text_or_none()?);
    Ok((fraction.is_some() || message.is_some()).then_some(Progress { fraction, message }))
}

/// Inserts or updates: both statements take the same parameters.
pub(in crate::postgres) fn leases<'a>(rows: &'a [&Lease]) -> Params<'a> {
    Columns::of(rows)
        .column(|row| row.slot.task.as_uuid())
        .column(|row| row.slot.slot.0)
        .column(|row| row.fence.0)
        .column(|row| row.secret)
        .column(|row| row.worker.0)
        .column(|row| row.epoch.0)
        .column(|row| row.seq)
        .column(|row| row.lane.0)
        .column(|row| row.has_carry)
        .column(|row| row.claimed_at.as_micros())
        .column(|row| row.started_at.map(|at| at.as_micros()))
        .column(|row| row.expires_at.as_micros())
        .column(|row| row.deadline.map(|at| at.as_micros()))
        .column(|row| row.progress.as_ref().and_then(|progress| progress.fraction))
        .column(|row| {
            let message = row.progress.as_ref()?.message.as_deref()?;
            Some(storable(message))
        })
        .column(|row| row.checkpoint.as_ref().map(Json::as_str))
        .column(|row| row.is_exclusive)
        .params()
}

pub(in crate::postgres) const CARRY_WIDTH: usize = 18;

pub(in crate::postgres) fn carry(fields: &mut Fields<'_>) -> Read<Carry> {
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
pub(in crate::postgres) fn carries<'a>(rows: &'a [&Carry]) -> Params<'a> {
    let columns = Columns::of(rows)
        .column(|row| row.slot.task.as_uuid())
        .column(|row| row.slot.slot.0)
        .column(|row| row.run_at.as_micros())
        .column(|row| row.order_key.0)
        .column(|row| row.fence.0)
        .column(|row| row.counts.attempts)
        .column(|row| row.counts.failures)
        .column(|row| row.counts.losses)
        .column(|row| row.counts.lost_in_a_row);
    let columns = failure_columns(columns, |row| row.error.here());
    reported_columns(columns, |row| row.reported.as_ref())
        .column(|row| row.checkpoint.as_ref().map(Json::as_str))
        .column(|row| row.suspect_since.map(|at| at.as_micros()))
        .column(|row| row.kept_until.map(|at| at.as_micros()))
        .column(|row| row.priority.get())
        .params()
}
