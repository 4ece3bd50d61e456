//! Idempotency keys, unique keys, the lanes' keys, and counters.

use std::sync::Arc;

use taskyard_core::counter::Counter;
use taskyard_core::id::ServerNumber;
use taskyard_core::lane::{Lane, LaneKey};
use taskyard_core::rows::{Idempotency, IdempotencyKey, Unique, UniqueKey};
use taskyard_core::status::Status;

use crate::postgres::params::{Columns, Params};
use crate::postgres::tid::Tid;

pub(in crate::postgres) fn idempotency_keys(rows: &[IdempotencyKey]) -> Params<'_> {
    Columns::of(rows)
        .column(|key| &*key.scope)
        .column(|key| &*key.key)
        .params()
}

pub(in crate::postgres) fn idempotencies<'a>(rows: &'a [&Idempotency]) -> Params<'a> {
    Columns::of(rows)
        .column(|row| &*row.key.scope)
        .column(|row| &*row.key.key)
        .column(|row| row.digest.0.as_slice())
        .column(|row| -> Vec<u8> { row.made.iter().flat_map(|id| *id.as_bytes()).collect() })
        .column(|row| row.created_at.as_micros())
        .params()
}

pub(in crate::postgres) fn unique_keys(rows: &[UniqueKey]) -> Params<'_> {
    Columns::of(rows)
        .column(|key| key.queue.as_str())
        .column(|key| &*key.key)
        .params()
}

/// Inserts or updates: both statements take the same parameters.
pub(in crate::postgres) fn uniques<'a>(rows: &'a [&Unique]) -> Params<'a> {
    Columns::of(rows)
        .column(|row| row.key.queue.as_str())
        .column(|row| &*row.key.key)
        .column(|row| row.task.as_uuid())
        .params()
}

pub(in crate::postgres) fn lane_keys(keys: &[Arc<LaneKey>]) -> Params<'_> {
    Columns::of(keys)
        .column(|key| key.queue.as_str())
        .column(|key| key.kind.as_str())
        .column(|key| key.demands.to_text())
        .params()
}

pub(in crate::postgres) fn lane_numbers(lanes: &[Lane]) -> Params<'_> {
    Columns::of(lanes).column(|lane| lane.0).params()
}

pub(in crate::postgres) fn lanes(rows: &[(Lane, Arc<LaneKey>)]) -> Params<'_> {
    Columns::of(rows)
        .column(|(lane, _)| lane.0)
        .column(|(_, key)| key.queue.as_str())
        .column(|(_, key)| key.kind.as_str())
        .column(|(_, key)| key.demands.to_text())
        .params()
}

pub(in crate::postgres) fn counters(server: ServerNumber, rows: &[(Lane, Counter)]) -> Params<'_> {
    by_status(server, rows, |change| change).params()
}

/// With where each of them stands.
pub(in crate::postgres) fn counters_at(
    server: ServerNumber,
    rows: &[((Lane, Counter), Tid)],
) -> Params<'_> {
    let columns = by_status(server, rows, |(change, _)| change);
    columns.column(|(_, spot)| *spot).params()
}

fn by_status<R>(
    server: ServerNumber,
    rows: &[R],
    change: impl Fn(&R) -> &(Lane, Counter) + Copy,
) -> Columns<'_, R> {
    let columns = Columns::of(rows)
        .column(|_| server.0)
        .column(|row| change(row).0.0);
    Status::ALL.into_iter().fold(columns, |columns, status| {
        columns.column(move |row| change(row).1[status])
    })
}
