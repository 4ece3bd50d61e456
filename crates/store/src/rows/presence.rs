//! Who is up: servers and workers.

use std::sync::Arc;

use taskyard_core::id::{Epoch, ServerNumber, SlotKey, SlotNumber, WorkerNumber};
use taskyard_core::labels::Labels;
use taskyard_core::rows::{Server, Worker};
use taskyard_core::worker::Profile;

use crate::columns::{self, BadColumn};
use crate::fields::{Database, Fields, Read};

pub(crate) fn server<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Server> {
    Ok(Server {
        number: ServerNumber(fields.take()?),
        started_at: fields.time()?,
        expires_at: fields.time()?,
    })
}

pub(crate) fn worker<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Worker> {
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

fn profile<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Profile> {
    let names = |text: Option<&str>| text.map(columns::names).transpose();
    let (kinds, queues) = (fields.decode(names)?, fields.decode(names)?);
    let labels = fields.decode(|text: &str| {
        Labels::from_text(text).map_err(|_| BadColumn::new("worker.labels", text))
    })?;
    Ok(Profile::new(kinds, queues, labels))
}

fn kept_for<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Option<SlotKey>> {
    let id = fields.task_or_none()?;
    let slot = fields.take::<Option<i16>>()?.map(SlotNumber);
    Ok(id.zip(slot).map(|(task, slot)| SlotKey { task, slot }))
}
