//! Where this server's counters stand. Each change of one leaves a dead row under its key, and as long as an old snapshot keeps
//! those, to find the row that lives by its key is to look at all of them: after a minute of that it took most of a
//! batch's time. Nobody else changes these rows, so the place that the last change answered holds until the next.

use hashbrown::HashMap;
use taskyard_core::counter::Counter;
use taskyard_core::lane::Lane;
use tokio_postgres::Row;

use super::tid::Tid;

/// So many changes of a counter find it by its place before one looks for it by its key: only that clears the dead rows from
/// its page, so that the next ones fit there.
const BY_PLACE_MAX: u32 = 64;
/// Of so many counters it is remembered: as many as there are lanes by default, and as many again.
const COUNTERS_MAX: usize = 20_000;

#[derive(Default)]
pub(super) struct CountersAt(HashMap<Lane, Spot>);

struct Spot {
    at: Tid,
    /// How many changes have found it by its place.
    changes: u32,
}

/// Changes of counters by how these are found.
pub(super) struct SortedCounters {
    pub(super) at: Vec<((Lane, Counter), Tid)>,
    /// By their keys, where there are any.
    pub(super) others: Vec<(Lane, Counter)>,
}

impl CountersAt {
    fn place(&self, lane: Lane) -> Option<&Spot> {
        let spot = self.0.get(&lane);
        spot.filter(|spot| spot.changes < BY_PLACE_MAX)
    }

    pub(super) fn sorted(&self, changes: &[(Lane, Counter)]) -> SortedCounters {
        let (mut at, mut others) = (Vec::new(), Vec::new());
        for change in changes {
            match self.place(change.0) {
                Some(spot) => at.push((*change, spot.at)),
                None => others.push(*change),
            }
        }
        SortedCounters { at, others }
    }

    /// Where those stand that a batch changed. What cannot be read is looked for by its key the next time: the batch stands.
    pub(super) fn note(&mut self, row: &Row) {
        let lanes = row.try_get::<_, Vec<i32>>(1);
        let (Ok(lanes), Ok(spots)) = (lanes, row.try_get::<_, Vec<Tid>>(2)) else {
            self.0.clear();
            return;
        };
        self.note_each(lanes.into_iter().map(Lane).zip(spots));
    }

    fn note_each(&mut self, spots: impl IntoIterator<Item = (Lane, Tid)>) {
        for (lane, at) in spots {
            let changes = self.place(lane).map_or(0, |spot| spot.changes + 1);
            if self.0.len() >= COUNTERS_MAX && !self.0.contains_key(&lane) {
                self.0.clear();
            }
            self.0.insert(lane, Spot { at, changes });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_postgres::types::{FromSql, Type};

    use super::*;

    fn tid(number: u8) -> Tid {
        Tid::from_sql(&Type::TID, &[0, 0, 0, number, 0, 1]).unwrap()
    }

    #[test]
    fn a_counter_is_found_by_its_last_place_and_now_and_then_by_its_key() {
        let (lane, mut counters) = (Lane(1), CountersAt::default());
        let change = [(lane, Counter::default())];
        for round in 0..2 {
            let sorted = counters.sorted(&change);
            assert_eq!((sorted.at.len(), sorted.others.len()), (0, 1), "{round}");
            counters.note_each([(lane, tid(0))]);
            for number in 1..=64 {
                let sorted = counters.sorted(&change);
                assert!(sorted.others.is_empty());
                assert_eq!(sorted.at[0].1, tid(number - 1));
                counters.note_each([(lane, tid(number))]);
            }
        }
    }

    #[test]
    fn it_is_remembered_of_no_more_than_so_many() {
        let mut counters = CountersAt::default();
        let lanes = (1..).map(Lane).zip(std::iter::repeat(tid(1)));
        counters.note_each(lanes.take(COUNTERS_MAX));
        counters.note_each([(Lane(1), tid(2))]);
        assert_eq!(counters.0.len(), COUNTERS_MAX);

        counters.note_each([(Lane(-1), tid(2))]);
        assert_eq!(counters.0.len(), 1);
    }
}
