//! What a batch changed, one write a table and kind of change, in key order.

use hashbrown::HashMap;
use taskyard_core::diff::Diff;
use taskyard_core::id::{ServerNumber, SlotKey};
use taskyard_core::minute::Minute;
use taskyard_core::operation::Operation;
use taskyard_core::queue::Queue;
use taskyard_core::rows::{Carry, Idempotency, Lease, Ready, Scheduled, Server, Unique, Worker};
use taskyard_core::store::Error;
use taskyard_core::view::Change;

use super::counters::SortedCounters;
use super::fields::Read;
use super::params::{Columns, Params};
use super::rows::{history, key, minute, operation, place, presence, queue, task};
use super::sql::Write;
use super::tid::Tid;
use super::tx::Held;
use super::writes::Writes;

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

    fn has_moves(&self) -> bool {
        !self.deletes.is_empty() && !self.inserts.is_empty()
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
    queues: Sorted<'d, Queue>,
    operations: Sorted<'d, Operation>,
    workers: Sorted<'d, Worker>,
    scheduled: Sorted<'d, Scheduled>,
    ready: Sorted<'d, Ready>,
    leases: Sorted<'d, Lease>,
    carries: Sorted<'d, Carry>,
    uniques: Sorted<'d, Unique>,
    idempotency: Sorted<'d, Idempotency>,
    minutes: Sorted<'d, Minute>,
}

impl<'d> Changes<'d> {
    pub(super) fn of(diff: &'d Diff) -> Self {
        Self {
            servers: Sorted::kept(&diff.servers),
            queues: Sorted::of(&diff.queues),
            operations: Sorted::of(&diff.operations),
            workers: Sorted::kept(&diff.workers),
            scheduled: Sorted::moved(&diff.scheduled, |row| (row.run_at, row.slot)),
            ready: Sorted::moved(&diff.ready, |row| (row.lane, row.order_key, row.slot)),
            leases: Sorted::of(&diff.leases),
            carries: Sorted::kept(&diff.carries),
            uniques: Sorted::of(&diff.uniques),
            idempotency: Sorted::of(&diff.idempotency),
            minutes: Sorted::kept(&diff.minutes),
        }
    }

