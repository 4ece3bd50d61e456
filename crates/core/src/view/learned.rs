//! What a batch taught about where the lanes begin, for the heads that stay in memory.

use hashbrown::HashMap;

use super::{Picked, View};
use crate::lane::{Lane, Learned};
use crate::order::Position;
use crate::rows::Ready;

impl View {
    /// What the picks and the batch taught about what the lanes can still have.
    pub fn learned(&self) -> Vec<Learned> {
        // Over all picks: what one of them left may be all that another one took a part of.
        let slots = self.picked.iter().flat_map(|picked| &picked.slots);
        let mut first_left: HashMap<Lane, Position> = HashMap::new();
        for slot in slots {
            let (before, after) = (self.ready.before(slot), self.ready.get(slot));
            // Of one that this batch has put further back, the others that were behind it are not known.
            for row in before.filter(|_| after.is_some()).into_iter().chain(after) {
                let first = first_left.entry(row.lane).or_insert(row.position());
                *first = row.position().min(*first);
            }
        }
        let mut learned = Vec::new();
        for picked in &self.picked {
            self.learn(picked, &first_left, &mut learned);
        }
        let arrived = self.ready.iter_changed();
        learned.extend(arrived.map(|row| Learned::Added(row.lane, row.position())));
        learned
    }

    /// A short pick saw the end of every lane; a full one shows where each lane now begins at the earliest.
    fn learn(
        &self,
        picked: &Picked,
        first_left: &HashMap<Lane, Position>,
        learned: &mut Vec<Learned>,
    ) {
        let last = picked
            .slots
            .last()
            .filter(|_| !picked.is_short())
            .and_then(|slot| self.ready.before(slot))
            .map(Ready::position);
        let mut last_of: HashMap<Lane, Position> = HashMap::new();
        for row in picked
            .slots
            .iter()
            .filter_map(|slot| self.ready.before(slot))
        {
            last_of.insert(row.lane, row.position());
        }
        for (lane, first) in &picked.pick.lanes {
            let starts_at = |first| Learned::StartsAt(*lane, first);
            match (first_left.get(lane), self.goes_on.get(lane), last) {
                (Some(left), _, _) => learned.push(starts_at(*left)),
                (None, Some(Some(next)), _) => learned.push(starts_at(*next)),
                (None, None, Some(last)) if last > *first => learned.push(starts_at(last)),
                // It was not reached, and begins where it was thought to.
                (None, None, Some(_)) => {}
                (None, Some(None), _) | (None, None, None) => {
                    // What comes next is more likely behind its last slot than before it.
                    learned.extend(last_of.get(lane).copied().map(starts_at));
                    learned.push(Learned::Emptied(*lane));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::id::{SlotKey, TaskId};
    use crate::lane::Heads;
    use crate::needs::Pick;
    use crate::order::{OrderKey, at};
    use crate::rows::Input;
    use crate::view::Brief;

    /// A lane in which one slot stood at 5, was picked where `picked` says so, and stands at `key` now.
    fn moved(key: i64, picked: bool) -> Vec<Learned> {
        let lane = Lane(1);
        let row = |key| Ready {
            lane,
            order_key: OrderKey(key),
            slot: SlotKey::only(TaskId::NIL),
            has_carry: true,
        };
        let mut view = View::default();
        let pick = Pick {
            lanes: vec![(lane, at(1))],
            rows: 1,
        };
        let brief = Brief {
            timeout: Duration::ZERO,
            is_exclusive: false,
            input: Input::Left(0),
        };
        if picked {
            view.picked(pick, vec![(row(5), brief)]);
        } else {
            view.ready.loaded(row(5).slot, row(5));
        }
        view.ready
            .update(&SlotKey::only(TaskId::NIL), |ready| *ready = row(key));
        view.learned()
    }

    #[test]
    fn a_slot_that_moves_forward_may_be_the_first_of_its_lane() {
        for picked in [true, false] {
            let learned = moved(3, picked);
            assert_eq!(learned.last(), Some(&Learned::Added(Lane(1), at(3))));
        }
    }

    #[test]
    fn where_a_slot_moves_back_its_lane_may_begin_with_those_that_were_behind_it() {
        let mut heads = Heads::default();
        let learned = moved(9, true);
        learned.into_iter().for_each(|learned| heads.learn(learned));

        assert_eq!(heads.first(Lane(1)), Some(at(5)));
    }

    #[test]
    fn a_short_pick_shows_that_its_lanes_are_empty() {
        let mut heads = Heads::default();
        heads.unsure(Lane(1));
        heads.unsure(Lane(2));
        let mut view = View::default();
        view.picked(
            Pick {
                lanes: vec![(Lane(1), Position::FIRST)],
                rows: 5,
            },
            Vec::new(),
        );

        view.learned()
            .into_iter()
            .for_each(|learned| heads.learn(learned));

        assert_eq!(
            (heads.first(Lane(1)), heads.first(Lane(2))),
            (None, Some(Position::FIRST))
        );
    }
}
