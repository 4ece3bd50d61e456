//! Heartbeats: when one is due, what it says, and what becomes of what it said.
//!
//! A full one names all that the worker holds and says no more of it, so it is short; it comes as often as the server
//! wants. News, which may be long, go in heartbeats of their own that name the runs which have some, at most one a
//! second. Neither waits for the other. Where a full one gets no answer in time, the news under way are given up and
//! none go before one has got through: as long as a full one that is alone on its line does, no lease ends over what
//! the runs have to say.
//!
//! Either goes in as many calls as it takes, a few at a time; the next one is made when all of them were answered. A
//! run that ends without completing may leave a checkpoint that nobody knows yet; its result waits until news have
//! brought it, or the next run would begin from too early.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::value::RawValue;
use taskyard_api::report::{RunResult, Said};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::beat::{self, Beat, Named};
use super::hands::{Finished, Hand, Hands};
use super::limits::Limits;
use super::notes::News;
use super::outbox::Outbox;
use super::round::Round;

/// The time between two heartbeats with news.
const NEWS_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Pulse {
    every: Duration,
    /// When the next full one is due.
    next: Instant,
    full: Round,
    /// The last full one has not got through.
    is_cut_off: bool,
    /// Some run has news.
    has_news: bool,
    /// No news are made before.
    news_from: Instant,
    news: Round,
    /// Ends the calls with news that are in the air.
    news_over: CancellationToken,
    /// The runs whose checkpoint the news bring and have not brought yet.
    brings: HashSet<u64>,
    partings: Vec<Parting>,
}

