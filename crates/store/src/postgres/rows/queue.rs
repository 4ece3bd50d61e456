//! Queues of which something was set.

use taskyard_core::queue::{Defaults, Queue};
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
    })
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
    Columns::of(rows)
        .column(|row| row.name.as_str())
        .column(|row| row.is_paused)
        .column(|row| row.defaults.max_attempts)
        .column(|row| row.defaults.timeout.map(micros))
        .column(move |row| retry(row).map(|retry| micros(retry.backoff)))
        .column(move |row| retry(row).map(|retry| retry.factor))
        .column(move |row| retry(row).map(|retry| micros(retry.max)))
        .column(move |row| retry(row).map(|retry| retry.jitter))
        .params()
}
