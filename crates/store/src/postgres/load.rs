//! What a batch needs, one statement a table: locks first and in the order of their keys, then what is only read.

use std::sync::Arc;

use futures_util::FutureExt;
use taskyard_core::id::WorkerNumber;
use taskyard_core::needs::{Hold, Needs, Pick};
use taskyard_core::rows::Ready;
use taskyard_core::store::Error;
use taskyard_core::view::{Brief, View};
use tokio_postgres::{Row, Statement};

use super::error::explain;
use super::fields::{Fields, Read};
use super::pipeline::{Columns, Params, ask};
use super::rows::{key, place, presence, task};
use super::session::{Answered, Session};
use super::tx::Held;

/// Inputs up to this many bytes come along with a pick; larger ones are read once it is known that they go out.
const INPUT_WITH_PICK_MAX: i64 = 4096;

/// Whose answer it is.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Servers,
    Workers,
    Scheduled,
    Ready,
    Leases { held: bool },
    Idempotency,
    Tasks,
    Carries,
    Outcomes,
    LastWorker,
    LeasesOf,
    Pick(usize),
    Due,
    OldKeys,
}

/// All of it but the picks over several lanes, whose second step depends on their first.
pub(super) fn asked<'a>(session: &'a Session, needs: &'a Needs) -> (Vec<Part>, Vec<Answered<'a>>) {
    let statements = &session.statements;
    let mut parts = Vec::new();
    let mut asked = Vec::new();
    let mut push = |wanted: bool, part, statement: &'a Statement, params: Params<'a>| {
        if wanted {
            parts.push(part);
            asked.push(ask(&session.client, statement, params).boxed_local());
        }
    };
    let none = Params::default;

    push(
        needs.servers,
        Part::Servers,
        &statements.server_lock,
        none(),
    );
    for (hold, statement) in [
        (Hold::Lock, &statements.worker_lock),
        (Hold::Read, &statements.worker_load),
    ] {
        let names = needs.workers.iter().filter(|(_, wanted)| *wanted == hold);
        let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
        push(
            !names.is_empty(),
            Part::Workers,
            statement,
            none().and(names),
        );
    }
    let scheduled = place::scheduled_keys(&needs.scheduled);
    push(
        !needs.scheduled.is_empty(),
        Part::Scheduled,
        &statements.scheduled_lock,
        scheduled,
    );
    let ready = place::ready_keys(&needs.ready);
    push(
        !needs.ready.is_empty(),
        Part::Ready,
        &statements.ready_lock,
        ready,
    );
    for (hold, statement) in [
        (Hold::Lock, &statements.lease_lock),
        (Hold::Read, &statements.lease_load),
    ] {
        let slots = needs.leases.iter().filter(|(_, wanted)| *wanted == hold);
        let (ids, slots): (Vec<_>, Vec<_>) = slots
            .map(|(slot, _)| (slot.task.as_uuid(), slot.slot.0))
            .unzip();
        let part = Part::Leases {
            held: hold == Hold::Lock,
        };
        push(!ids.is_empty(), part, statement, none().and(ids).and(slots));
    }
    let keys = key::idempotency_keys(&needs.idempotency);
    push(
        !needs.idempotency.is_empty(),
        Part::Idempotency,
        &statements.idempotency_lock,
        keys,
    );

    let tasks = task::task_keys(&needs.tasks);
    push(
        !needs.tasks.is_empty(),
        Part::Tasks,
        &statements.task_load,
        tasks,
    );
    let carries = place::slot_keys(&needs.carries);
    push(
        !needs.carries.is_empty(),
        Part::Carries,
        &statements.carry_load,
        carries,
    );
    let outcomes = task::task_keys(&needs.outcomes);
    push(
        !needs.outcomes.is_empty(),
        Part::Outcomes,
        &statements.outcome_load,
        outcomes,
    );
    push(
        needs.last_worker,
        Part::LastWorker,
        &statements.worker_last,
        none(),
    );
    let workers = Columns::of(&needs.leases_of)
        .column(|worker| worker.0)
        .params();
    push(
        !needs.leases_of.is_empty(),
        Part::LeasesOf,
        &statements.lease_of_worker,
        workers,
    );

    for (index, pick) in needs.picks.iter().enumerate() {
        if let [(lane, first)] = pick.lanes[..] {
            let params = none().and(lane.0).and(first.0);
            let params = params.and(limit(pick.rows)).and(INPUT_WITH_PICK_MAX);
            push(true, Part::Pick(index), &statements.ready_pick, params);
        }
    }
    if let Some(due) = needs.due {
        let params = none().and(due.until.as_micros()).and(limit(due.rows));
        push(true, Part::Due, &statements.scheduled_due, params);
    }
    if let Some((before, rows)) = needs.old_keys {
        let params = none().and(before.as_micros()).and(limit(rows));
        push(true, Part::OldKeys, &statements.idempotency_old, params);
    }
    (parts, asked)
}