    /// Rows of one table that come, change and go are not the same, so they may do so at once; those that move may keep
    /// their key, and take the place that the other one leaves.
    pub(super) fn writes<'a>(
        &'a self,
        diff: &'a Diff,
        spots: &'a Spots,
        server: ServerNumber,
    ) -> Writes<'a> {
        let mut writes = Writes::default();
        writes.add(&spots.scheduled, Write::ScheduledDelete, at);
        writes.add(&spots.ready, Write::ReadyDelete, at);
        if self.scheduled.has_moves() || self.ready.has_moves() {
            writes.then();
        }
        self.add_presence(&mut writes);
        writes.add(&diff.lanes, Write::LaneInsert, key::lanes);
        writes.add(&diff.tasks, Write::TaskInsert, task::tasks);
        self.add_places(&mut writes, spots);
        self.add_keys(&mut writes);
        writes.add(&diff.outcomes, Write::OutcomeInsert, task::outcomes);
        writes.add(&diff.attempts, Write::AttemptInsert, history::attempts);
        writes.add(
            &diff.late_results,
            Write::LateResultPut,
            history::late_results,
        );
        let SortedCounters { at, others } = &spots.counters;
        writes.add(at, Write::CounterAddAt, |rows| {
            key::counters_at(server, rows)
        });
        writes.add(others, Write::CounterAdd, |rows| {
            key::counters(server, rows)
        });
        let minutes = &self.minutes;
        writes.add(&minutes.updates, Write::MinuteUpdate, |rows| {
            minute::minutes(server, rows)
        });
        writes.add(&minutes.inserts, Write::MinuteInsert, |rows| {
            minute::minutes(server, rows)
        });
        let first_minute = diff.minutes_from.as_slice();
        writes.add(first_minute, Write::MinuteDelete, |first| {
            Columns::of(first).column(|first| *first).params()
        });
        // Also what was put in just now.
        writes.then();
        let gone = &diff.forgotten;
        writes.add(gone, Write::AttemptDelete, history::run_keys);
        writes.add(gone, Write::LateResultDelete, history::run_keys);
        for write in [
            Write::AttemptDiscard,
            Write::LateResultDiscard,
            Write::CarryDiscard,
            Write::OutcomeDiscard,
            Write::TaskDiscard,
        ] {
            writes.add(&diff.discarded, write, task::task_keys);
        }
        writes
    }

    fn add_presence<'a>(&'a self, writes: &mut Writes<'a>) {
        let servers = &self.servers;
        writes.add(&servers.updates, Write::ServerUpdate, presence::servers);
        writes.add(&servers.inserts, Write::ServerInsert, presence::servers);
        let queues = &self.queues;
        writes.add(&queues.deletes, Write::QueueDelete, |rows| {
            Columns::of(rows).column(|row| row.name.as_str()).params()
        });
        writes.add(&queues.updates, Write::QueueUpdate, queue::queues);
        writes.add(&queues.inserts, Write::QueueInsert, queue::queues);
        let operations = &self.operations;
        writes.add(&operations.deletes, Write::OperationDelete, |rows| {
            Columns::of(rows).column(|row| row.id.as_uuid()).params()
        });
        let (updates, inserts) = (&operations.updates, &operations.inserts);
        writes.add(updates, Write::OperationUpdate, operation::operations);
        writes.add(inserts, Write::OperationInsert, operation::operations);
        let workers = &self.workers;
        writes.add(&workers.updates, Write::WorkerUpdate, presence::workers);
        writes.add(&workers.inserts, Write::WorkerInsert, presence::workers);
    }

    fn add_places<'a>(&'a self, writes: &mut Writes<'a>, spots: &'a Spots) {
        let scheduled = &self.scheduled.inserts;
        writes.add(scheduled, Write::ScheduledInsert, place::scheduleds);
        writes.add(&self.ready.inserts, Write::ReadyInsert, place::readies);
        let leases = &self.leases;
        writes.add(&spots.leases, Write::LeaseDelete, at);
        writes.add(&leases.updates, Write::LeaseUpdate, place::leases);
        writes.add(&leases.inserts, Write::LeaseInsert, place::leases);
        let carries = &self.carries;
        writes.add(&carries.updates, Write::CarryUpdate, place::carries);
        writes.add(&carries.inserts, Write::CarryInsert, place::carries);
    }

    fn add_keys<'a>(&'a self, writes: &mut Writes<'a>) {
        let Sorted {
            inserts,
            updates,
            deletes,
        } = &self.uniques;
        writes.add(deletes, Write::UniqueDelete, |rows| {
            let queues = Columns::of(rows).column(|row| row.key.queue.as_str());
            queues.column(|row| &*row.key.key).params()
        });
        writes.add(updates, Write::UniqueUpdate, key::uniques);
        writes.add(inserts, Write::UniqueInsert, key::uniques);
        let Sorted {
            inserts,
            updates,
            deletes,
        } = &self.idempotency;
        writes.add(deletes, Write::IdempotencyDelete, |rows| {
            let scopes = Columns::of(rows).column(|row| &*row.key.scope);
            scopes.column(|row| &*row.key.key).params()
        });
        writes.add(updates, Write::IdempotencyUpdate, key::idempotencies);
        writes.add(inserts, Write::IdempotencyInsert, key::idempotencies);
    }
}

fn at(spots: &[Tid]) -> Params<'_> {
    Columns::of(spots).column(|spot| *spot).params()
}

/// Where the rows stand that go, and the counters that change.
pub(super) struct Spots {
    scheduled: Vec<Tid>,
    ready: Vec<Tid>,
    leases: Vec<Tid>,
    counters: SortedCounters,
}

impl Spots {
    pub(super) fn of(changes: &Changes<'_>, held: &Held, counters: SortedCounters) -> Read<Self> {
        Ok(Self {
            counters,
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
