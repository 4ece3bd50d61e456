//! Who is up: servers and workers.

use taskyard_core::name::Name;
use taskyard_core::rows::{Server, Worker};

use crate::columns;
use crate::postgres::params::{Columns, Params};

/// Inserts or updates: both statements take the same parameters.
pub(in crate::postgres) fn servers<'a>(rows: &'a [&Server]) -> Params<'a> {
    Columns::of(rows)
        .column(|row| row.number.0)
        .column(|row| row.started_at.as_micros())
        .column(|row| row.expires_at.as_micros())
        .params()
}

/// Inserts or updates: both statements take the same parameters.
pub(in crate::postgres) fn workers<'a>(rows: &'a [&Worker]) -> Params<'a> {
    let names = |names: &Option<Vec<Name>>| names.as_deref().map(columns::names_text);
    Columns::of(rows)
        .column(|row| row.name.as_str())
        .column(|row| row.number.0)
        .column(|row| row.epoch.0)
        .column(|row| row.server.map(|server| server.0))
        .column(|row| names(&row.profile.kinds))
        .column(|row| names(&row.profile.queues))
        .column(|row| row.profile.labels.to_text())
        .column(|row| row.capacity)
        .column(|row| row.registered_at.as_micros())
        .column(|row| row.expires_at.as_micros())
        .column(|row| row.kept_for.map(|slot| slot.task.as_uuid()))
        .column(|row| row.kept_for.map(|slot| slot.slot.0))
        .column(|row| row.is_forgotten)
        .column(|row| row.is_draining)
        .column(|row| row.is_killed)
        .column(|row| row.completed)
        .column(|row| row.failed)
        .column(|row| row.killed_before.map(|epoch| epoch.0))
        .params()
}