/// Puts one answer into the view.
pub(super) fn found(
    part: Part,
    rows: &[Row],
    needs: &Needs,
    view: &mut View,
    held: &mut Held,
) -> Read<()> {
    let each = || rows.iter().map(Fields::of);
    match part {
        Part::Servers => {
            for mut fields in each() {
                let row = presence::server(&mut fields)?;
                view.servers.loaded(row.number, row);
            }
        }
        Part::Workers => {
            for mut fields in each() {
                let row = presence::worker(&mut fields)?;
                view.workers.loaded(row.name.clone(), row);
            }
        }
        Part::Scheduled => {
            for mut fields in each() {
                let row = place::scheduled(&mut fields)?;
                held.scheduled.insert(row.slot, fields.take()?);
                view.scheduled.loaded(row.slot, row);
            }
        }
        Part::Ready => {
            for mut fields in each() {
                let row = place::ready(&mut fields)?;
                held.ready.insert(row.slot, fields.take()?);
                view.ready.loaded(row.slot, row);
            }
        }
        Part::Leases { held: is_held } => {
            for mut fields in each() {
                let row = place::lease(&mut fields)?;
                if is_held {
                    held.leases.insert(row.slot, fields.take()?);
                }
                view.leases.loaded(row.slot, row);
            }
        }
        Part::Idempotency => {
            for mut fields in each() {
                let row = key::idempotency(&mut fields)?;
                view.idempotency.loaded(row.key.clone(), row);
            }
        }
        Part::Tasks => {
            for mut fields in each() {
                let row = task::task(&mut fields)?;
                view.tasks.loaded(row.id, Arc::new(row));
            }
        }
        Part::Carries => {
            for mut fields in each() {
                let row = place::carry(&mut fields)?;
                view.carries.loaded(row.slot, row);
            }
        }
        Part::Outcomes => {
            for mut fields in each() {
                let row = task::outcome(&mut fields)?;
                view.outcomes.loaded(row.task, Arc::new(row));
            }
        }
        Part::LastWorker => {
            let last = each().next().map(|mut fields| fields.take()).transpose()?;
            view.found_last_worker(WorkerNumber(last.unwrap_or(0)));
        }
        Part::LeasesOf => {
            for mut fields in each() {
                view.lease_of(place::lease(&mut fields)?);
            }
        }
        Part::Pick(index) => {
            let rows = each().map(|mut fields| picked(&mut fields, held));
            view.picked(needs.picks[index].clone(), rows.collect::<Read<_>>()?);
        }
        Part::Due => {
            let mut due = Vec::with_capacity(rows.len());
            for mut fields in each() {
                let row = place::scheduled(&mut fields)?;
                held.scheduled.insert(row.slot, fields.take()?);
                due.push(row);
            }
            view.found_due(due);
        }
        Part::OldKeys => {
            let rows = each().map(|mut fields| key::idempotency(&mut fields));
            view.found_old_keys(rows.collect::<Read<_>>()?);
        }
    }
    Ok(())
}

/// The picks over several lanes, or over none.
pub(super) async fn picks(
    session: &Session,
    needs: &Needs,
    view: &mut View,
    held: &mut Held,
) -> Result<(), Error> {
    for pick in needs.picks.iter().filter(|pick| pick.lanes.len() != 1) {
        let rows = if pick.lanes.is_empty() {
            Vec::new()
        } else {
            merged(session, pick, held).await?
        };
        view.picked(pick.clone(), rows);
    }
    Ok(())
}

async fn merged(session: &Session, pick: &Pick, held: &mut Held) -> Read<Vec<(Ready, Brief)>> {
    let params = || {
        Columns::of(&pick.lanes)
            .column(|(lane, _)| lane.0)
            .column(|(_, first)| first.0)
            .params()
            .and(limit(pick.rows))
            .and(INPUT_WITH_PICK_MAX)
    };
    let statements = &session.statements;
    let rows = ask(&session.client, &statements.ready_pick_merged, params());
    let rows = rows.await.map_err(|error| explain(&error))?;
    let mut seen = 0;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut fields = Fields::of(row);
        seen = fields.take::<i64>()?;
        found.extend(fields.maybe(PICK_WIDTH, |fields| picked(fields, held))?);
    }
    if found.len() == usize::try_from(seen).unwrap_or(0) {
        return Ok(found);
    }
    let rows = ask(&session.client, &statements.ready_pick_each, params());
    let rows = rows.await.map_err(|error| explain(&error))?;
    rows.iter()
        .map(|row| picked(&mut Fields::of(row), held))
        .collect()
}

const PICK_WIDTH: usize = 9;

fn picked(fields: &mut Fields<'_>, held: &mut Held) -> Read<(Ready, Brief)> {
    let row = place::ready(fields)?;
    held.ready.insert(row.slot, fields.take()?);
    Ok((row, place::brief(fields)?))
}

pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
