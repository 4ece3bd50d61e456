//! Lanes: tasks that the same workers can run. Never seen outside the engine.
//!
//! Claims look at lanes only, so tasks that nobody present can run never slow one down.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::labels::Demands;
use crate::name::Name;
use crate::order::{OrderKey, Position};

/// What makes two tasks equal to every worker: queue, kind and demands.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LaneKey {
    pub queue: Name,
    pub kind: Name,
    pub demands: Demands,
}

impl LaneKey {
    /// Of tasks that demand nothing.
    pub fn of(queue: Name, kind: Name) -> Self {
        let demands = Demands::default();
        Self {
            queue,
            kind,
            demands,
        }
    }
}

/// A lane's number, from 1. Its twin, where suspects wait, is the same number below zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(pub i32);

impl Lane {
    pub fn twin(self) -> Self {
        Self(-self.0.abs())
    }

    /// The lane itself, also of its twin.
    pub fn plain(self) -> Self {
        Self(self.0.abs())
    }

    pub fn is_twin(self) -> bool {
        self.0 < 0
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lane({})", self.0)
    }
}

/// The lanes that a server remembers. In one database numbers never change their meaning and are never given again, so a copy
/// can only be incomplete, never wrong.
#[derive(Default, Clone, Debug)]
pub struct Lanes {
    numbers: HashMap<Arc<LaneKey>, Lane>,
    keys: HashMap<Lane, Arc<LaneKey>>,
    /// In the order in which this copy learned of them; what [`Served`] is worked out from.
    known: Vec<Lane>,
    /// How often some were forgotten, after which what was worked out from the others has to be worked out again.
    forgot: u64,
}

impl Lanes {
    pub fn add(&mut self, lane: Lane, key: Arc<LaneKey>) {
        if self.keys.insert(lane, Arc::clone(&key)).is_none() {
            self.numbers.insert(key, lane);
            self.known.push(lane);
        }
    }

    pub fn number(&self, key: &LaneKey) -> Option<Lane> {
        self.numbers.get(key).copied()
    }

    /// The key of a lane or of its twin.
    pub fn key(&self, lane: Lane) -> Option<&Arc<LaneKey>> {
        self.keys.get(&lane.plain())
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (Lane, &Arc<LaneKey>)> {
        self.known.iter().map(|lane| (*lane, &self.keys[lane]))
    }

    /// Remembers only these, and forgets the others.
    pub fn keep(&mut self, open: &HashSet<Lane>) {
        self.known.retain(|lane| open.contains(lane));
        self.keys.retain(|lane, _| open.contains(lane));
        self.numbers.retain(|_, lane| open.contains(lane));
        self.forgot += 1;
    }

    pub fn forgot(&self) -> u64 {
        self.forgot
    }

    /// The lanes learned after the first `seen`.
    pub(crate) fn since(&self, seen: usize) -> impl Iterator<Item = (Lane, &Arc<LaneKey>)> {
        self.known[seen.min(self.known.len())..]
            .iter()
            .map(|lane| (*lane, &self.keys[lane]))
    }
}

/// So long before a lane's known beginning, in microseconds of its order, others may have put something as a rule: whoever
/// submits takes the time at which its batch begins, by a clock that is a little behind, and nobody sees it before the commit.
const BEFORE: i64 = 250_000;

/// Which lanes can have something ready, and from where on: hints that may promise too much, never too little but where
/// [`Heads::unsure_behind`] says so.
/// A lane that is not named here is empty as far as this server knows; who hears otherwise says [`Heads::unsure`].
#[derive(Default, Clone, Debug)]
pub struct Heads {
    first: HashMap<Lane, Position>,
    /// The same, lowest first.
    order: BTreeSet<(Position, Lane)>,
    /// Where a lane was last found to begin, or its last slot was found. Others may have put something before it since.
    begins: HashMap<Lane, Position>,
}

/// What a batch taught about one lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Learned {
    /// Something became ready here.
    Added(Lane, Position),
    /// Nothing is ready before this.
    StartsAt(Lane, Position),
    Emptied(Lane),
}

impl Heads {
    pub fn learn(&mut self, learned: Learned) {
        match learned {
            Learned::Added(lane, position) => {
                if self.first(lane).is_none_or(|first| position < first) {
                    self.set(lane, position);
                }
                if let Some(begins) = self.begins.get_mut(&lane) {
                    *begins = position.min(*begins);
                }
            }
            Learned::StartsAt(lane, position) => {
                self.set(lane, position);
                self.begins.insert(lane, position);
            }
            Learned::Emptied(lane) => {
                if let Some(first) = self.first.remove(&lane) {
                    self.order.remove(&(first, lane));
                    if first > Position::FIRST {
                        let begins = self.begins.entry(lane).or_insert(first);
                        *begins = first.max(*begins);
                    }
                }
            }
        }
    }

