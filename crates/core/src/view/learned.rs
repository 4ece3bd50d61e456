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
        for row in slots.filter_map(|slot| self.ready.get(slot)) {
            let first = first_left.entry(row.lane).or_insert(row.position());
            *first = row.position().min(*first);
        }
        let mut learned = Vec::new();
        for picked in &self.picked {
            self.learn(picked, &first_left, &mut learned);
        }
        let new = self.ready.iter_new();
        learned.extend(new.map(|row| Learned::Added(row.lane, row.position())));
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
        for (lane, first) in &picked.pick.lanes {
            let starts_at = |first| Learned::StartsAt(*lane, first);
            match (first_left.get(lane), self.goes_on.get(lane), last) {
                (Some(left), _, _) => learned.push(starts_at(*left)),
                (None, Some(next), _) => {
                    learned.push(next.map_or(Learned::Emptied(*lane), starts_at));
                }
                (None, None, Some(last)) if last > *first => learned.push(starts_at(last)),
                // It was not reached, and begins where it was thought to.
                (None, None, Some(_)) => {}
                (None, None, None) => learned.push(Learned::Emptied(*lane)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::Heads;
    use crate::needs::Pick;

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
