//! How many tasks there are.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use taskyard_core::counter::Counter;
use taskyard_core::lane::LaneKey;
use taskyard_core::name::Name;
use taskyard_core::query::{Counted, Sums};
use taskyard_core::status::Status;

use super::tables::Tables;

impl Tables {
    pub(super) fn counts(&self) -> Vec<Counted> {
        let counted = self.counters.iter().map(|(lane, tasks)| {
            let place = usize::try_from(lane.0 - 1).expect("lanes are counted with their twins");
            Counted {
                lane: Arc::clone(&self.lanes[place]),
                tasks: *tasks,
            }
        });
        counted.collect()
    }

    pub(super) fn sums(&self, names: usize) -> Sums {
        let mut all = Counter::default();
        self.counters.values().for_each(|tasks| all.add(tasks));
        let most = |name: fn(&LaneKey) -> &Name| {
            let mut sums: Vec<(Name, Counter)> = self.by(name).into_iter().collect();
            sums.retain(|(_, tasks)| tasks.total() > 0);
            sums.sort_by_key(|(_, tasks)| Reverse(tasks.total()));
            sums.truncate(names);
            sums
        };
        Sums {
            all,
            by_queue: most(|lane| &lane.queue),
            by_kind: most(|lane| &lane.kind),
        }
    }

    pub(super) fn pending(&self) -> Vec<(Name, i64)> {
        let by_queue = self.by(|lane| &lane.queue).into_iter();
        let pending = by_queue.map(|(queue, tasks)| (queue, tasks[Status::Pending]));
        pending.filter(|(_, tasks)| *tasks > 0).collect()
    }

    fn by(&self, name: fn(&LaneKey) -> &Name) -> BTreeMap<Name, Counter> {
        let mut sums: BTreeMap<Name, Counter> = BTreeMap::new();
        for counted in self.counts() {
            let sum = sums.entry(name(&counted.lane).clone()).or_default();
            sum.add(&counted.tasks);
        }
        sums
    }
}