    /// Somebody else may have put something there.
    pub fn unsure(&mut self, lane: Lane) {
        self.set(lane, Position::FIRST);
    }

    /// Somebody else may have put something there, but a look from the very beginning has to wait: one from shortly before
    /// where the lane was last found to begin. Whether that is known.
    pub fn unsure_behind(&mut self, lane: Lane) -> bool {
        let Some(begins) = self.begins(lane) else {
            return false;
        };
        let from = Position {
            order_key: OrderKey(begins.order_key.0.saturating_sub(BEFORE)),
            ..Position::FIRST
        };
        if self.first(lane).is_none_or(|first| from < first) {
            self.set(lane, from);
        }
        true
    }

    /// Where the lane was last found to begin, or its last slot was found.
    pub fn begins(&self, lane: Lane) -> Option<Position> {
        self.begins.get(&lane).copied()
    }

    /// Of these lanes and their twins only.
    pub fn keep(&mut self, open: &HashSet<Lane>) {
        self.begins.retain(|lane, _| open.contains(&lane.plain()));
        self.first.retain(|lane, _| open.contains(&lane.plain()));
        self.order.retain(|(_, lane)| open.contains(&lane.plain()));
    }

    fn set(&mut self, lane: Lane, first: Position) {
        let before = self.first.insert(lane, first);
        if before != Some(first) {
            if let Some(before) = before {
                self.order.remove(&(before, lane));
            }
            self.order.insert((first, lane));
        }
    }

    pub fn first(&self, lane: Lane) -> Option<Position> {
        self.first.get(&lane).copied()
    }

    /// Lowest first.
    pub fn iter(&self) -> impl Iterator<Item = (Lane, Position)> {
        self.order.iter().map(|(first, lane)| (*lane, *first))
    }

    pub fn len(&self) -> usize {
        self.first.len()
    }

    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::at;

    #[test]
    fn a_twin_knows_its_lane() {
        assert_eq!(Lane(7).twin(), Lane(-7));
        assert_eq!(Lane(7).twin().twin(), Lane(-7));
        assert_eq!(Lane(-7).plain(), Lane(7));
    }

    #[test]
    fn heads_keep_the_lowest_key() {
        let mut heads = Heads::default();

        heads.learn(Learned::Added(Lane(1), at(5)));
        heads.learn(Learned::Added(Lane(1), at(3)));
        heads.learn(Learned::Added(Lane(1), at(9)));

        assert_eq!(heads.first(Lane(1)), Some(at(3)));
        assert_eq!(heads.first(Lane(2)), None);
    }

    #[test]
    fn a_lane_that_cannot_be_looked_through_is_looked_at_from_where_it_was_found_to_begin() {
        let mut heads = Heads::default();
        let lane = Lane(1);
        assert!(!heads.unsure_behind(lane), "it was never looked at");
        assert_eq!(heads.first(lane), None);

        let shortly_before = |key| Some(at(key - BEFORE));
        heads.learn(Learned::StartsAt(lane, at(5)));
        heads.learn(Learned::Emptied(lane));
        heads.learn(Learned::Added(lane, at(9)));
        assert!(heads.unsure_behind(lane));
        assert_eq!(
            heads.first(lane),
            shortly_before(5),
            "others may stand between"
        );

        heads.learn(Learned::Added(lane, at(3)));
        heads.learn(Learned::Emptied(lane));
        assert!(heads.unsure_behind(lane));
        assert_eq!(
            heads.first(lane),
            shortly_before(3),
            "there they may come again"
        );

        heads.unsure(lane);
        assert!(heads.unsure_behind(lane));
        assert_eq!(
            heads.first(lane),
            Some(Position::FIRST),
            "still to be looked through"
        );

        heads.learn(Learned::Emptied(lane));
        assert!(heads.unsure_behind(lane));
        assert_eq!(
            heads.first(lane),
            shortly_before(3),
            "nothing else was found"
        );
        heads.keep(&HashSet::new());
        assert!(!heads.unsure_behind(lane));
    }

    #[test]
    fn heads_are_in_the_order_of_what_was_learned_last() {
        let mut heads = Heads::default();
        heads.learn(Learned::Added(Lane(1), at(5)));
        heads.learn(Learned::Added(Lane(2), at(6)));
        heads.learn(Learned::Added(Lane(3), at(7)));

        heads.learn(Learned::StartsAt(Lane(1), at(9)));
        heads.learn(Learned::Emptied(Lane(2)));
        heads.unsure(Lane(4));

        let order: Vec<_> = heads.iter().collect();
        assert_eq!(
            order,
            [
                (Lane(4), Position::FIRST),
                (Lane(3), at(7)),
                (Lane(1), at(9))
            ]
        );
        assert_eq!(heads.len(), 3);
    }
}
