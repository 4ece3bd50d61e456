//! What a batch changed, one statement a table and kind of change, in table and key order.

use hashbrown::HashMap;
use taskyard_core::diff::Diff;
use taskyard_core::id::SlotKey;
use taskyard_core::rows::{Carry, Idempotency, Lease, Ready, Scheduled, Server, Worker};
use taskyard_core::store::Error;
use taskyard_core::view::Change;

use super::fields::Read;
use super::params::{Columns, Params};
use super::rows::{history, key, place, presence, task};
use super::tid::Tid;
use super::trip::Trip;
use super::tx::Held;

/// The changes of one table, by what they are.
struct Sorted<'d, R> {
    inserts: Vec<&'d R>,
    updates: Vec<&'d R>,
    deletes: Vec<&'d R>,
}

impl<'d, R> Sorted<'d, R> {
    fn of(changes: &'d [Change<R>]) -> Self {
        let mut sorted = Self::none();
        for change in changes {
            match change {
                Change::Insert(row) => sorted.inserts.push(row),
                Change::Update { after, .. } => sorted.updates.push(after),
                Change::Delete(row) => sorted.deletes.push(row),
            }
        }
        sorted
    }

    /// For tables whose rows are never taken out.
    fn kept(changes: &'d [Change<R>]) -> Self {
        let sorted = Self::of(changes);
        assert!(sorted.deletes.is_empty(), "rows of this table are kept");
        sorted
    }

    /// For tables whose rows move to another key: a change takes the one away and puts the other in.
    fn moved<K: Ord>(changes: &'d [Change<R>], key: impl Fn(&R) -> K) -> Self {
        let mut sorted = Self::none();
        for change in changes {
            match change {
                Change::Insert(row) => sorted.inserts.push(row),
                Change::Update { before, after } => {
                    sorted.deletes.push(before);
                    sorted.inserts.push(after);
                }
                Change::Delete(row) => sorted.deletes.push(row),
            }
        }
        sorted.inserts.sort_unstable_by_key(|row| key(row));
        sorted
    }

    fn none() -> Self {
        Self {
            inserts: Vec::new(),
            updates: Vec::new(),
            deletes: Vec::new(),
        }
    }
}

pub(super) struct Changes<'d> {
    servers: Sorted<'d, Server>,
    workers: Sorted<'d, Worker>,
    scheduled: Sorted<'d, Scheduled>,
    ready: Sorted<'d, Ready>,
    leases: Sorted<'d, Lease>,
    carries: Sorted<'d, Carry>,
    idempotency: Sorted<'d, Idempotency>,
}

impl<'d> Changes<'d> {
    pub(super) fn of(diff: &'d Diff) -> Self {
        Self {
            servers: Sorted::kept(&diff.servers),
            workers: Sorted::kept(&diff.workers),
            scheduled: Sorted::moved(&diff.scheduled, |row| (row.run_at, row.slot)),
            ready: Sorted::moved(&diff.ready, |row| (row.lane, row.order_key, row.slot)),
            leases: Sorted::of(&diff.leases),
            carries: Sorted::kept(&diff.carries),
            idempotency: Sorted::of(&diff.idempotency),
        }
    }

