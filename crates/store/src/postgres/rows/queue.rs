//! Queues of which something was set.

use taskyard_core::queue::Queue;

use crate::columns::micros;
use crate::postgres::params::{Columns, Params};

/// Inserts or updates: both statements take the same parameters.
pub(in crate::postgres) fn queues<'a>(rows: &'a [&Queue]) -> Params<'a> {
    let retry = |row: &Queue| row.defaults.retry;
    let kept = |row: &Queue| row.retention.unwrap_or_default();
    Columns::of(rows)
        .column(|row| row.name.as_str())
        .column(|row| row.is_paused)
        .column(|row| row.defaults.max_attempts)
        .column(|row| row.defaults.timeout.map(micros))
        .column(move |row| retry(row).map(|retry| micros(retry.backoff)))
        .column(move |row| retry(row).map(|retry| retry.factor))
        .column(move |row| retry(row).map(|retry| micros(retry.max)))
        .column(move |row| retry(row).map(|retry| retry.jitter))
        .column(|row| row.retention.is_some())
        .column(move |row| kept(row).completed.map(micros))
        .column(move |row| kept(row).failed.map(micros))
        .column(move |row| kept(row).timeout.map(micros))
        .column(move |row| kept(row).cancelled.map(micros))
        .params()
}
