//! Where a slot stands (ready, scheduled, leased), and what it carries from place to place.

use taskyard_core::id::SlotKey;
use taskyard_core::json::Json;
use taskyard_core::needs::{ReadyKey, ScheduledKey};
use taskyard_core::rows::{Carry, Lease, Ready, Scheduled};

use super::task::{failure_columns, reported_columns};
use crate::columns;
use crate::postgres::fields::storable;
use crate::postgres::params::{Columns, Params};

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

/// Inserts or updates: both statements take the same parameters.
pub(in crate::postgres) fn leases<'a>(rows: &'a [&Lease]) -> Params<'a> {
    Columns::of(rows)
        .column(|row| row.slot.task.as_uuid())
        .column(|row| row.slot.slot.0)
        .column(|row| row.fence.0)
        .column(|row| row.secret)
        .column(|row| row.worker.0)
        .column(|row| row.epoch.0)
        .column(|row| columns::seq_code(row))
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
