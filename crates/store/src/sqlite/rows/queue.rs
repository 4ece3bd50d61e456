//! Queues of which something was set.

use rusqlite::{CachedStatement, params};
use taskyard_core::queue::{Defaults, Queue};

use crate::columns::micros;
use crate::sqlite::fields::Read;

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
