//! Who is up: servers and workers.

use std::sync::Arc;

use rusqlite::{CachedStatement, params};
use taskyard_core::id::{Epoch, ServerNumber, SlotKey, SlotNumber, WorkerNumber};
use taskyard_core::labels::Labels;
use taskyard_core::name::Name;
use taskyard_core::rows::{Server, Worker};
use taskyard_core::worker::Profile;

use crate::columns::{self, BadColumn};
use crate::sqlite::fields::{Fields, Read, task};

pub(crate) fn server(fields: &mut Fields<'_>) -> Read<Server> {
    Ok(Server {
        number: ServerNumber(fields.take()?),
        started_at: fields.time()?,
        expires_at: fields.time()?,
    })
}

/// Inserts or updates: both statements take the same parameters.
pub(crate) fn write_server(statement: &mut CachedStatement<'_>, row: &Server) -> Read<usize> {
    statement.execute(params![
        row.number.0,
        row.started_at.as_micros(),
        row.expires_at.as_micros(),
    ])
}

pub(crate) fn worker(fields: &mut Fields<'_>) -> Read<Worker> {
    Ok(Worker {
        name: fields.name()?,
        number: WorkerNumber(fields.take()?),
        epoch: Epoch(fields.take()?),
        server: fields.take::<Option<i32>>()?.map(ServerNumber),
        profile: Arc::new(profile(fields)?),
        capacity: fields.take()?,
        registered_at: fields.time()?,
        expires_at: fields.time()?,
        kept_for: kept_for(fields)?,
        is_forgotten: fields.take()?,
        is_draining: fields.take()?,
        is_killed: fields.take()?,
        completed: fields.take()?,
        failed: fields.take()?,
        killed_before: fields.take::<Option<i32>>()?.map(Epoch),
    })
}

fn profile(fields: &mut Fields<'_>) -> Read<Profile> {
    let names = |text: Option<String>| text.as_deref().map(columns::names).transpose();
    let (kinds, queues) = (fields.decode(names)?, fields.decode(names)?);
    let labels = fields.decode(|text: String| {
        Labels::from_text(&text).map_err(|_| BadColumn::new("worker.labels", text))
    })?;
    Ok(Profile::new(kinds, queues, labels))
}

fn kept_for(fields: &mut Fields<'_>) -> Read<Option<SlotKey>> {
    let id = fields.decode(|bytes: Option<[u8; 16]>| bytes.map(task).transpose())?;
    let slot = fields.take::<Option<i16>>()?.map(SlotNumber);
    Ok(id.zip(slot).map(|(task, slot)| SlotKey { task, slot }))
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
