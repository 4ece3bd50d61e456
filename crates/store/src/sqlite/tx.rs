//! One transaction of the writer: what a batch needs is loaded by point statements, one a row.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Params, params};
use taskyard_core::diff::Diff;
use taskyard_core::id::{SlotKey, WorkerNumber};
use taskyard_core::lane::Lane;
use taskyard_core::name::Name;
use taskyard_core::needs::Needs;
use taskyard_core::store::Error;
use taskyard_core::view::View;

use super::connection::{all, one};
use super::error::{explain, is_failed_sync};
use super::fields::{Fields, Read};
use super::kept::Kept;
use super::log::GiveUp;
use super::{commit, pick, reset, sql};
use crate::rows::{key, minute, operation, place, presence, queue, relic, task};
use crate::tx::{Inputs, Tx, Undone, Writer};

/// Undone when dropped, unless it was ended.
pub(crate) struct SqliteTx<'a> {
    connection: &'a Connection,
    give_up: &'a GiveUp,
    kept: &'a Kept,
}

/// The connection that writes.
pub(super) struct Writing {
    pub(super) connection: Connection,
    pub(super) give_up: GiveUp,
    pub(super) kept: Kept,
}

impl<'a> SqliteTx<'a> {
    fn begin(writing: &'a Writing) -> Read<Self> {
        let Writing {
            connection,
            give_up,
            kept,
        } = writing;
        connection.prepare_cached("begin immediate")?.execute([])?;
        Ok(Self {
            connection,
            give_up,
            kept,
        })
    }

    fn end(self) -> Read<()> {
        let ended = self.connection.prepare_cached("commit")?.execute([]);
        if let Err(error) = &ended
            && is_failed_sync(error)
        {
            // The header of a log that starts over is synced by the commit itself.
            let file = self.connection.path().map(Path::new);
            let step = "syncing the head of a log that starts over";
            self.give_up.after(step, file, error);
        }
        ended.map(|_| ())
    }
}

impl Writing {
    /// Takes everything away, as one transaction.
    pub(super) fn reset(&self, incarnation: &[u8; 16]) -> Read<()> {
        let tx = SqliteTx::begin(self)?;
        reset::empty(tx.connection, incarnation)?;
        tx.end()?;
        self.kept.forget();
        Ok(())
    }
}

impl Drop for SqliteTx<'_> {
    fn drop(&mut self) {
        // Some failures, a full disk for one, have undone it already.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("rollback")
        {
            tracing::error!(%error, "a transaction could not be undone");
        }
    }
}

impl Writer for Writing {
    type Tx<'a> = SqliteTx<'a>;

    async fn begin(&mut self) -> Result<SqliteTx<'_>, Error> {
        SqliteTx::begin(self).map_err(explain)
    }

    async fn open_among(&mut self, lanes: &[Lane]) -> Result<Vec<Lane>, Error> {
        open_among(&self.connection, lanes).map_err(explain)
    }
}

fn open_among(connection: &Connection, lanes: &[Lane]) -> Read<Vec<Lane>> {
    let mut statement = connection.prepare_cached(sql::LANE_TASKS)?;
    let mut open = Vec::new();
    for lane in lanes {
        let tasks: i64 = statement.query_row(params![commit::SERVER, lane.0], |row| row.get(0))?;
        open.extend((tasks > 0).then_some(*lane));
    }
    Ok(open)
}

impl Tx for SqliteTx<'_> {
    async fn load(&mut self, needs: &Needs, view: &mut View) -> Result<(), Error> {
        self.load_kept(needs, view)
            .and_then(|()| load_named(self.connection, needs, view))
            .and_then(|()| load_found(self.connection, needs, view))
            .map_err(explain)
    }

    async fn commit(self, diff: Diff) -> Result<Inputs, Undone> {
        let inputs = commit::inputs(self.connection, &diff.inputs).map_err(explain)?;
        commit::write(self.connection, &diff)?;
        let kept = self.kept;
        self.end().map_err(explain)?;
        kept.workers.committed(&diff.workers);
        kept.leases.committed(&diff.leases);
        Ok(inputs)
    }
}

impl SqliteTx<'_> {
    /// The rows of which those that were met before are at hand.
    fn load_kept(&self, needs: &Needs, view: &mut View) -> Read<()> {
        let Kept { workers, leases } = self.kept;
        let each = Each(self.connection);
        let names = needs.workers.iter().map(|(name, _)| name);
        let missing = workers.at_hand(names, |name, row| view.workers.loaded(name.clone(), row));
        each.row(
            (sql::WORKER_BY_NAME, &missing),
            |name| [name.as_str()],
            presence::worker,
            |name, row| {
                workers.keep(&row);
                view.workers.loaded(Name::clone(name), row);
            },
        )?;
        let slots = needs.leases.iter().map(|(slot, _)| slot);
        let missing = leases.at_hand(slots, |slot, row| view.leases.loaded(*slot, row));
        each.row(
            (sql::LEASE_LOAD, &missing),
            |slot| slot_key(slot),
            place::lease,
            |slot, row| {
                leases.keep(&row);
                view.leases.loaded(**slot, row);
            },
        )
    }
}

