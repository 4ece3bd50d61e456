//! Signs of life: when one is due, what it says, and what becomes of what it said.
//!
//! A full one names all that the worker holds and comes as often as the server wants. In between, runs with news are
//! named in small ones, at most one a second. A run that ends without completing may leave a checkpoint that nobody
//! knows yet; its result waits until a heartbeat has brought it, or the next run would begin from too early.

use std::time::Duration;

use serde_json::value::RawValue;
use taskyard_api::report::{RunResult, Said};
use taskyard_api::worker::{Heartbeat, Held};
use taskyard_core::id::TaskId;
use tokio::time::Instant;

use super::hands::{Finished, Hand, Hands};
use super::notes::News;
use super::outbox::Outbox;

/// The time between two small ones.
const NEWS_EVERY: Duration = Duration::from_secs(1);

/// How many bytes of checkpoints go in one call, half of what servers take. The others follow in the next.
const CHECKPOINT_BYTES_MAX: usize = 8 << 20;

pub(super) struct Pulse {
    every: Duration,
    /// When the next full one is due.
    next: Instant,
    /// Some run has news.
    news: bool,
    /// The next small one is not due before.
    news_from: Instant,
    /// Of the runs whose checkpoint is in the air.
    in_air: Option<Vec<u64>>,
    partings: Vec<Parting>,
}

/// A result that waits for its run's last checkpoint to arrive.
struct Parting {
    number: u64,
    result: RunResult,
    /// None: it is in the air already.
    checkpoint: Option<Box<RawValue>>,
}

/// One heartbeat on its way.
pub(super) struct Beat {
    pub(super) heartbeat: Heartbeat,
    /// Whose leases it names, in order; 0 where the run is over.
    named: Vec<u64>,
    full: bool,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            every: Duration::MAX,
            next: now,
            news: false,
            news_from: now,
            in_air: None,
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

    /// When there is something to be sent; none while one is in the air.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        if self.in_air.is_some() {
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

    /// The heartbeat that is due now.
    pub(super) fn beat(
        &mut self,
        hands: &Hands,
        outbox: &Outbox,
        epoch: u32,
        now: Instant,
    ) -> Beat {
        let full = now >= self.next;
        let mut beat = Beat {
            heartbeat: Heartbeat {
                held: Vec::new(),
                epoch: Some(epoch),
            },
            named: Vec::new(),
            full,
        };
        let mut room = CHECKPOINT_BYTES_MAX;
        for parting in &mut self.partings {
            let fits = |checkpoint: &mut Box<RawValue>| checkpoint.get().len() <= room;
            if let Some(checkpoint) = parting.checkpoint.take_if(fits) {
                room -= checkpoint.get().len();
                let held = held(parting.result.task_id, &parting.result.lease_token);
                beat.name(
                    parting.number,
                    Held {
                        checkpoint: Some(checkpoint),
                        ..held
                    },
                );
            }
        }
        self.news = false;
        for hand in hands.live() {
            if full || hand.notes.has_news() {
                self.news |= beat.name_hand(hand, &mut room);
            }
        }
        if full {
            for result in outbox.waiting() {
                beat.name(0, held(result.task_id, &result.lease_token));
            }
            self.next = now + self.every;
        }
        self.news_from = now + NEWS_EVERY;
        self.in_air = Some(beat.with_checkpoints().collect());
        beat
    }

    /// Takes the result of a run that has ended: into the outbox, or aside until its checkpoint has arrived.
    pub(super) fn part(&mut self, finished: Finished, outbox: &mut Outbox) {
        let Finished {
            number,
            result,
            notes,
        } = finished;
        let is_sent = self
            .in_air
            .as_ref()
            .is_some_and(|runs| runs.contains(&number));
        if result.outcome == Said::Completed || !(notes.has_checkpoint() || is_sent) {
            outbox.push(result);
            return;
        }
        self.partings.push(Parting {
            number,
            result,
            checkpoint: notes.take(usize::MAX).checkpoint,
        });
    }

    /// The heartbeat has been answered, or never will be: results that only waited for it can go.
    pub(super) fn arrived(&mut self, outbox: &mut Outbox) {
        self.in_air = None;
        for parting in self
            .partings
            .extract_if(.., |parting| parting.checkpoint.is_none())
        {
            outbox.push(parting.result);
        }
    }

    /// A full one is due at once.
    pub(super) fn beat_again(&mut self, now: Instant) {
        self.next = now;
    }

    /// The heartbeat did not arrive: what it said is said again.
    pub(super) fn failed(&mut self, beat: Beat, hands: &mut Hands, now: Instant) {
        self.in_air = None;
        if beat.full {
            self.next = now;
        }
        for (held, number) in beat.heartbeat.held.into_iter().zip(beat.named) {
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

impl Beat {
    fn name(&mut self, number: u64, held: Held) {
        self.named.push(number);
        self.heartbeat.held.push(held);
    }

    /// Names a run with its news, and says whether some had to be left for the next time.
    fn name_hand(&mut self, hand: &Hand, room: &mut usize) -> bool {
        let News {
            progress,
            checkpoint,
        } = hand.notes.take(*room);
        *room -= checkpoint
            .as_ref()
            .map_or(0, |checkpoint| checkpoint.get().len());
        let held = held(hand.leased.task, &hand.leased.lease_token);
        self.name(
            hand.number,
            Held {
                progress,
                checkpoint,
                ..held
            },
        );
        hand.notes.has_news()
    }

    fn with_checkpoints(&self) -> impl Iterator<Item = u64> {
        let held = self.heartbeat.held.iter().zip(&self.named);
        held.filter(|(held, _)| held.checkpoint.is_some())
            .map(|(_, number)| *number)
    }

    /// Which run it named of this task; none if that is over.
    pub(super) fn run_of(&self, task: TaskId) -> Option<u64> {
        let held = self.heartbeat.held.iter().zip(&self.named);
        held.into_iter()
            .find(|(held, number)| held.task_id == task && **number != 0)
            .map(|(_, number)| *number)
    }

    /// The runs that the server now knows to have begun.
    pub(super) fn runs(&self) -> impl Iterator<Item = (TaskId, u64)> {
        let held = self.heartbeat.held.iter().zip(&self.named);
        held.map(|(held, number)| (held.task_id, *number))
    }

    pub(super) fn has_news(&self) -> bool {
        let mut held = self.heartbeat.held.iter();
        held.any(|held| held.progress.is_some() || held.checkpoint.is_some())
    }
}

fn held(task_id: TaskId, lease_token: &str) -> Held {
    Held {
        task_id,
        lease_token: lease_token.to_owned(),
        running: true,
        progress: None,
        checkpoint: None,
    }
}
