//! Signs of life: when one is due, what it says, and what becomes of what it said.
//!
//! A full one names all that the worker holds and comes as often as the server wants. In between, runs with news are
//! named in small ones, at most one a second. Either goes in as many calls as it takes, a few at a time; the next one
//! is made when all of them were answered. A run that ends without completing may leave a checkpoint that nobody knows
//! yet; its result waits until a heartbeat has brought it, or the next run would begin from too early.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use serde_json::value::RawValue;
use taskyard_api::report::{RunResult, Said};
use tokio::time::Instant;

use super::beat::{self, Beat, Named};
use super::hands::{Finished, Hands};
use super::limits::Limits;
use super::notes::News;
use super::outbox::Outbox;

/// The time between two small ones.
const NEWS_EVERY: Duration = Duration::from_secs(1);

/// How many calls of one are in the air at a time.
const CALLS_MAX: usize = 4;

pub(super) struct Pulse {
    every: Duration,
    /// When the next full one is due.
    next: Instant,
    /// Some run has news.
    news: bool,
    /// The next small one is not due before.
    news_from: Instant,
    /// What of the present one is still to be sent.
    waiting: VecDeque<Beat>,
    /// How many of its calls are in the air.
    in_air: usize,
    /// One of its calls did not arrive.
    has_failed: bool,
    /// The runs whose checkpoint it brings and has not brought yet.
    brings: HashSet<u64>,
    partings: Vec<Parting>,
}

/// A result that waits for its run's last checkpoint to arrive.
struct Parting {
    number: u64,
    result: RunResult,
    /// None: a heartbeat brings it already.
    checkpoint: Option<Box<RawValue>>,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            every: Duration::MAX,
            next: now,
            news: false,
            news_from: now,
            waiting: VecDeque::new(),
            in_air: 0,
            has_failed: false,
            brings: HashSet::new(),
            partings: Vec::new(),
        }
    }

    /// What the server wants; `first` is how long to wait for the first one, as a share of that.
    pub(super) fn set_interval(&mut self, every: Duration, now: Instant, first: f64) {
        self.every = every;
        self.next = now + every.mul_f64(first);
    }

    pub(super) fn every(&self) -> Duration {
        self.every
    }

    pub(super) fn note_news(&mut self) {
        self.news = true;
    }

    /// How many results wait for a checkpoint.
    pub(super) fn waiting(&self) -> usize {
        self.partings.len()
    }

    /// When there is something to be said; none while that has to wait for an answer.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        if self.in_air >= CALLS_MAX {
            return None;
        }
        if !self.waiting.is_empty() {
            return Some(now);
        }
        if self.in_air > 0 {
            return None;
        }
        let parts = self
            .partings
            .iter()
            .any(|parting| parting.checkpoint.is_some());
        let news = self.news.then_some(self.news_from);
        let parts = parts.then_some(now);
        [Some(self.next), news, parts].into_iter().flatten().min()
    }

    /// Makes the heartbeat that is due now, unless there is more to be said of the last one.
    pub(super) fn make(&mut self, hands: &Hands, outbox: &Outbox, limits: &Limits, now: Instant) {
        if !self.waiting.is_empty() {
            return;
        }
        self.has_failed = false;
        let is_full = now >= self.next;
        let mut named = Vec::new();
        for parting in &mut self.partings {
            if let Some(checkpoint) = parting.checkpoint.take() {
                let RunResult {
                    task_id,
                    lease_token,
                    ..
                } = &parting.result;
                named.push(
                    Named::new(parting.number, *task_id, lease_token).with(News {
                        progress: None,
                        checkpoint: Some(checkpoint),
                    }),
                );
            }
        }
        for hand in hands.live() {
            if is_full || hand.notes.has_news() {
                let leased = &hand.leased;
                named.push(
                    Named::new(hand.number, leased.task, &leased.lease_token)
                        .with(hand.notes.take()),
                );
            }
        }
        if is_full {
            let waiting = outbox.waiting();
            named.extend(waiting.map(|result| Named::new(0, result.task_id, &result.lease_token)));
            self.next = now + self.every;
        }
        self.news = false;
        self.news_from = now + NEWS_EVERY;
        self.waiting = beat::cut(named, is_full, limits);
        self.brings = self
            .waiting
            .iter()
            .flat_map(Beat::with_checkpoints)
            .collect();
    }

    /// The next call to make, if there is one.
    pub(super) fn next_call(&mut self, epoch: u32) -> Option<Beat> {
        if self.in_air >= CALLS_MAX {
            return None;
        }
        let mut beat = self.waiting.pop_front()?;
        beat.heartbeat.epoch = Some(epoch);
        self.in_air += 1;
        Some(beat)
    }

    /// Takes the result of a run that has ended: into the outbox, or aside until its checkpoint has arrived.
    pub(super) fn part(&mut self, finished: Finished, outbox: &mut Outbox) {
        let Finished {
            number,
            result,
            notes,
        } = finished;
        let is_brought = self.brings.contains(&number);
        if result.outcome == Said::Completed || !(notes.has_checkpoint() || is_brought) {
            outbox.push(result);
            return;
        }
        self.partings.push(Parting {
            number,
            result,
            checkpoint: notes.take().checkpoint,
        });
    }

    /// A call is over, whatever came of it.
    pub(super) fn landed(&mut self) {
        self.in_air -= 1;
    }

    /// All calls of the present one have landed, and each of them was answered.
    pub(super) fn is_through(&self) -> bool {
        self.in_air == 0 && self.waiting.is_empty() && !self.has_failed
    }

    /// The call has been answered, or what it brings will not be said again: results that only waited for it can go.
    pub(super) fn arrived(&mut self, beat: &Beat, outbox: &mut Outbox) {
        for number in beat.with_checkpoints() {
            self.brings.remove(&number);
        }
        let brings = &self.brings;
        let is_free = |parting: &mut Parting| {
            parting.checkpoint.is_none() && !brings.contains(&parting.number)
        };
        for parting in self.partings.extract_if(.., is_free) {
            outbox.push(parting.result);
        }
    }

    /// These calls go next.
    pub(super) fn say<const COUNT: usize>(&mut self, beats: [Beat; COUNT]) {
        for beat in beats.into_iter().rev() {
            self.waiting.push_front(beat);
        }
    }

    /// The call did not arrive: what it said is said again, and what was to follow it.
    pub(super) fn failed(&mut self, beat: Beat, hands: &mut Hands, now: Instant) {
        self.has_failed = true;
        if beat.is_full {
            self.next = now;
        }
        let unsaid = std::mem::take(&mut self.waiting);
        for beat in std::iter::once(beat).chain(unsaid) {
            for Named { number, held } in beat.into_named() {
                self.brings.remove(&number);
                let news = News {
                    progress: held.progress,
                    checkpoint: held.checkpoint,
                };
                if let Some(hand) = hands.get(held.task_id, number) {
                    hand.notes.put_back(news);
                    self.news |= hand.notes.has_news();
                } else if let Some(parting) = self.parting(number) {
                    // A later one is better.
                    parting.checkpoint = parting.checkpoint.take().or(news.checkpoint);
                }
            }
        }
    }

    fn parting(&mut self, number: u64) -> Option<&mut Parting> {
        self.partings
            .iter_mut()
            .find(|parting| parting.number == number)
    }

    /// Takes all results that still wait.
    pub(super) fn give_up(&mut self, outbox: &mut Outbox) {
        for parting in self.partings.drain(..) {
            outbox.push(parting.result);
        }
    }
}
