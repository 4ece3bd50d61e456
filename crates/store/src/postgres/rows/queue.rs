//! Queues of which something was set.

use taskyard_core::queue::{Defaults, Queue};
use taskyard_core::retention::Retention;
use taskyard_core::retry::Retry;

use crate::columns::micros;
use crate::postgres::fields::{Fields, Read};
use crate::postgres::params::{Columns, Params};

pub(in crate::postgres) fn queue(fields: &mut Fields<'_>) -> Read<Queue> {
    Ok(Queue {
        name: fields.name()?,
        is_paused: fields.take()?,
        defaults: Defaults {
            max_attempts: fields.take()?,
            timeout: fields.duration_or_none()?,
            retry: retry(fields)?,
        },
        retention: retention(fields)?,
    })
}

fn retention(fields: &mut Fields<'_>) -> Read<Option<Retention>> {
    let retains: bool = fields.take()?;
    let retention = Retention {
        completed: fields.duration_or_none()?,
        failed: fields.duration_or_none()?,
        timeout: fields.duration_or_none()?,
        cancelled: fields.duration_or_none()?,
    };
    Ok(retains.then_some(retention))
}

fn retry(fields: &mut Fields<'_>) -> Read<Option<Retry>> {
    let (backoff, factor) = (fields.duration_or_none()?, fields.take()?);
    let (max, jitter) = (fields.duration_or_none()?, fields.take()?);
    let retry = backoff.zip(max).zip(factor).zip(jitter);
    Ok(retry.map(|(((backoff, max), factor), jitter)| Retry {
        backoff,
        factor,
        max,
        jitter,
    }))
}

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
