//! Rates and quantiles, put together from what happened in each minute.

use std::collections::BTreeMap;
use std::time::Duration;

use hashbrown::HashMap;
use taskyard_api::queue::Queue;
use taskyard_api::stats::{Counts, Quantiles, Rates, Recent, Stats, Window};
use taskyard_core::counter::Counter;
use taskyard_core::lane::{Lane, LaneKey};
use taskyard_core::minute::{self, MinuteKey, What};
use taskyard_core::name::Name;
use taskyard_core::query::{Minutes, Sums};
use taskyard_core::status::Status;
use taskyard_core::time::Timestamp;
use taskyard_engine::metrics::OTHER;

use crate::wire;

/// The tasks that are there, of all statuses. Those of queues and kinds that are not told apart are [`OTHER`]'s.
pub(crate) fn counts(sums: &Sums) -> Stats {
    let by_status = wire::queue::counts(&sums.all);
    let statuses = Status::ALL.into_iter();
    Stats {
        total: statuses.map(|status| by_status.of(status.into())).sum(),
        success_rate: success_rate(&by_status),
        by_status,
        by_queue: by_name(&sums.all, &sums.by_queue),
        by_kind: by_name(&sums.all, &sums.by_kind),
        windows: Vec::new(),
    }
}

fn by_name(all: &Counter, told: &[(Name, Counter)]) -> BTreeMap<String, Counts> {
    let mut others = *all;
    let mut named = BTreeMap::new();
    for (name, tasks) in told {
        for (status, tasks) in tasks.iter() {
            others[status] -= tasks;
        }
        named.insert(name.to_string(), *tasks);
    }
    if others.total() > 0 {
        named.entry(OTHER.to_owned()).or_default().add(&others);
    }
    let named = named.into_iter();
    let named = named.map(|(name, tasks)| (name, wire::queue::counts(&tasks)));
    named.collect()
}

/// What windows there are, in minutes.
const WINDOWS: [u32; 3] = [1, 15, 60];

/// Of the tasks that a run ended, the part that completed.
fn success_rate(counts: &Counts) -> Option<f64> {
    let ended = counts.completed + counts.failed + counts.timeout;
    (ended > 0).then(|| counts.completed as f64 / ended as f64)
}

/// At most so many queues and kinds are told apart in each.
pub(crate) fn windows(minutes: &Minutes, now: Timestamp, names_max: usize) -> Vec<Window> {
    let keys = keys(minutes);
    let window = |length| {
        let lanes = Lanes::of(minutes, now, length);
        let by = |name: fn(&LaneKey) -> &str| lanes.by_name(&keys, name, names_max);
        let mut all = minute::Recent::default();
        lanes.recent.values().for_each(|recent| all.add_all(recent));
        Window {
            minutes: length,
            all: lanes.show(&all),
            by_queue: by(|key| key.queue.as_str()),
            by_kind: by(|key| key.kind.as_str()),
        }
    };
    WINDOWS.into_iter().map(window).collect()
}

/// What happened in the last minute in each queue.
pub(crate) fn set_rates(queues: &mut [Queue], minutes: &Minutes, now: Timestamp) {
    let keys = keys(minutes);
    let lanes = Lanes::of(minutes, now, 1);
    let by_queue = lanes.sums(&keys, |key| key.queue.as_str());
    let is_all_told = !lanes.recent.contains_key(&MinuteKey::OTHERS);
    for queue in queues {
        let known = by_queue.get(queue.name.as_str());
        let rates = known.map(|recent| lanes.rates(recent));
        queue.rates = rates.or_else(|| is_all_told.then(Rates::default));
    }
}

fn keys(minutes: &Minutes) -> HashMap<Lane, &LaneKey> {
    let lanes = minutes.lanes.iter();
    lanes.map(|(lane, key)| (*lane, &**key)).collect()
}

/// What happened in a window, by lane.
struct Lanes {
    recent: HashMap<Lane, minute::Recent>,
    length: Duration,
}

impl Lanes {
    fn of(minutes: &Minutes, now: Timestamp, length: u32) -> Self {
        let window = minute::Window::before(now, length);
        let mut recent: HashMap<Lane, minute::Recent> = HashMap::new();
        for row in &minutes.minutes {
            let weight = window.weight(row.key.minute);
            if weight > 0.0 {
                let lane = recent.entry(row.key.lane).or_default();
                lane.add(&row.events, weight);
            }
        }
        Self {
            recent,
            length: window.length(),
        }
    }

    /// Lanes that are not told apart are summed up under [`OTHER`].
    fn sums<'a>(
        &self,
        keys: &HashMap<Lane, &'a LaneKey>,
        name: fn(&LaneKey) -> &str,
    ) -> HashMap<&'a str, minute::Recent> {
        let mut sums: HashMap<&str, minute::Recent> = HashMap::new();
        for (lane, recent) in &self.recent {
            let name = keys.get(lane).map_or(OTHER, |key| name(key));
            sums.entry(name).or_default().add_all(recent);
        }
        sums
    }

    fn by_name(
        &self,
        keys: &HashMap<Lane, &LaneKey>,
        name: fn(&LaneKey) -> &str,
        names_max: usize,
    ) -> BTreeMap<String, Recent> {
        let sums = self.sums(keys, name);
        let add = minute::Recent::add_all;
        let told = told_apart(sums, names_max, minute::Recent::size, add).into_iter();
        told.map(|(name, recent)| (name, self.show(&recent)))
            .collect()
    }

    fn show(&self, recent: &minute::Recent) -> Recent {
        Recent {
            rates: self.rates(recent),
            success_rate: recent.success_rate().map(rounded),
            wait_ms: quantiles(&recent.waits),
            run_ms: quantiles(&recent.runs),
        }
    }

    fn rates(&self, recent: &minute::Recent) -> Rates {
        let rate = |what| rounded(recent.count(what) / self.length.as_secs_f64());
        Rates {
            submitted: rate(What::Submitted),
            started: rate(What::Started),
            completed: rate(What::Completed),
            failed: rate(What::Failed),
            timeout: rate(What::Timeout),
            cancelled: rate(What::Cancelled),
            retried: rate(What::Retried),
        }
    }
}

/// The largest ones, at most so many; the others are added up under [`OTHER`].
fn told_apart<T: Default>(
    sums: HashMap<&str, T>,
    names_max: usize,
    size: impl Fn(&T) -> f64,
    add: impl Fn(&mut T, &T),
) -> BTreeMap<String, T> {
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by(|(one_name, one), (other_name, other)| {
        let by_size = size(other).total_cmp(&size(one));
        by_size.then(one_name.cmp(other_name))
    });
    let mut told: BTreeMap<String, T> = BTreeMap::new();
    let mut apart = 0;
    for (name, sum) in sums {
        let is_apart = name != OTHER && apart < names_max;
        apart += usize::from(is_apart);
        let name = if is_apart { name } else { OTHER };
        add(told.entry(name.to_owned()).or_default(), &sum);
    }
    told
}

fn quantiles(of: &minute::Quantiles) -> Option<Quantiles> {
    let ms = |part| Some(rounded(of.quantile(part)?.as_secs_f64() * 1e3));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts are never negative, and far below where it would matter"
    )]
    let count = of.count().round() as u64;
    Some(Quantiles {
        count,
        p50: ms(0.5)?,
        p90: ms(0.9)?,
        p99: ms(0.99)?,
    })
}

/// To six digits behind the point: more is not known.
fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}
