//! Queues of which something was set.

use rusqlite::{CachedStatement, params};
use taskyard_core::queue::{Defaults, Queue};
use taskyard_core::retention::Retention;
use taskyard_core::retry::Retry;

use crate::columns::micros;
use crate::sqlite::fields::{Fields, Read};

pub(crate) fn queue(fields: &mut Fields<'_>) -> Read<Queue> {
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
pub(crate) fn write_queue(statement: &mut CachedStatement<'_>, row: &Queue) -> Read<usize> {
    let Defaults {
        max_attempts,
        timeout,
        retry,
    } = row.defaults;
    let kept = row.retention.unwrap_or_default();
    statement.execute(params![
        row.name.as_str(),
        row.is_paused,
        max_attempts,
        timeout.map(micros),
        retry.map(|retry| micros(retry.backoff)),
        retry.map(|retry| retry.factor),
        retry.map(|retry| micros(retry.max)),
        retry.map(|retry| retry.jitter),
        row.retention.is_some(),
        kept.completed.map(micros),
        kept.failed.map(micros),
        kept.timeout.map(micros),
        kept.cancelled.map(micros),
    ])
}
