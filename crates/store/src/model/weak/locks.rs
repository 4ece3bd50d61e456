//! Row locks as PostgreSQL has them: held until the transaction ends, waited for by name, passed over by picks.

use std::collections::BTreeMap;

use taskyard_core::diff::Diff;
use taskyard_core::id::{OperationId, ServerNumber, SlotKey, TaskId};
use taskyard_core::minute::MinuteKey;
use taskyard_core::name::Name;
use taskyard_core::needs::{ReadyKey, ScheduledKey};
use taskyard_core::rows::{IdempotencyKey, UniqueKey};
use taskyard_core::view::Change;

use crate::model::tables::{Tables, ready_key, scheduled_key};

/// A row that can be locked, by its key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Row {
    Server(ServerNumber),
    Queue(Name),
    Operation(OperationId),
    Worker(Name),
    Scheduled(ScheduledKey),
    Ready(ReadyKey),
    Lease(SlotKey),
    Unique(UniqueKey),
    Key(IdempotencyKey),
    Minute(MinuteKey),
    /// A task that has ended, by its outcome.
    Relic(TaskId),
}

/// A transaction's number, from 1.
pub(super) type Number = u64;

/// What became of the wish to lock a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    Held,
    /// Another holds it; to be asked again.
    Waits,
    /// Another holds it, and waits for a row that the asker holds, perhaps over others.
    Deadlock,
}

#[derive(Default)]
pub(super) struct Locks {
    held: BTreeMap<Row, Number>,
    /// Who waits for whom.
    waits: BTreeMap<Number, Number>,
    /// With which commit a row came; a row that was taken out and put in again is another row.
    born: BTreeMap<Row, u64>,
}

impl Locks {
    pub(super) fn wish(&mut self, row: &Row, by: Number) -> Wish {
        self.waits.remove(&by);
        let Some(holder) = self.held.get(row).copied().filter(|holder| *holder != by) else {
            self.held.insert(row.clone(), by);
            return Wish::Held;
        };
        self.waits.insert(by, holder);
        let mut end = holder;
        while let Some(next) = self.waits.get(&end) {
            end = *next;
            if end == by {
                self.waits.remove(&by);
                return Wish::Deadlock;
            }
        }
        Wish::Waits
    }

    pub(super) fn is_free(&self, row: &Row, by: Number) -> bool {
        self.held.get(row).is_none_or(|holder| *holder == by)
    }

    pub(super) fn holds(&self, row: &Row, by: Number) -> bool {
        self.held.get(row) == Some(&by)
    }

    /// Whether the transaction holds the slot's place, and with it its carry.
    fn holds_place(&self, slot: SlotKey, by: Number) -> bool {
        let of_slot = |row: &Row| match row {
            Row::Scheduled(key) => key.slot == slot,
            Row::Ready(key) => key.slot == slot,
            Row::Lease(other) => *other == slot,
            Row::Server(_)
            | Row::Queue(_)
            | Row::Operation(_)
            | Row::Worker(_)
            | Row::Unique(_)
            | Row::Key(_)
            | Row::Minute(_)
            | Row::Relic(_) => false,
        };
        self.held
            .iter()
            .any(|(row, holder)| *holder == by && of_slot(row))
    }

    pub(super) fn release(&mut self, by: Number) {
        self.held.retain(|_, holder| *holder != by);
        self.waits.remove(&by);
    }

    /// Whether a statement that began after commit number `since` sees this row.
    pub(super) fn is_seen(&self, row: &Row, since: u64) -> bool {
        self.born.get(row).is_none_or(|commit| *commit <= since)
    }

    pub(super) fn note_births(&mut self, diff: &Diff, commit: u64) {
        let born = births(&diff.scheduled, scheduled_key).map(Row::Scheduled);
        let born = born.chain(births(&diff.ready, ready_key).map(Row::Ready));
        let born = born.chain(births(&diff.leases, |row| row.slot).map(Row::Lease));
        let born = born.chain(births(&diff.uniques, |row| row.key.clone()).map(Row::Unique));
        let born = born.chain(births(&diff.idempotency, |row| row.key.clone()).map(Row::Key));
        let born = born.chain(births(&diff.minutes, |row| row.key).map(Row::Minute));
        self.born.extend(born.map(|row| (row, commit)));
    }
}

fn births<R, K: PartialEq>(
    changes: &[Change<R>],
    key: impl Fn(&R) -> K,
) -> impl Iterator<Item = K> {
    changes.iter().filter_map(move |change| match change {
        Change::Insert(row) => Some(key(row)),
        Change::Update { before, after } => Some(key(after)).filter(|new| *new != key(before)),
        Change::Delete(_) => None,
    })
}

/// Stops at a diff that changes a row which its transaction does not hold, or from what it no longer is: the rules
/// forgot to lock it.
pub(super) fn check_held(diff: &Diff, tables: &Tables, locks: &Locks, by: Number) {
    let row = |row: Row| locks.holds(&row, by);
    check(
        &diff.servers,
        &tables.servers,
        |it| it.number,
        |it| row(Row::Server(*it)),
    );
    check(
        &diff.queues,
        &tables.queues,
        |it| it.name.clone(),
        |it| row(Row::Queue(it.clone())),
    );
    check(
        &diff.operations,
        &tables.operations,
        |it| it.id,
        |it| row(Row::Operation(*it)),
    );
    check(
        &diff.workers,
        &tables.workers,
        |it| it.name.clone(),
        |it| row(Row::Worker(it.clone())),
    );
    check(&diff.scheduled, &tables.scheduled, scheduled_key, |it| {
        row(Row::Scheduled(*it))
    });
    check(&diff.ready, &tables.ready, ready_key, |it| {
        row(Row::Ready(*it))
    });
    check(
        &diff.leases,
        &tables.leases,
        |it| it.slot,
        |it| row(Row::Lease(*it)),
    );
    check(
        &diff.carries,
        &tables.carries,
        |it| it.slot,
        |it| locks.holds_place(*it, by),
    );
    check(
        &diff.uniques,
        &tables.uniques,
        |it| it.key.clone(),
        |it| row(Row::Unique(it.clone())),
    );
    check(
        &diff.idempotency,
        &tables.idempotency,
        |it| it.key.clone(),
        |it| row(Row::Key(it.clone())),
    );
    check(
        &diff.minutes,
        &tables.minutes,
        |it| it.key,
        |it| row(Row::Minute(*it)),
    );
    for task in &diff.discarded {
        assert!(row(Row::Relic(*task)), "{task} was not held");
    }
}

fn check<K: Ord + std::fmt::Debug, R: PartialEq + std::fmt::Debug>(
    changes: &[Change<R>],
    table: &BTreeMap<K, R>,
    key: impl Fn(&R) -> K,
    is_held: impl Fn(&K) -> bool,
) {
    for change in changes {
        let (Change::Delete(before) | Change::Update { before, .. }) = change else {
            continue;
        };
        let key = key(before);
        assert!(
            is_held(&key),
            "a row was written that was not locked: {key:?}"
        );
        let stands = table.get(&key);
        assert!(
            stands == Some(before),
            "a row was written over from what it no longer was: {before:?}, now {stands:?}"
        );
    }
}