    pub(super) fn ask<'a>(&'a self, trip: &mut Trip<'a>, diff: &'a Diff, spots: &'a Spots) {
        self.ask_presence(trip);
        let insert = &trip.session.statements.lane_insert;
        trip.ask_for(&diff.lanes, insert, key::lanes);
        let insert = &trip.session.statements.task_insert;
        trip.ask_for(&diff.tasks, insert, task::tasks);
        self.ask_places(trip, spots);
        self.ask_carries(trip);
        let insert = &trip.session.statements.outcome_insert;
        trip.ask_for(&diff.outcomes, insert, task::outcomes);
        self.ask_keys(trip);
        ask_history(trip, diff);
        let (server, add) = (
            trip.session.server.get(),
            &trip.session.statements.counter_add,
        );
        trip.ask_for(&diff.counters, add, |rows| key::counters(server, rows));
    }

    fn ask_presence<'a>(&'a self, trip: &mut Trip<'a>) {
        let all = &trip.session.statements;
        let servers = &self.servers;
        trip.ask_for(&servers.updates, &all.server_update, presence::servers);
        trip.ask_for(&servers.inserts, &all.server_insert, presence::servers);
        let workers = &self.workers;
        trip.ask_for(&workers.updates, &all.worker_update, presence::workers);
        trip.ask_for(&workers.inserts, &all.worker_insert, presence::workers);
    }

    fn ask_places<'a>(&'a self, trip: &mut Trip<'a>, spots: &'a Spots) {
        let all = &trip.session.statements;
        let inserts = &self.scheduled.inserts;
        trip.ask_for(&spots.scheduled, &all.scheduled_delete, at);
        trip.ask_for(inserts, &all.scheduled_insert, place::scheduleds);
        let inserts = &self.ready.inserts;
        trip.ask_for(&spots.ready, &all.ready_delete, at);
        trip.ask_for(inserts, &all.ready_insert, place::readies);
        trip.ask_for(&spots.leases, &all.lease_delete, at);
        trip.ask_for(&self.leases.updates, &all.lease_update, place::leases);
        trip.ask_for(&self.leases.inserts, &all.lease_insert, place::leases);
    }

    fn ask_carries<'a>(&'a self, trip: &mut Trip<'a>) {
        let all = &trip.session.statements;
        let carries = &self.carries;
        trip.ask_for(&carries.updates, &all.carry_update, place::carries);
        trip.ask_for(&carries.inserts, &all.carry_insert, place::carries);
    }

    fn ask_keys<'a>(&'a self, trip: &mut Trip<'a>) {
        let all = &trip.session.statements;
        let Sorted {
            inserts,
            updates,
            deletes,
        } = &self.idempotency;
        trip.ask_for(deletes, &all.idempotency_delete, |rows| {
            let scopes = Columns::of(rows).column(|row| &*row.key.scope);
            scopes.column(|row| &*row.key.key).params()
        });
        trip.ask_for(updates, &all.idempotency_update, key::idempotencies);
        trip.ask_for(inserts, &all.idempotency_insert, key::idempotencies);
    }
}

fn ask_history<'a>(trip: &mut Trip<'a>, diff: &'a Diff) {
    let all = &trip.session.statements;
    trip.ask_for(&diff.attempts, &all.attempt_insert, history::attempts);
    let (late, put) = (&diff.late_results, &all.late_result_put);
    trip.ask_for(late, put, history::late_results);
    let gone = &diff.forgotten;
    trip.ask_for(gone, &all.attempt_delete, history::run_keys);
    trip.ask_for(gone, &all.late_result_delete, history::run_keys);
}

fn at(spots: &[Tid]) -> Params<'_> {
    Columns::of(spots).column(|spot| *spot).params()
}

/// Where the rows stand that go.
pub(super) struct Spots {
    scheduled: Vec<Tid>,
    ready: Vec<Tid>,
    leases: Vec<Tid>,
}

impl Spots {
    pub(super) fn of(changes: &Changes<'_>, held: &Held) -> Read<Self> {
        Ok(Self {
            scheduled: spots(&held.scheduled, &changes.scheduled.deletes, |row| row.slot)?,
            ready: spots(&held.ready, &changes.ready.deletes, |row| row.slot)?,
            leases: spots(&held.leases, &changes.leases.deletes, |row| row.slot)?,
        })
    }
}

fn spots<R>(
    held: &HashMap<SlotKey, Tid>,
    rows: &[&R],
    slot: impl Fn(&R) -> SlotKey,
) -> Read<Vec<Tid>> {
    let spot = |row: &&R| {
        let slot = slot(row);
        held.get(&slot).copied().ok_or_else(|| {
            let reason = format!("a row of {slot:?} would be taken away that was not held");
            Error::Failed(reason)
        })
    };
    rows.iter().map(spot).collect()
}
