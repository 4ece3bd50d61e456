//! What is shown or asked of more than one table.

use std::sync::Arc;

use taskyard_core::counter::Counter;
use taskyard_core::id::{Epoch, Fence, WorkerNumber};
use taskyard_core::name::Name;
use taskyard_core::query::{
    Counted, Held, Holder, Holding, RunView, Staff, TaskView, WorkerCounts, WorkerView,
};
use taskyard_core::verbs::held::Token;

use super::{key, place, presence, task};
use crate::columns::{self, BadColumn};
use crate::fields::{Database, Fields, Read};

/// Everything known of one task.
pub(crate) fn task<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, TaskView> {
    let task = Arc::new(task::whole_task(fields)?);
    let lane = Arc::new(key::lane_key(fields)?);
    let outcome = fields.maybe(task::OUTCOME_WIDTH, task::outcome)?;
    let lease = fields.maybe(place::LEASE_WIDTH, place::lease)?;
    let scheduled = fields.maybe(place::SCHEDULED_WIDTH, place::scheduled)?;
    let carry = fields.maybe(place::CARRY_WIDTH, place::carry)?;
    let worker = fields.name_or_none()?;
    let standing = fields.decode(|place| columns::standing(place, scheduled, lease, outcome))?;
    Ok(TaskView {
        task,
        lane,
        standing,
        carry,
        worker,
    })
}

/// Columns of a lease in `task_holder`.
const HELD_WIDTH: usize = 6;

pub(crate) fn holder<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Holder> {
    let ended = fields.decode(columns::outcome_status)?;
    if let Some(status) = ended {
        return Ok(Holder::Ended(status));
    }
    let attempts: Option<i32> = fields.take()?;
    let held = fields.maybe(HELD_WIDTH, |fields| {
        Ok(Held {
            fence: Fence(fields.take()?),
            secret: fields.take()?,
            by: (WorkerNumber(fields.take()?), Epoch(fields.take()?)),
            claimed_at: fields.time()?,
            has_begun: fields.time_or_none()?.is_some(),
            attempt: attempts.unwrap_or_default() + 1,
        })
    })?;
    Ok(held.map_or(Holder::Nobody, Holder::Worker))
}

pub(crate) fn holding<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Holding> {
    Ok(Holding {
        by: (WorkerNumber(fields.take()?), Epoch(fields.take()?)),
        token: Token {
            slot: fields.slot()?,
            fence: Fence(fields.take()?),
            secret: fields.take()?,
        },
    })
}

pub(crate) fn worker<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, WorkerView> {
    Ok(WorkerView {
        worker: presence::worker(fields)?,
        held: count(fields)?,
    })
}

pub(crate) fn count<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, usize> {
    fields.decode(|rows: i64| {
        usize::try_from(rows).map_err(|_| BadColumn::new("a number of rows", rows))
    })
}

pub(crate) fn run<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, RunView> {
    Ok(RunView {
        task: fields.task()?,
        queue: fields.name()?,
        kind: fields.name()?,
        attempt: fields.take()?,
        claimed_at: fields.time()?,
        started_at: fields.time_or_none()?,
        expires_at: fields.time()?,
        progress: place::progress(fields)?,
    })
}

pub(crate) fn worker_counts<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, WorkerCounts> {
    Ok(WorkerCounts {
        online: fields.take()?,
        offline: fields.take()?,
    })
}

pub(crate) fn staff<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Staff> {
    Ok(Staff {
        online: fields.take()?,
        offline: fields.take()?,
        internal: fields.take()?,
    })
}

pub(crate) fn named<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, (Name, Counter)> {
    Ok((fields.name()?, key::counter(fields)?))
}

pub(crate) fn pending<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, (Name, i64)> {
    Ok((fields.name()?, fields.take()?))
}

pub(crate) fn counted<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Counted> {
    Ok(Counted {
        lane: Arc::new(key::lane_key(fields)?),
        tasks: key::counter(fields)?,
    })
}
