//! Queues of which something was set.

use taskyard_core::queue::{Defaults, Queue};
use taskyard_core::retention::Retention;
use taskyard_core::retry::Retry;

use crate::fields::{Database, Fields, Read};

pub(crate) fn queue<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Queue> {
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

fn retention<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Option<Retention>> {
    let retains: bool = fields.take()?;
    let retention = Retention {
        completed: fields.duration_or_none()?,
        failed: fields.duration_or_none()?,
        timeout: fields.duration_or_none()?,
        cancelled: fields.duration_or_none()?,
    };
    Ok(retains.then_some(retention))
}

fn retry<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Option<Retry>> {
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