/// The rows that are named by their keys, but for those that are kept.
fn load_named(connection: &Connection, needs: &Needs, view: &mut View) -> Read<()> {
    let each = Each(connection);
    each.row(
        (sql::OPERATION_BY_ID, &needs.operations),
        |id| [id.as_bytes()],
        operation::operation,
        |id, row| view.operations.loaded(*id, row),
    )?;
    each.row(
        (sql::SCHEDULED_LOAD, &needs.scheduled),
        |at| {
            (
                at.run_at.as_micros(),
                at.slot.task.as_bytes(),
                at.slot.slot.0,
            )
        },
        place::scheduled,
        |at, row| view.scheduled.loaded(at.slot, row),
    )?;
    each.row(
        (sql::READY_LOAD, &needs.ready),
        |at| {
            (
                at.lane.0,
                at.order_key.0,
                at.slot.task.as_bytes(),
                at.slot.slot.0,
            )
        },
        place::ready,
        |at, row| view.ready.loaded(at.slot, row),
    )?;
    each.row(
        (sql::UNIQUE_LOAD, &needs.uniques),
        |at| (at.queue.as_str(), &at.key),
        key::unique,
        |at, row| view.uniques.loaded(at.clone(), row),
    )?;
    each.row(
        (sql::IDEMPOTENCY_LOAD, &needs.idempotency),
        |at| (&at.scope, &at.key),
        key::idempotency,
        |at, row| view.idempotency.loaded(at.clone(), row),
    )?;
    each.row(
        (sql::MINUTE_LOAD, &needs.minutes),
        |at| (at.minute, commit::SERVER, at.lane.0),
        minute::minute,
        |at, row| view.minutes.loaded(*at, row),
    )?;
    each.row(
        (sql::RELIC_LOAD, &needs.relics),
        |id| [id.as_bytes()],
        relic::relic,
        |id, row| view.relics.loaded(*id, row),
    )?;
    each.row(
        (sql::TASK_LOAD, &needs.tasks),
        |id| [id.as_bytes()],
        task::task,
        |id, row| view.tasks.loaded(*id, Arc::new(row)),
    )?;
    each.row(
        (sql::CARRY_LOAD, &needs.carries),
        slot_key,
        place::carry,
        |slot, row| view.carries.loaded(*slot, row.without_error()),
    )?;
    each.row(
        (sql::OUTCOME_LOAD, &needs.outcomes),
        |id| [id.as_bytes()],
        task::closed,
        |id, row| view.outcomes.loaded(*id, row),
    )
}

/// Looks for one row a key, with a statement that is found once for all of them.
struct Each<'a>(&'a Connection);

impl Each<'_> {
    fn row<'k, K, P: Params, R>(
        &self,
        (statement, keys): (&str, &'k [K]),
        params: impl Fn(&'k K) -> P,
        read: impl Fn(&mut Fields<'_>) -> Read<R>,
        mut found: impl FnMut(&K, R),
    ) -> Read<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut statement = self.0.prepare_cached(statement)?;
        for key in keys {
            let row = statement.query_row(params(key), |row| read(&mut Fields::of(row)));
            if let Some(row) = row.optional()? {
                found(key, row);
            }
        }
        Ok(())
    }
}

fn slot_key(slot: &SlotKey) -> (&[u8; 16], i16) {
    (slot.task.as_bytes(), slot.slot.0)
}

/// The rows that are found by something else than their keys.
fn load_found(connection: &Connection, needs: &Needs, view: &mut View) -> Read<()> {
    if needs.servers {
        for row in all(connection, sql::SERVER_LOAD, [], presence::server)? {
            view.servers.loaded(row.number, row);
        }
    }
    if needs.queues {
        for row in all(connection, sql::QUEUE_LIST, [], queue::queue)? {
            view.queues.loaded(row.name.clone(), row);
        }
    }
    if needs.paused {
        view.found_paused(all(connection, sql::QUEUE_PAUSED, [], |fields| {
            fields.name()
        })?);
    }
    if !needs.lanes.is_empty() {
        Each(connection).row(
            (sql::LANE_LOAD, &needs.lanes),
            |key| (key.queue.as_str(), key.kind.as_str(), key.demands.to_text()),
            key::lane,
            |_, (lane, key)| view.found_lane(lane, key),
        )?;
        let last = one(connection, sql::LANE_LAST, [], |fields| fields.take())?;
        view.found_last_lane(Lane(last.unwrap_or(0)));
    }
    if needs.last_worker {
        let last = one(connection, sql::WORKER_LAST, [], |fields| {
            Ok((fields.take()?, fields.take()?))
        })?;
        let (last, given_before) = last.unwrap_or((0, 0));
        view.found_last_worker(WorkerNumber(last), given_before);
    }
    if let Some(max) = needs.live_workers {
        let live = one(connection, sql::WORKER_LIVE, [limit(max)], |fields| {
            fields.take::<i64>()
        })?;
        view.found_live_workers(usize::try_from(live.unwrap_or(0)).unwrap_or(0));
    }
    if let Some(max) = needs.open_operations {
        let params = [limit(max)];
        let open = one(connection, sql::OPERATION_OPEN_COUNT, params, |fields| {
            fields.take::<i64>()
        })?;
        view.found_open_operations(usize::try_from(open.unwrap_or(0)).unwrap_or(0));
    }
    for worker in &needs.leases_of {
        for row in all(connection, sql::LEASE_OF_WORKER, [worker.0], place::lease)? {
            view.lease_of(row);
        }
    }
    for wanted in &needs.picks {
        let found = pick::pick(connection, wanted)?;
        view.picked(wanted.clone(), found.rows);
        for (lane, next) in found.goes_on {
            view.lane_goes_on(lane, next);
        }
    }
    if let Some(due) = needs.due {
        let params = (due.until.as_micros(), limit(due.rows), limit(due.skip));
        view.found_due(all(
            connection,
            sql::SCHEDULED_DUE,
            params,
            place::scheduled,
        )?);
    }
    if let Some(due) = needs.old_keys {
        let params = (due.until.as_micros(), limit(due.rows), limit(due.skip));
        view.found_old_keys(all(
            connection,
            sql::IDEMPOTENCY_OLD,
            params,
            key::idempotency,
        )?);
    }
    Ok(())
}

pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
