//! The lanes that a batch meets and its server does not remember.

use std::sync::Arc;

use super::View;
use crate::lane::{Lane, LaneKey, Lanes};

/// What a store says about what it found.
impl View {
    /// One of the lanes that were asked for.
    pub fn found_lane(&mut self, lane: Lane, key: Arc<LaneKey>) {
        self.lanes.loaded(Arc::clone(&key), (lane, key));
    }

    /// The highest lane number that was ever given out; 0 if none was.
    pub fn found_last_lane(&mut self, last: Lane) {
        self.last_lane = Some(last);
    }
}

/// What verbs ask and say.
impl View {
    /// Whether any lane was asked for: else the server knows all that tasks of this batch are in.
    pub(crate) fn meets_unknown_lanes(&self) -> bool {
        self.last_lane.is_some()
    }

    /// The number of a lane that the server knows, or that this batch has taken up.
    pub(crate) fn lane(&self, key: &LaneKey, known: &Lanes) -> Option<Lane> {
        known.number(key).or_else(|| self.taken_up.number(key))
    }

    /// The key of a lane that the server knows, or that this batch has taken up.
    pub(crate) fn lane_key<'a>(&'a self, lane: Lane, known: &'a Lanes) -> Option<&'a Arc<LaneKey>> {
        known.key(lane).or_else(|| self.taken_up.key(lane))
    }

    /// From here on a task of this batch is in this lane, which the server did not know; it gets a number if it has none.
    ///
    /// # Panics
    /// If nobody asked for it.
    pub(crate) fn take_up(&mut self, key: &LaneKey) {
        let known = self.lanes.get(key).cloned();
        let (lane, key) = known.unwrap_or_else(|| self.make_lane(key));
        self.taken_up.add(lane, key);
    }

    /// The same of a lane with this number, in which something stands already. Nothing where it was not asked for: then
    /// the server knows it.
    pub(crate) fn meet(&mut self, key: &LaneKey, lane: Lane) {
        let found = self.lanes.peek(key).cloned();
        if let Some((number, key)) = found.filter(|(number, _)| *number == lane) {
            self.taken_up.add(number, key);
        }
    }

    fn make_lane(&mut self, key: &LaneKey) -> (Lane, Arc<LaneKey>) {
        let last = self
            .last_lane
            .expect("the last lane's number comes with the lanes");
        let (lane, key) = (Lane(last.0 + 1), Arc::new(key.clone()));
        self.last_lane = Some(lane);
        self.lanes
            .insert(Arc::clone(&key), (lane, Arc::clone(&key)));
        (lane, key)
    }

    pub(crate) fn lanes_taken_up(&self) -> usize {
        self.taken_up.len()
    }

    /// The lanes that the server did not know and that tasks of this batch are in: for it to remember once they are written.
    pub fn taken_up(&self) -> Vec<(Lane, Arc<LaneKey>)> {
        let taken_up = self.taken_up.iter();
        taken_up
            .map(|(lane, key)| (lane, Arc::clone(key)))
            .collect()
    }
}
