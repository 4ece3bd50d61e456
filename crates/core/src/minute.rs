//! What happened in a minute, by lane: what rates and quantiles of the last hour are read from. Counts of tasks are not:
//! those are exact, and stand in [`crate::counter`].

mod durations;

use std::time::Duration;

pub use self::durations::{BadDurations, Durations, Quantiles};
use crate::lane::Lane;
use crate::time::Timestamp;

/// How many minutes before the one under way are looked at, and so kept.
pub const MINUTES_KEPT: i64 = 60;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;

/// Which minute, counted from 1970, and which lane's; [`MinuteKey::OTHERS`] for all lanes that are not told apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MinuteKey {
    pub minute: i64,
    pub lane: Lane,
}

impl MinuteKey {
    pub const OTHERS: Lane = Lane(0);

    pub fn minute_of(at: Timestamp) -> i64 {
        at.as_micros().div_euclid(MINUTE)
    }

    /// The first minute of which anything is asked at this time.
    pub fn first_asked(now: Timestamp) -> i64 {
        Self::minute_of(now) - MINUTES_KEPT
    }
}

/// What one server did in one minute in one lane.
#[derive(Clone, PartialEq, Debug)]
pub struct Minute {
    pub key: MinuteKey,
    pub events: Events,
}

/// How often what happened, and how long it took.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Events {
    pub counts: [i64; What::ALL.len()],
    /// From when tasks were submitted until they were first given to a worker.
    pub waits: Durations,
    /// Of the runs that ended tasks, from their start.
    pub runs: Durations,
}

crate::with_all! {
    /// What is counted. The numbers are places among the counts.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum What {
        Submitted,
        /// A run was given to a worker, be it the task's first or not.
        Started,
        Completed,
        Failed,
        Timeout,
        Cancelled,
        /// A run failed or timed out, and its task goes on.
        Retried,
    }
}

impl Events {
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    pub fn happened(&mut self, what: What) {
        self.counts[what as usize] += 1;
    }

    pub fn count(&self, what: What) -> i64 {
        self.counts[what as usize]
    }

    /// All of it together, by which lanes are compared.
    pub fn size(&self) -> i64 {
        self.counts.iter().sum()
    }

    pub fn add(&mut self, more: &Self) {
        for (count, more) in self.counts.iter_mut().zip(more.counts) {
            *count += more;
        }
        self.waits.add(&more.waits);
        self.runs.add(&more.runs);
    }
}

/// The last so many minutes before a moment. The oldest of them counts as far as it lies within: the events of a minute
/// are taken to be spread over it evenly.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The minute under way.
    current: i64,
    minutes: i64,
    /// What of the oldest minute lies within.
    oldest: f64,
}

impl Window {
    pub fn before(now: Timestamp, minutes: u32) -> Self {
        let gone = now.as_micros().rem_euclid(MINUTE);
        Self {
            current: MinuteKey::minute_of(now),
            minutes: minutes.into(),
            oldest: 1.0 - gone as f64 / MINUTE as f64,
        }
    }

    /// How much of a minute counts, from 0 to 1.
    pub fn weight(&self, minute: i64) -> f64 {
        match self.current - minute {
            ..0 => 0.0,
            age if age < self.minutes => 1.0,
            age if age == self.minutes => self.oldest,
            _ => 0.0,
        }
    }

    pub fn length(&self) -> Duration {
        Duration::from_secs(self.minutes.unsigned_abs() * 60)
    }
}

/// What happened in a window.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    counts: [f64; What::ALL.len()],
    pub waits: Quantiles,
    pub runs: Quantiles,
}

impl Recent {
    pub fn add(&mut self, events: &Events, weight: f64) {
        for (sum, count) in self.counts.iter_mut().zip(events.counts) {
            *sum += count as f64 * weight;
        }
        self.waits.add(&events.waits, weight);
        self.runs.add(&events.runs, weight);
    }

    pub fn add_all(&mut self, more: &Self) {
        for (sum, more) in self.counts.iter_mut().zip(more.counts) {
            *sum += more;
        }
        self.waits.add_all(&more.waits);
        self.runs.add_all(&more.runs);
    }

    pub fn count(&self, what: What) -> f64 {
        self.counts[what as usize]
    }

    /// All of it together.
    pub fn size(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// Of the tasks that ended by a run, how many completed; none where none ended so.
    pub fn success_rate(&self) -> Option<f64> {
        let [completed, failed, timeout] =
            [What::Completed, What::Failed, What::Timeout].map(|what| self.count(what));
        let ended = completed + failed + timeout;
        (ended > 0.0).then(|| completed / ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * SECOND)
    }

    #[test]
    fn a_window_counts_of_its_oldest_minute_what_lies_within() {
        let window = Window::before(at(100 * 60 + 15), 15);
        let weights = [101, 100, 86, 85, 84].map(|minute| window.weight(minute));
        assert_eq!(weights, [0.0, 1.0, 1.0, 0.75, 0.0]);
        assert_eq!(window.length(), Duration::from_mins(15));
    }

    #[test]
    fn the_longest_window_asks_for_no_minute_that_is_not_kept() {
        let now = at(100 * 60 + 59);
        let window = Window::before(now, 60);
        let first = MinuteKey::first_asked(now);
        assert!(window.weight(first) > 0.0);
        assert!(window.weight(first - 1) == 0.0);
    }

    #[test]
    fn times_before_1970_have_minutes_too() {
        assert_eq!(MinuteKey::minute_of(at(-1)), -1);
        assert_eq!(MinuteKey::minute_of(at(0)), 0);
    }

    #[test]
    fn what_succeeded_is_held_against_what_runs_ended() {
        let mut events = Events::default();
        assert_eq!(Recent::default().success_rate(), None);
        for what in What::ALL {
            events.happened(what);
        }
        events.happened(What::Completed);
        let mut recent = Recent::default();
        recent.add(&events, 0.5);

        assert_eq!(recent.success_rate(), Some(0.5));
        assert!((recent.count(What::Completed) - 1.0).abs() < 1e-9);
        assert_eq!(events.size(), 8);
    }
}
