//! Queues as they were set: what is paused gives nothing out, and their defaults are those of what is made there.

use std::collections::BTreeMap;

use taskyard_core::name::Name;
use taskyard_core::queue::Queue;
use taskyard_core::rows::Lease;

#[derive(Default)]
pub(crate) struct Queues {
    /// All that each was set to, and with which commit.
    set: BTreeMap<Name, Vec<(u64, Queue)>>,
}

impl Queues {
    pub(crate) fn see(&mut self, rows: Vec<Queue>, commit: u64) {
        assert!(
            !rows.iter().any(Queue::says_nothing),
            "a queue of which nothing is set has no row: {rows:?}"
        );
        let is_there = |name: &Name| rows.iter().any(|row| row.name == *name);
        let gone = self.set.keys().filter(|&name| !is_there(name));
        let set_back: Vec<Queue> = gone.cloned().map(Queue::new).collect();
        for row in rows.into_iter().chain(set_back) {
            let set = self.set.entry(row.name.clone()).or_default();
            if set.last().is_none_or(|(_, last)| *last != row) {
                set.push((commit, row));
            }
        }
    }

    fn now(&self, name: &Name) -> Option<&Queue> {
        let (_, row) = self.set.get(name)?.last()?;
        Some(row)
    }

    pub(crate) fn is_paused(&self, name: &Name) -> bool {
        self.now(name).is_some_and(|row| row.is_paused)
    }

    pub(crate) fn paused(&self) -> Vec<Name> {
        let names = self.set.keys();
        names.filter(|name| self.is_paused(name)).cloned().collect()
    }

    /// All that it was set to, `None` for before anything was.
    pub(crate) fn ever(&self, name: &Name) -> impl Iterator<Item = Option<&Queue>> {
        let set = self.set.get(name).into_iter().flatten();
        std::iter::once(None).chain(set.map(|(_, row)| Some(row)))
    }

    /// What it was set to when commit number `since` was the last, and at any time from then on.
    pub(crate) fn from(&self, name: &Name, since: u64) -> impl Iterator<Item = Option<&Queue>> {
        let set = self.set.get(name).map_or(&[][..], Vec::as_slice);
        let before = set.iter().take_while(|(commit, _)| *commit <= since);
        let before = before.count();
        let first = before.checked_sub(1).map(|place| &set[place].1);
        let later = set[before..].iter().map(|(_, row)| Some(row));
        std::iter::once(first).chain(later)
    }

    /// A lease came, by a batch that began after commit number `since`.
    pub(crate) fn check_dealt(&self, queue: &Name, lease: &Lease, since: u64) {
        let always_paused = self
            .from(queue, since)
            .all(|row| row.is_some_and(|row| row.is_paused));
        assert!(
            !always_paused,
            "nothing of a paused queue is given out: {lease:?} of {queue}"
        );
    }
}
