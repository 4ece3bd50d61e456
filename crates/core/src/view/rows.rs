//! One table's rows in a batch: before, and as they stand now.

use std::fmt::Debug;
use std::hash::Hash;

use hashbrown::{Equivalent, HashMap};

/// What became of one row.
#[derive(Clone, PartialEq, Debug)]
pub enum Change<R> {
    Insert(R),
    Update { before: R, after: R },
    Delete(R),
}

impl<R> Change<R> {
    /// The row as it stands from here on, if it does.
    pub fn after(&self) -> Option<&R> {
        match self {
            Self::Insert(row) | Self::Update { after: row, .. } => Some(row),
            Self::Delete(_) => None,
        }
    }

    /// The row that the change is about, as it was if it was there.
    pub fn row(&self) -> &R {
        match self {
            Self::Insert(row) | Self::Delete(row) | Self::Update { before: row, .. } => row,
        }
    }
}

#[derive(Debug)]
struct Entry<R> {
    before: Option<R>,
    after: Option<R>,
    touched: bool,
}

#[derive(Debug)]
pub struct Rows<K, R>(HashMap<K, Entry<R>>);

impl<K, R> Default for Rows<K, R> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq + Clone + Debug, R: Clone + PartialEq> Rows<K, R> {
    /// These keys were asked for: missing unless the store goes on to say [`Rows::loaded`]. All loads come before the
    /// first verb decides.
    pub fn asked<'a>(&mut self, keys: impl IntoIterator<Item = &'a K>)
    where
        K: 'a,
    {
        let keys = keys.into_iter();
        self.0.reserve(keys.size_hint().0);
        for key in keys {
            self.set(key.clone(), None);
        }
    }

    /// What was loaded of this row may be old: it has to be asked for again. One that a verb has touched stays.
    pub fn forget(&mut self, key: &K) {
        if self.0.get(key).is_some_and(|entry| !entry.touched) {
            self.0.remove(key);
        }
    }

    pub fn loaded(&mut self, key: K, row: R) {
        self.set(key, Some(row));
    }

    fn set(&mut self, key: K, row: Option<R>) {
        let entry = Entry {
            before: row.clone(),
            after: row,
            touched: false,
        };
        self.0.insert(key, entry);
    }

    pub(crate) fn knows<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> bool {
        self.0.contains_key(key)
    }

    /// The row as it stands now.
    ///
    /// # Panics
    /// If nobody asked for it: then "no row" would be a guess.
    pub(crate) fn get<Q: Hash + Equivalent<K> + Debug + ?Sized>(&self, key: &Q) -> Option<&R> {
        self.0
            .get(key)
            .unwrap_or_else(|| panic!("row {key:?} was not loaded"))
            .after
            .as_ref()
    }

    /// The row as it stands now, where that is known; for what is asked of a row only if somebody needed it.
    pub fn peek<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<&R> {
        self.0.get(key)?.after.as_ref()
    }

    /// The row as it was loaded.
    pub fn before<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<&R> {
        self.0.get(key)?.before.as_ref()
    }

    /// Every row that stands now, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &R> {
        self.0.values().filter_map(|entry| entry.after.as_ref())
    }

    /// Every row that this batch has put in, in no order.
    pub(crate) fn iter_new(&self) -> impl Iterator<Item = &R> {
        let new = self.0.values().filter(|entry| entry.before.is_none());
        new.filter_map(|entry| entry.after.as_ref())
    }

    /// Every row that this batch has put in or changed, in no order.
    pub(crate) fn iter_changed(&self) -> impl Iterator<Item = &R> {
        let changed = self.0.values().filter(|entry| entry.before != entry.after);
        changed.filter_map(|entry| entry.after.as_ref())
    }

    /// Puts in a row where there is none. Its key need not have been asked for: if it is taken, the commit conflicts.
    pub(crate) fn insert(&mut self, key: K, row: R) {
        let entry = self.0.entry(key).or_insert(Entry {
            before: None,
            after: None,
            touched: false,
        });
        assert!(entry.after.is_none(), "a row stands there already");
        entry.after = Some(row);
        entry.touched = true;
    }

    /// Puts the row there, whatever stood there. Its key must have been asked for.
    pub(crate) fn put(&mut self, key: K, row: R) {
        let entry = self
            .0
            .get_mut(&key)
            .unwrap_or_else(|| panic!("row {key:?} was not loaded"));
        entry.after = Some(row);
        entry.touched = true;
    }

    /// Changes the row where it stands.
    pub(crate) fn update<Q: Hash + Equivalent<K> + Debug + ?Sized>(
        &mut self,
        key: &Q,
        change: impl FnOnce(&mut R),
    ) {
        let entry = self
            .0
            .get_mut(key)
            .unwrap_or_else(|| panic!("row {key:?} was not loaded"));
        change(
            entry
                .after
                .as_mut()
                .unwrap_or_else(|| panic!("there is no row {key:?}")),
        );
        entry.touched = true;
    }

    /// Takes the row out, if one stands there.
    pub(crate) fn remove<Q: Hash + Equivalent<K> + Debug + ?Sized>(
        &mut self,
        key: &Q,
    ) -> Option<R> {
        let entry = self
            .0
            .get_mut(key)
            .unwrap_or_else(|| panic!("row {key:?} was not loaded"));
        entry.touched = true;
        entry.after.take()
    }

    pub(crate) fn changes(self) -> Vec<Change<R>> {
        let touched = self.0.into_values().filter(|entry| entry.touched);
        touched
            .filter_map(|entry| match (entry.before, entry.after) {
                (None, Some(after)) => Some(Change::Insert(after)),
                (Some(before), None) => Some(Change::Delete(before)),
                (Some(before), Some(after)) if before != after => {
                    Some(Change::Update { before, after })
                }
                (None, None) | (Some(_), Some(_)) => None,
            })
            .collect()
    }

    /// For tables whose rows are never taken out.
    pub(crate) fn kept(self) -> Vec<Change<R>> {
        let changes = self.changes();
        let is_kept = |change: &Change<R>| !matches!(change, Change::Delete(_));
        assert!(
            changes.iter().all(is_kept),
            "rows of this table are never taken out"
        );
        changes
    }

    /// The rows that were there and are not any more; for what is only ever taken out.
    pub(crate) fn taken_out(self) -> impl Iterator<Item = R> {
        self.changes().into_iter().map(|change| match change {
            Change::Delete(row) => row,
            Change::Insert(_) | Change::Update { .. } => {
                panic!("rows of this table are only taken out")
            }
        })
    }

    /// For tables whose rows are never changed.
    pub(crate) fn inserted(self) -> Vec<R> {
        let changes = self.changes().into_iter();
        changes
            .map(|change| match change {
                Change::Insert(row) => row,
                Change::Update { .. } | Change::Delete(_) => {
                    panic!("rows of this table are only inserted")
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_and_goes_within_a_batch_leaves_no_trace() {
        let mut rows = Rows::default();
        rows.insert(1, "a");
        rows.remove(&1);

        assert_eq!(rows.changes(), []);
    }

    #[test]
    fn a_row_taken_out_and_put_back_the_same_is_unchanged() {
        let mut rows = Rows::default();
        rows.loaded(1, "a");
        rows.remove(&1);
        rows.insert(1, "a");

        assert_eq!(rows.changes(), []);
    }

    #[test]
    fn a_second_load_takes_the_place_of_the_first() {
        let mut rows = Rows::default();
        rows.loaded(1, "a");
        rows.asked(&[1]);
        assert_eq!(rows.get(&1), None);

        rows.loaded(1, "b");
        rows.put(1, "c");

        assert_eq!(
            rows.changes(),
            [Change::Update {
                before: "b",
                after: "c"
            }]
        );
    }

    #[test]
    #[should_panic(expected = "was not loaded")]
    fn a_row_that_nobody_asked_for_cannot_be_seen() {
        Rows::<i32, &str>::default().get(&1);
    }
}
