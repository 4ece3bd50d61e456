//! What a batch changed, one statement a table and kind of change, in table and key order.

use futures_util::FutureExt;
use hashbrown::HashMap;
use taskyard_core::diff::Diff;
use taskyard_core::id::SlotKey;
use taskyard_core::rows::{Carry, Idempotency, Lease, Ready, Scheduled, Server, Worker};
use taskyard_core::store::Error;
use taskyard_core::view::Change;
use tokio_postgres::Statement;

use super::fields::Read;
use super::pipeline::{Columns, Params, ask};
use super::rows::{history, key, place, presence, task};
use super::session::{Answered, Session};
use super::tid::Tid;
use super::tx::Held;

/// The changes of one table, by what they are.
struct Sorted<'d, R> {
    inserts: Vec<&'d R>,
    updates: Vec<&'d R>,
    deletes: Vec<&'d R>,
}

impl<'d, R> Sorted<'d, R> {
    fn of(changes: &'d [Change<R>]) -> Self {
        let mut sorted = Self {
            inserts: Vec::new(),
            updates: Vec::new(),
            deletes: Vec::new(),
        };
        for change in changes {
            match change {
                Change::Insert(row) => sorted.inserts.push(row),
                Change::Update { after, .. } => sorted.updates.push(after),
                Change::Delete(row) => sorted.deletes.push(row),
            }
        }
        sorted
    }

    /// For tables whose rows move to another key: a change takes the one away and puts the other in.
    fn moved(changes: &'d [Change<R>]) -> Self {
        let mut sorted = Self::of(changes);
        for change in changes {
            if let Change::Update { before, .. } = change {
                sorted.deletes.push(before);
            }
        }
        sorted.inserts.append(&mut sorted.updates);
        sorted
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
            servers: Sorted::of(&diff.servers),
            workers: Sorted::of(&diff.workers),
            scheduled: Sorted::moved(&diff.scheduled),
            ready: Sorted::moved(&diff.ready),
            leases: Sorted::of(&diff.leases),
            carries: Sorted::of(&diff.carries),
            idempotency: Sorted::of(&diff.idempotency),
        }
    }
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
            Error::Failed(format!(
                "a row of {slot:?} would be taken away that was not held"
            ))
        })
    };
    rows.iter().map(spot).collect()
}

/// Everything but the inputs to read and the commit itself.
pub(super) fn asked<'a>(
    session: &'a Session,
    diff: &'a Diff,
    changes: &'a Changes<'a>,
    spots: &'a Spots,
) -> Vec<Answered<'a>> {
    let statements = &session.statements;
    let mut asked = Vec::new();
    let mut push = |rows: usize, statement: &'a Statement, params: &dyn Fn() -> Params<'a>| {
        if rows > 0 {
            asked.push(ask(&session.client, statement, params()).boxed_local());
        }
    };

    let Sorted {
        inserts,
        updates,
        deletes,
    } = &changes.servers;
    let numbers = || Columns::of(deletes).column(|row| row.number.0).params();
    push(deletes.len(), &statements.server_delete, &numbers);
    push(updates.len(), &statements.server_update, &|| {
        presence::servers(updates)
    });
    push(inserts.len(), &statements.server_insert, &|| {
        presence::servers(inserts)
    });

    let Sorted {
        inserts,
        updates,
        deletes,
    } = &changes.workers;
    let names = || {
        Columns::of(deletes)
            .column(|row| row.name.as_str())
            .params()
    };
    push(deletes.len(), &statements.worker_delete, &names);
    push(updates.len(), &statements.worker_update, &|| {
        presence::workers(updates)
    });
    push(inserts.len(), &statements.worker_insert, &|| {
        presence::workers(inserts)
    });

    push(diff.tasks.len(), &statements.task_insert, &|| {
        task::tasks(&diff.tasks)
    });

    let inserts = &changes.scheduled.inserts;
    push(spots.scheduled.len(), &statements.scheduled_delete, &|| {
        at(&spots.scheduled)
    });
    push(inserts.len(), &statements.scheduled_insert, &|| {
        place::scheduleds(inserts)
    });

    let inserts = &changes.ready.inserts;
    push(spots.ready.len(), &statements.ready_delete, &|| {
        at(&spots.ready)
    });
    push(inserts.len(), &statements.ready_insert, &|| {
        place::readies(inserts)
    });

    let Sorted {
        inserts, updates, ..
    } = &changes.leases;
    push(spots.leases.len(), &statements.lease_delete, &|| {
        at(&spots.leases)
    });
    push(updates.len(), &statements.lease_update, &|| {
        place::leases(updates)
    });
    push(inserts.len(), &statements.lease_insert, &|| {
        place::leases(inserts)
    });

    let Sorted {
        inserts,
        updates,
        deletes,
    } = &changes.carries;
    let slots = || {
        let ids = Columns::of(deletes).column(|row| row.slot.task.as_uuid());
        ids.column(|row| row.slot.slot.0).params()
    };
    push(deletes.len(), &statements.carry_delete, &slots);
    push(updates.len(), &statements.carry_update, &|| {
        place::carries(updates)
    });
    push(inserts.len(), &statements.carry_insert, &|| {
        place::carries(inserts)
    });

    push(diff.outcomes.len(), &statements.outcome_insert, &|| {
        task::outcomes(&diff.outcomes)
    });

    let Sorted {
        inserts,
        updates,
        deletes,
    } = &changes.idempotency;
    let keys = || {
        let scopes = Columns::of(deletes).column(|row| &*row.key.scope);
        scopes.column(|row| &*row.key.key).params()
    };
    push(deletes.len(), &statements.idempotency_delete, &keys);
    push(updates.len(), &statements.idempotency_update, &|| {
        key::idempotencies(updates)
    });
    push(inserts.len(), &statements.idempotency_insert, &|| {
        key::idempotencies(inserts)
    });

    let (attempts, late, gone) = (&diff.attempts, &diff.late_results, &diff.forgotten);
    push(attempts.len(), &statements.attempt_insert, &|| {
        history::attempts(attempts)
    });
    push(late.len(), &statements.late_result_put, &|| {
        history::late_results(late)
    });
    push(gone.len(), &statements.attempt_delete, &|| {
        history::run_keys(gone)
    });
    push(gone.len(), &statements.late_result_delete, &|| {
        history::run_keys(gone)
    });

    let counters = &diff.counters;
    push(counters.len(), &statements.counter_add, &|| {
        key::counters(session.server, counters)
    });
    asked
}

fn at(spots: &[Tid]) -> Params<'_> {
    Columns::of(spots).column(|spot| *spot).params()
}
