//! What the database answered to a load, on its way into the view.

use std::sync::Arc;

use taskyard_core::id::{TaskId, WorkerNumber};
use taskyard_core::lane::Lane;
use taskyard_core::needs::Needs;
use taskyard_core::rows::{Closed, Ready};
use taskyard_core::view::{Brief, View};
use tokio_postgres::Row;

use super::fields::{Fields, Read, spot};
use super::tid::Tid;
use super::tx::Held;
use crate::rows::{key, minute, operation, place, presence, queue, relic, task};

/// Whose answer it is.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Servers,
    LanesHeld,
    Lanes,
    LastLane,
    Queues,
    Operations,
    OpenOperations,
    Paused,
    Workers,
    Scheduled,
    Ready,
    Leases {
        held: bool,
    },
    Uniques,
    Idempotency,
    Minutes,
    Relics,
    Tasks,
    Carries,
    Outcomes,
    LastWorker,
    LiveWorkers,
    LeasesOf,
    /// Of this pick, over one lane.
    Pick(usize),
    /// What was seen for this pick over several lanes.
    Seen(usize),
    Due,
    OldKeys,
}

/// Puts one answer into the view, unless it is of a pick over several lanes, which it names.
pub(super) fn found(
    part: Part,
    rows: &[Row],
    needs: &Needs,
    view: &mut View,
    held: &mut Held,
) -> Read<Option<usize>> {
    match part {
        Part::Servers => each(rows, presence::server, |row| {
            view.servers.loaded(row.number, row)
        })?,
        Part::LanesHeld => {}
        Part::Lanes => each(rows, key::lane, |(lane, key)| view.found_lane(lane, key))?,
        Part::LastLane => each(
            rows,
            |fields| fields.take().map(Lane),
            |last| view.found_last_lane(last),
        )?,
        Part::Queues => each(rows, queue::queue, |row| {
            view.queues.loaded(row.name.clone(), row)
        })?,
        Part::Operations => each(rows, operation::operation, |row| {
            view.operations.loaded(row.id, row)
        })?,
        Part::OpenOperations => each(
            rows,
            |fields| fields.take::<i64>(),
            |open| view.found_open_operations(usize::try_from(open).unwrap_or(0)),
        )?,
        Part::Paused => view.found_paused(all(rows, |fields| fields.name())?),
        Part::Workers => each(rows, presence::worker, |row| {
            view.workers.loaded(row.name.clone(), row)
        })?,
        Part::Scheduled => each(rows, spotted(place::scheduled), |(row, spot)| {
            held.scheduled.insert(row.slot, spot);
            view.scheduled.loaded(row.slot, row);
        })?,
        Part::Ready => each(rows, spotted(place::ready), |(row, spot)| {
            held.ready.insert(row.slot, spot);
            view.ready.loaded(row.slot, row);
        })?,
        Part::Leases { held: true } => each(rows, spotted(place::lease), |(row, spot)| {
            held.leases.insert(row.slot, spot);
            view.leases.loaded(row.slot, row);
        })?,
        Part::Leases { held: false } => {
            each(rows, place::lease, |row| view.leases.loaded(row.slot, row))?
        }
        Part::Uniques => each(rows, key::unique, |row| {
            view.uniques.loaded(row.key.clone(), row)
        })?,
        Part::Idempotency => each(rows, key::idempotency, |row| {
            view.idempotency.loaded(row.key.clone(), row)
        })?,
        Part::Minutes => each(rows, minute::minute, |row| {
            view.minutes.loaded(row.key, row)
        })?,
        Part::Relics => each(rows, relic::relic, |row| {
            view.relics.loaded(row.ended.task, row)
        })?,
        Part::Tasks => each(rows, task::task, |row| {
            view.tasks.loaded(row.id, Arc::new(row))
        })?,
        Part::Carries => each(rows, place::carry, |row| {
            view.carries.loaded(row.slot, row.without_error())
        })?,
        Part::Outcomes => each(rows, closed, |(task, row)| view.outcomes.loaded(task, row))?,
        Part::LastWorker => each(
            rows,
            |fields| Ok((WorkerNumber(fields.take()?), fields.take()?)),
            |(last, given_before)| view.found_last_worker(last, given_before),
        )?,
        Part::LiveWorkers => each(
            rows,
            |fields| fields.take::<i64>(),
            |live| view.found_live_workers(usize::try_from(live).unwrap_or(0)),
        )?,
        Part::LeasesOf => each(rows, place::lease, |row| view.lease_of(row))?,
        Part::Pick(index) => {
            let picked = all(rows, |fields| picked(fields, held))?;
            view.picked(needs.picks[index].clone(), picked);
        }
        Part::Seen(index) => return Ok(Some(index)),
        Part::Due => {
            let due = all(rows, spotted(place::scheduled))?;
            let spots = due.iter().map(|(row, spot)| (row.slot, *spot));
            held.scheduled.extend(spots);
            view.found_due(due.into_iter().map(|(row, _)| row).collect());
        }
        Part::OldKeys => view.found_old_keys(all(rows, key::idempotency)?),
    }
    Ok(None)
}

/// As much of an outcome as decisions go by, behind its task.
fn closed(fields: &mut Fields<'_>) -> Read<(TaskId, Closed)> {
    Ok((fields.task()?, task::closed(fields)?))
}

fn each<T>(
    rows: &[Row],
    read: impl FnMut(&mut Fields<'_>) -> Read<T>,
    tell: impl FnMut(T),
) -> Read<()> {
    all(rows, read)?.into_iter().for_each(tell);
    Ok(())
}

pub(super) fn all<T>(
    rows: &[Row],
    mut read: impl FnMut(&mut Fields<'_>) -> Read<T>,
) -> Read<Vec<T>> {
    rows.iter().map(|row| read(&mut Fields::of(row))).collect()
}

/// A row, and behind it where it stands.
pub(super) fn spotted<R>(
    read: impl Fn(&mut Fields<'_>) -> Read<R>,
) -> impl Fn(&mut Fields<'_>) -> Read<(R, Tid)> {
    move |fields| Ok((read(fields)?, spot(fields)?))
}

pub(super) fn picked(fields: &mut Fields<'_>, held: &mut Held) -> Read<(Ready, Brief)> {
    let row = place::ready(fields)?;
    held.ready.insert(row.slot, spot(fields)?);
    Ok((row, place::brief(fields)?))
}