/// A result that waits for its run's last checkpoint to arrive.
struct Parting {
    number: u64,
    result: RunResult,
    /// None: news bring it already.
    checkpoint: Option<Box<RawValue>>,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            every: Duration::MAX,
            next: now,
            full: Round::default(),
            is_cut_off: false,
            has_news: false,
            news_from: now,
            news: Round::default(),
            news_over: CancellationToken::new(),
            brings: HashSet::new(),
            partings: Vec::new(),
        }
    }

    /// What the server wants; `first` is how long to wait for the first one, as a share of that.
    pub(super) fn set_interval(&mut self, every: Duration, now: Instant, first: f64) {
        self.every = every;
        self.next = now + every.mul_f64(first);
        self.is_cut_off = false;
    }

    /// What the server wants from now on.
    pub(super) fn change_interval(&mut self, every: Duration, now: Instant) {
        self.every = every;
        self.next = self.next.min(now + every);
    }

    pub(super) fn every(&self) -> Duration {
        self.every
    }

    /// A full one is due now.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.next = self.next.min(now);
    }

    pub(super) fn note_news(&mut self) {
        self.has_news = true;
    }

    /// How many results wait for a checkpoint.
    pub(super) fn waiting(&self) -> usize {
        self.partings.len()
    }

    /// When there is something to be said in a full one; none while that has to wait for an answer.
    pub(super) fn full_due(&self, now: Instant) -> Option<Instant> {
        self.full.due(now, Some(self.next))
    }

    /// The same of news.
    pub(super) fn news_due(&self, now: Instant) -> Option<Instant> {
        if self.is_cut_off {
            return None;
        }
        let mut partings = self.partings.iter();
        let parts = partings.any(|parting| parting.checkpoint.is_some());
        let news = self.has_news.then_some(self.news_from);
        let next = [news, parts.then_some(now)].into_iter().flatten().min();
        self.news.due(now, next)
    }

    /// The next call of a full one that is due now.
    pub(super) fn next_full(
        &mut self,
        hands: &Hands,
        outbox: &Outbox,
        limits: &Limits,
        now: Instant,
    ) -> Option<Beat> {
        if self.full_due(now).is_none_or(|due| now < due) {
            return None;
        }
        if self.full.is_over() {
            self.next = now + self.every;
            let live = hands.live().map(Hand::named);
            let named = live
                .chain(self.partings.iter().map(Parting::named))
                .chain(outbox.waiting().map(|result| named(0, result)));
            self.full.begin(beat::cut(named.collect(), true, limits));
        }
        self.full.next_call()
    }

    /// The next call with news that are due now.
    pub(super) fn next_news(
        &mut self,
        hands: &Hands,
        limits: &Limits,
        now: Instant,
    ) -> Option<Beat> {
        if self.news_due(now).is_none_or(|due| now < due) {
            return None;
        }
        if self.news.is_over() {
            self.has_news = false;
            self.news_from = now + NEWS_EVERY;
            let beats = beat::cut(self.take_news(hands), false, limits);
            self.brings = beats.iter().flat_map(Beat::with_checkpoints).collect();
            self.news.begin(beats);
        }
        self.news.next_call()
    }

    fn take_news(&mut self, hands: &Hands) -> Vec<Named> {
        let mut named = Vec::new();
        for parting in &mut self.partings {
            if let Some(checkpoint) = parting.checkpoint.take() {
                named.push(parting.named().with(News {
                    progress: None,
                    checkpoint: Some(checkpoint),
                }));
            }
        }
        for hand in hands.live().filter(|hand| hand.notes.has_news()) {
            named.push(hand.named().with(hand.notes.take()));
        }
        named
    }

    /// Fires when news under way are not to be waited for any longer.
    pub(super) fn news_over(&self) -> CancellationToken {
        self.news_over.clone()
    }

    /// Leaves the line to a full one.
    pub(super) fn end_news(&mut self) {
        self.news_over.cancel();
        self.news_over = CancellationToken::new();
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

    /// A call of this kind is over, whatever came of it.
    pub(super) fn landed(&mut self, is_full: bool) {
        self.round(is_full).landed();
    }

    /// A call of this kind was answered. Answers whether all of its heartbeat have landed, and each of them was.
    pub(super) fn got_through(&mut self, is_full: bool) -> bool {
        let is_through = self.round(is_full).is_through();
        if is_full && is_through {
            self.is_cut_off = false;
        }
        is_through
    }

    fn round(&mut self, is_full: bool) -> &mut Round {
        if is_full {
            &mut self.full
        } else {
            &mut self.news
        }
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

    /// These calls go next, instead of one that they were.
    pub(super) fn say_instead(&mut self, beats: [Beat; 2]) {
        let [one, _] = &beats;
        self.round(one.is_full).say(beats);
    }

    /// The call did not arrive: what it said is said again, and what was to follow it.
    pub(super) fn failed(&mut self, beat: Beat, hands: &mut Hands, now: Instant) {
        let unsaid = self.round(beat.is_full).fail();
        if beat.is_full {
            self.is_cut_off = true;
            self.next = now;
            return;
        }
        for beat in std::iter::once(beat).chain(unsaid) {
            for Named { number, held } in beat.into_named() {
                self.brings.remove(&number);
                let news = News {
                    progress: held.progress,
                    checkpoint: held.checkpoint,
                };
                if let Some(hand) = hands.get(held.task_id, number) {
                    hand.notes.put_back(news);
                    self.has_news |= hand.notes.has_news();
                } else if let Some(parting) = self.parting(number) {
                    // A later one is better.
                    parting.checkpoint = parting.checkpoint.take().or(news.checkpoint);
                }
            }
        }
    }

    /// The run is lost or cancelled: its result need not wait for a checkpoint that nobody would begin from.
    pub(super) fn part_now(&mut self, number: u64, outbox: &mut Outbox) {
        let is_it = |parting: &mut Parting| parting.number == number;
        for parting in self.partings.extract_if(.., is_it) {
            outbox.push(parting.result);
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

impl Parting {
    fn named(&self) -> Named {
        named(self.number, &self.result)
    }
}

fn named(number: u64, result: &RunResult) -> Named {
    Named::new(number, result.task_id, &result.lease_token, true)
}
