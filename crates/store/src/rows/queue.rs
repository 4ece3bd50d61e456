//! Queues of which something was set.

use std::time::Duration;

use taskyard_core::queue::{Defaults, Queue};
use taskyard_core::retention::Retention;
use taskyard_core::retry::Retry;

use crate::columns;
use crate::fields::{Database, Fields, Read};

pub(crate) fn queue<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Queue> {
    Ok(Queue {
        name: fields.name()?,
        is_paused: fields.take()?,
        defaults: Defaults {
            max_attempts: fields.take()?,
            timeout: duration(fields)?,
            retry: retry(fields)?,
        },
        retention: retention(fields)?,
    })
}

/// A start reads all queues, and says which column keeps it from that.
fn duration<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Option<Duration>> {
    fields.decode(|micros: Option<i64>| {
        let duration = micros.map(columns::duration).transpose();
        duration.map_err(|bad| bad.of("queue"))
    })
}

fn retention<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Option<Retention>> {
    let retains: bool = fields.take()?;
    let retention = Retention {
        completed: duration(fields)?,
        failed: duration(fields)?,
        timeout: duration(fields)?,
        cancelled: duration(fields)?,
    };
    Ok(retains.then_some(retention))
}

fn retry<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Option<Retry>> {
    let (backoff, factor) = (duration(fields)?, fields.take()?);
    let (max, jitter) = (duration(fields)?, fields.take()?);
    let retry = backoff.zip(max).zip(factor).zip(jitter);
    Ok(retry.map(|(((backoff, max), factor), jitter)| Retry {
        backoff,
        factor,
        max,
        jitter,
    }))
}
