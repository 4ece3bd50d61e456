//! What servers write down of each minute, and of workers' runs: what was taken is there once, and nothing that was not
//! sent.

use std::collections::BTreeMap;

use taskyard_core::minute::{Events, Minute, MinuteKey, What};
use taskyard_core::name::Name;
use taskyard_core::query::WorkerView;
use taskyard_core::verbs::tally::{Tally, Worked};

/// What was sent, and may be there; and what was answered, and so must be.
#[derive(Default)]
pub(crate) struct Minutes {
    sent: Sums,
    taken: Sums,
}

#[derive(Default)]
struct Sums {
    minutes: BTreeMap<MinuteKey, Events>,
    workers: BTreeMap<Name, Worked>,
}

impl Sums {
    fn add(&mut self, tally: &Tally, sign: i64) {
        for minute in &tally.minutes {
            let sum = self.minutes.entry(minute.key).or_default();
            for (count, more) in sum.counts.iter_mut().zip(minute.events.counts) {
                *count += sign * more;
            }
        }
        for (name, worked) in &tally.workers {
            let sum = self.workers.entry(name.clone()).or_default();
            sum.completed += sign * worked.completed;
            sum.failed += sign * worked.failed;
        }
    }

    fn count(&self, key: MinuteKey, what: What) -> i64 {
        let events = self.minutes.get(&key);
        events.map_or(0, |events| events.count(what))
    }

    fn worked(&self, name: &Name) -> Worked {
        self.workers.get(name).copied().unwrap_or_default()
    }
}

impl Minutes {
    pub(crate) fn sent(&mut self, tally: &Tally) {
        self.sent.add(tally, 1);
    }

    pub(crate) fn taken(&mut self, tally: &Tally) {
        self.taken.add(tally, 1);
    }

    /// It was not written, and is sent with the next.
    pub(crate) fn put_back(&mut self, tally: &Tally) {
        self.sent.add(tally, -1);
    }

    pub(crate) fn check(&self, rows: &[Minute]) {
        let mut sums: BTreeMap<MinuteKey, Events> = BTreeMap::new();
        for row in rows {
            sums.entry(row.key).or_default().add(&row.events);
        }
        for key in self.sent.minutes.keys().chain(sums.keys()) {
            for what in What::ALL {
                let count = sums.get(key).map_or(0, |events| events.count(what));
                let (least, most) = (self.taken.count(*key, what), self.sent.count(*key, what));
                assert!(
                    (least..=most).contains(&count),
                    "minutes are written once: {what:?} of {key:?} is {count}, of {least} to {most}"
                );
            }
        }
    }

    pub(crate) fn check_workers(&self, workers: &[WorkerView]) {
        for row in workers.iter().map(|view| &view.worker) {
            let (least, most) = (self.taken.worked(&row.name), self.sent.worked(&row.name));
            assert!(
                (least.completed..=most.completed).contains(&row.completed)
                    && (least.failed..=most.failed).contains(&row.failed),
                "what workers did is written once: {row:?}, {least:?} to {most:?}"
            );
        }
    }
}
