//! Where a slot stands (ready, scheduled, leased), and what it carries from place to place.

use taskyard_core::id::{Epoch, Fence, WorkerNumber};
use taskyard_core::lane::Lane;
use taskyard_core::rows::{Carry, LastError, Lease, Progress, Ready, Scheduled};
use taskyard_core::view::Brief;

use super::task;
use crate::columns;
use crate::fields::{Database, Fields, Read};

pub(crate) fn ready<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Ready> {
    Ok(Ready {
        lane: Lane(fields.take()?),
        order_key: fields.order_key()?,
        slot: fields.slot()?,
        has_carry: fields.take()?,
    })
}

/// What a pick reads of a task, behind the ready row and its place. A time limit that cannot be read keeps nothing beside
/// it from being handed out: it is over at once, as a decision takes it to be.
pub(crate) fn brief<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Brief> {
    Ok(Brief {
        timeout: fields.duration().unwrap_or_default(),
        is_exclusive: fields.take()?,
        input: task::input(fields)?,
    })
}

pub(crate) const SCHEDULED_WIDTH: usize = 7;

pub(crate) fn scheduled<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Scheduled> {
    Ok(Scheduled {
        run_at: fields.time()?,
        slot: fields.slot()?,
        lane: Lane(fields.take()?),
        order_key: fields.order_key()?,
        why: fields.decode(columns::why)?,
        has_carry: fields.take()?,
    })
}

pub(crate) const LEASE_WIDTH: usize = 17;

pub(crate) fn lease<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Lease> {
    let slot = fields.slot()?;
    let (fence, secret) = (Fence(fields.take()?), fields.take()?);
    let (worker, epoch) = (WorkerNumber(fields.take()?), Epoch(fields.take()?));
    let (seq, is_told_again) = columns::seq(fields.take()?);
    Ok(Lease {
        slot,
        fence,
        secret,
        worker,
        epoch,
        seq,
        is_told_again,
        lane: Lane(fields.take()?),
        has_carry: fields.take()?,
        claimed_at: fields.time()?,
        started_at: fields.time_or_none()?,
        expires_at: fields.time()?,
        deadline: fields.time_or_none()?,
        progress: progress(fields)?,
        checkpoint: fields.json_or_none()?,
        is_exclusive: fields.take()?,
    })
}

/// Progress that says nothing is no progress.
pub(crate) fn progress<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Option<Progress>> {
    let (fraction, message) = (fields.take::<Option<f64>>()?, fields.text_or_none()?);
    Ok((fraction.is_some() || message.is_some()).then_some(Progress { fraction, message }))
}

pub(crate) const CARRY_WIDTH: usize = 18;

pub(crate) fn carry<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Carry> {
    Ok(Carry {
        slot: fields.slot()?,
        run_at: fields.time()?,
        order_key: fields.order_key()?,
        fence: Fence(fields.take()?),
        counts: fields.counts()?,
        error: fields.failure()?.map_or(LastError::None, LastError::Here),
        reported: fields.reported()?,
        checkpoint: fields.json_or_none()?,
        suspect_since: fields.time_or_none()?,
        kept_until: fields.time_or_none()?,
        priority: fields.priority()?,
    })
}
