//! Rows as the last commit left them. Nobody else writes here, so what was read or written once need not be read again.

use std::cell::RefCell;
use std::hash::Hash;

use hashbrown::HashMap;
use taskyard_core::id::SlotKey;
use taskyard_core::name::Name;
use taskyard_core::rows::{Lease, Worker};
use taskyard_core::view::Change;

const WORKERS_MAX: usize = 10_000;
const LEASES_MAX: usize = 20_000;

/// Each claim reads a worker, each report a lease.
pub(super) struct Kept {
    pub(super) workers: Rows<Name, Worker>,
    pub(super) leases: Rows<SlotKey, Lease>,
}

impl Kept {
    pub(super) fn forget(&self) {
        self.workers.forget();
        self.leases.forget();
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            // Those that are forgotten may never come again, and their kinds and queues may be many.
            workers: Rows::new(WORKERS_MAX, |row| row.name.clone(), |row| !row.is_forgotten),
            // Checkpoints may be large.
            leases: Rows::new(LEASES_MAX, |row| row.slot, |row| row.checkpoint.is_none()),
        }
    }
}

/// Of one table. Where there would be more than `max`, all are read again.
pub(super) struct Rows<K, R> {
    max: usize,
    key: fn(&R) -> K,
    is_worth_it: fn(&R) -> bool,
    rows: RefCell<HashMap<K, R>>,
}

impl<K: Hash + Eq, R: Clone> Rows<K, R> {
    pub(super) fn new(max: usize, key: fn(&R) -> K, is_worth_it: fn(&R) -> bool) -> Self {
        Self {
            max,
            key,
            is_worth_it,
            rows: RefCell::default(),
        }
    }

    /// Hands over those that are kept, and returns the keys of the others.
    pub(super) fn at_hand<'k>(
        &self,
        keys: impl Iterator<Item = &'k K>,
        mut found: impl FnMut(&K, R),
    ) -> Vec<&'k K> {
        let rows = self.rows.borrow();
        keys.filter(|key| {
            let row = rows.get(*key).cloned();
            row.map(|row| found(key, row)).is_none()
        })
        .collect()
    }

    pub(super) fn keep(&self, row: &R) {
        let (key, mut rows) = ((self.key)(row), self.rows.borrow_mut());
        if !(self.is_worth_it)(row) {
            rows.remove(&key);
            return;
        }
        if rows.len() >= self.max && !rows.contains_key(&key) {
            rows.clear();
        }
        rows.insert(key, row.clone());
    }

    /// Only what has reached the log may be taken for what the database holds.
    pub(super) fn committed(&self, changes: &[Change<R>]) {
        for change in changes {
            match change.after() {
                Some(row) => self.keep(row),
                None => _ = self.rows.borrow_mut().remove(&(self.key)(change.row())),
            }
        }
    }

    fn forget(&self) {
        self.rows.borrow_mut().clear();
    }
}
