//! What happened since it was last written down, by minute and lane, and by worker. The loop adds to it batch by batch, a service writes it
//! once a second: a crash loses what was not written yet, which is of rates and of workers' numbers only, never of counts.

use hashbrown::{HashMap, HashSet};
use taskyard_core::id::WorkerNumber;
use taskyard_core::lane::Lane;
use taskyard_core::minute::{Events, MINUTES_KEPT, Minute, MinuteKey};
use taskyard_core::verbs::tally::Worked;

/// A minute is written to for so long behind its end: batches that began in it may be answered later.
const LATE_MAX: i64 = 2;

#[derive(Default, Debug)]
pub struct Gathered {
    minutes: Vec<Minute>,
    places: HashMap<MinuteKey, usize>,
    /// The place of the latest that something was added to: the next is mostly of the same.
    last: usize,
    /// Which lanes have rows of their own, in the minutes that are still written to.
    apart: HashSet<MinuteKey>,
    workers: Vec<(WorkerNumber, Worked)>,
    worker_places: HashMap<WorkerNumber, usize>,
    last_worker: usize,
}

impl Gathered {
    /// What happened in this minute and lane, to be added to.
    pub fn events(&mut self, key: MinuteKey) -> &mut Events {
        if self.minutes.get(self.last).is_none_or(|row| row.key != key) {
            self.last = *self.places.entry(key).or_insert_with(|| {
                self.minutes.push(Minute {
                    key,
                    events: Events::default(),
                });
                self.minutes.len() - 1
            });
        }
        &mut self.minutes[self.last].events
    }

    /// What came of a worker's runs, to be added to.
    pub fn worked(&mut self, worker: WorkerNumber) -> &mut Worked {
        let last = self.workers.get(self.last_worker);
        if last.is_none_or(|(number, _)| *number != worker) {
            self.last_worker = *self.worker_places.entry(worker).or_insert_with(|| {
                self.workers.push((worker, Worked::default()));
                self.workers.len() - 1
            });
        }
        &mut self.workers[self.last_worker].1
    }

    pub fn take_workers(&mut self) -> Vec<(WorkerNumber, Worked)> {
        self.worker_places.clear();
        std::mem::take(&mut self.workers)
    }

    pub fn put_back_worker(&mut self, worker: WorkerNumber, worked: Worked) {
        let sum = self.worked(worker);
        sum.completed += worked.completed;
        sum.failed += worked.failed;
    }

    /// Takes what happened in all lanes. Of each minute so many lanes are told apart: those that were before, then the largest; all others
    /// are added up.
    pub fn take(&mut self, lanes_max: usize) -> Vec<Minute> {
        self.places.clear();
        let mut minutes = std::mem::take(&mut self.minutes);
        minutes.retain(|row| !row.events.is_empty());
        let newest = minutes.iter().map(|row| row.key.minute).max();
        if let Some(newest) = newest {
            self.apart.retain(|key| key.minute >= newest - LATE_MAX);
        }
        minutes.sort_unstable_by_key(|row| std::cmp::Reverse(row.events.size()));
        let mut written: Vec<Minute> = Vec::new();
        let mut others: HashMap<i64, Events> = HashMap::new();
        for row in minutes {
            let minute = row.key.minute;
            if row.key.lane != MinuteKey::OTHERS && self.is_told_apart(row.key, lanes_max) {
                written.push(row);
            } else {
                others.entry(minute).or_default().add(&row.events);
            }
        }
        written.extend(others.into_iter().map(|(minute, events)| {
            let lane = MinuteKey::OTHERS;
            let key = MinuteKey { minute, lane };
            Minute { key, events }
        }));
        written
    }

    fn is_told_apart(&mut self, key: MinuteKey, lanes_max: usize) -> bool {
        if self.apart.contains(&key) {
            return true;
        }
        let known = self.apart.iter();
        let known = known.filter(|other| other.minute == key.minute).count();
        let has_room = known < lanes_max;
        if has_room {
            self.apart.insert(key);
        }
        has_room
    }

    /// What could not be written. What nobody would ask for any more is left out.
    pub fn put_back(&mut self, minutes: Vec<Minute>) {
        let known = self.minutes.iter().map(|row| row.key.minute);
        let newest = known.chain(minutes.iter().map(|row| row.key.minute)).max();
        let first = newest.unwrap_or_default() - MINUTES_KEPT;
        for row in minutes.into_iter().filter(|row| row.key.minute >= first) {
            self.events(row.key).add(&row.events);
        }
    }
}

/// One minute's key; what is of no lane that is known counts among the others.
pub fn key(minute: i64, lane: Option<Lane>) -> MinuteKey {
    let lane = lane.map_or(MinuteKey::OTHERS, Lane::plain);
    MinuteKey { minute, lane }
}

#[cfg(test)]
mod tests {
    use taskyard_core::minute::What;

    use super::*;

    fn happens(gathered: &mut Gathered, lane: i32, times: usize) {
        for _ in 0..times {
            let events = gathered.events(key(1, Some(Lane(lane))));
            events.happened(What::Submitted);
        }
    }

    fn taken(gathered: &mut Gathered, lanes_max: usize) -> Vec<(i32, i64)> {
        let taken = gathered.take(lanes_max).into_iter();
        let mut taken: Vec<_> = taken
            .map(|row| (row.key.lane.0, row.events.size()))
            .collect();
        taken.sort_unstable();
        taken
    }

    #[test]
    fn the_largest_lanes_are_told_apart_and_stay_so_for_their_minute() {
        let mut gathered = Gathered::default();
        for (lane, times) in [(1, 1), (2, 5), (3, 3), (4, 1)] {
            happens(&mut gathered, lane, times);
        }
        assert_eq!(taken(&mut gathered, 2), [(0, 2), (2, 5), (3, 3)]);
        assert_eq!(taken(&mut gathered, 2), []);

        happens(&mut gathered, 1, 9);
        happens(&mut gathered, 2, 1);
        assert_eq!(taken(&mut gathered, 2), [(0, 9), (2, 1)]);

        gathered
            .events(key(2, Some(Lane(1))))
            .happened(What::Failed);
        assert_eq!(taken(&mut gathered, 2), [(1, 1)], "another minute");
    }

    #[test]
    fn what_is_put_back_is_taken_again_beside_what_came_since() {
        let mut gathered = Gathered::default();
        happens(&mut gathered, 1, 2);
        let failed = gathered.take(10);
        happens(&mut gathered, 1, 3);

        gathered.put_back(failed);

        assert_eq!(taken(&mut gathered, 10), [(1, 5)]);
    }

    #[test]
    fn what_nobody_would_ask_for_is_not_put_back() {
        let mut gathered = Gathered::default();
        happens(&mut gathered, 1, 2);
        let failed = gathered.take(10);
        let later = key(2 + MINUTES_KEPT, Some(Lane(1)));
        gathered.events(later).happened(What::Failed);

        gathered.put_back(failed);

        assert_eq!(taken(&mut gathered, 10), [(1, 1)]);
    }
}
