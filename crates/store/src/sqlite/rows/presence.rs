//! Who is up: servers and workers.

use rusqlite::{CachedStatement, params};
use taskyard_core::name::Name;
use taskyard_core::rows::{Server, Worker};

use crate::columns;
use crate::sqlite::fields::Read;

/// Inserts or updates: both statements take the same parameters.
pub(crate) fn write_server(statement: &mut CachedStatement<'_>, row: &Server) -> Read<usize> {
    statement.execute(params![
        row.number.0,
        row.started_at.as_micros(),
        row.expires_at.as_micros(),
    ])
}

/// Inserts or updates: both statements take the same parameters.
pub(crate) fn write_worker(statement: &mut CachedStatement<'_>, row: &Worker) -> Read<usize> {
    let names = |names: &Option<Vec<Name>>| names.as_deref().map(columns::names_text);
    statement.execute(params![
        row.name.as_str(),
        row.number.0,
        row.epoch.0,
        row.server.map(|server| server.0),
        names(&row.profile.kinds),
        names(&row.profile.queues),
        row.profile.labels.to_text(),
        row.capacity,
        row.registered_at.as_micros(),
        row.expires_at.as_micros(),
        row.kept_for
            .as_ref()
            .map(|slot| slot.task.as_bytes().as_slice()),
        row.kept_for.map(|slot| slot.slot.0),
        row.is_forgotten,
        row.is_draining,
        row.is_killed,
        row.completed,
        row.failed,
        row.killed_before.map(|epoch| epoch.0),
    ])
}
