//! Who is up: servers and workers.

use std::sync::Arc;

use taskyard_core::id::{Epoch, ServerNumber, SlotKey, SlotNumber, WorkerNumber};
use taskyard_core::labels::Labels;
use taskyard_core::name::Name;
use taskyard_core::rows::{Server, Worker};
use taskyard_core::worker::Profile;
use uuid::Uuid;

use crate::columns::{self, BadColumn};
use crate::postgres::fields::{Fields, Read, task};
use crate::postgres::params::{Columns, Params};

pub(in crate::postgres) fn server(fields: &mut Fields<'_>) -> Read<Server> {
    Ok(Server {
        number: ServerNumber(fields.take()?),
        started_at: fields.time()?,
        expires_at: fields.time()?,
    })
}

/// Inserts or updates: both statements take the same parameters.
pub(in crate::postgres) fn servers<'a>(rows: &'a [&Server]) -> Params<'a> {
    Columns::of(rows)
        .column(|row| row.number.0)
        .column(|row| row.started_at.as_micros())
        .column(|row| row.expires_at.as_micros())
        .params()
}

pub(in crate::postgres) fn worker(fields: &mut Fields<'_>) -> Read<Worker> {
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
    let names = |text: Option<&str>| text.map(columns::names).transpose();
    let (kinds, queues) = (fields.decode(names)?, fields.decode(names)?);
    let labels = fields.decode(|text: &str| {
        Labels::from_text(text).map_err(|_| BadColumn::new("worker.labels", text))
    })?;
    Ok(Profile::new(kinds, queues, labels))
}

fn kept_for(fields: &mut Fields<'_>) -> Read<Option<SlotKey>> {
    let id = fields.decode(|id: Option<Uuid>| id.map(task).transpose())?;
    let slot = fields.take::<Option<i16>>()?.map(SlotNumber);
    Ok(id.zip(slot).map(|(task, slot)| SlotKey { task, slot }))
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
