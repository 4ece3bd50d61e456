//! Results out, tasks in: which calls are made, and how the slots are counted meanwhile.
//!
//! A call that claims may be held by the server until there is something to do. At most one is open, two where there
//! are many slots, so that one fills them while the other's runs are done. Results that are ready while none can be
//! opened go in a call without a claim, so no poll delays them.
//!
//! A slot is taken by a run, by a result that has not arrived, and by a task that an open or unanswered claim may
//! still bring. A call that carries results and a claim takes the greater number of both: the server ends the old
//! leases before it gives out new ones.

use std::time::Duration;

use taskyard_api::report::Report;
use taskyard_api::worker::Claim;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::limits::Limits;
use super::moment::Moment;
use super::outbox::{Batch, Mark, Outbox};

/// From so many slots on, two claims share them.
const SHARED_FROM: usize = 64;

/// The longest that a server holds a claim, in milliseconds.
const WAIT_MS_MAX: u64 = 60_000;

/// A server that sends an open claim back with nothing sooner than this does not hold it, and is not asked at once.
const HELD_MIN: Duration = Duration::from_millis(100);

/// One call: results, a claim, or both.
pub(super) struct Exchange {
    pub(super) report: Report,
    pub(super) marks: Vec<Mark>,
    sent: Instant,
    /// When its claim was sent for the first time: leases that it brings are not older.
    pub(super) asked: Moment,
}

/// A claim to be sent again.
struct Unanswered {
    claim: Claim,
    asked: Moment,
}

pub(super) struct Exchanges {
    concurrency: usize,
    wait_ms: u64,
    seq: i64,
    /// Calls in the air with a claim, and without.
    claims: usize,
    reports: usize,
    /// Slots that calls in the air account for.
    taken: usize,
    results: usize,
    /// Claims that may have been answered without our knowing. Sent again they bring the same leases.
    unanswered: Vec<Unanswered>,
    /// Ends the polls that are open.
    polls: CancellationToken,
    draining: bool,
    /// No claim is made before.
    rest_until: Option<Instant>,
}

/// What a call may do.
pub(super) struct Room {
    pub(super) now: Instant,
    pub(super) epoch: u32,
    /// Slots that are taken outside of here: runs, and results that wait for something else.
    pub(super) busy: usize,
    /// The worker can begin what a claim brings, as far as it knows.
    pub(super) takes_more: bool,
    pub(super) limits: Limits,
}

impl Exchanges {
    pub(super) fn new(concurrency: usize, wait_ms: u64) -> Self {
        Self {
            concurrency,
            wait_ms: wait_ms.min(WAIT_MS_MAX),
            seq: 0,
            claims: 0,
            reports: 0,
            taken: 0,
            results: 0,
            unanswered: Vec::new(),
            polls: CancellationToken::new(),
            draining: false,
            rest_until: None,
        }
    }

    /// Until when no claim is made.
    pub(super) fn rest_until(&self) -> Option<Instant> {
        self.rest_until
    }

    /// Rests if the claim was sent back with nothing and was not held either.
    pub(super) fn came_back_empty(&mut self, exchange: &Exchange) {
        let until = exchange.sent + HELD_MIN;
        if exchange.report.results.is_empty() && Instant::now() < until && !self.draining {
            self.rest_until = Some(until);
        }
    }

    /// Fires when a poll is not to be waited for any longer.
    pub(super) fn polls(&self) -> CancellationToken {
        self.polls.clone()
    }

    /// Takes nothing new from now on. Claims that may have brought something are asked about once more.
    pub(super) fn drain(&mut self) {
        self.draining = true;
        self.polls.cancel();
        for unanswered in &mut self.unanswered {
            ask_about(&mut unanswered.claim);
        }
    }

    /// Nothing is in the air or to be asked about.
    pub(super) fn is_idle(&self) -> bool {
        self.claims + self.reports == 0 && self.unanswered.is_empty()
    }

    /// How many results are in the air.
    pub(super) fn results_in_air(&self) -> usize {
        self.results
    }

    /// The next call to make, if there is one.
    pub(super) fn next(&mut self, outbox: &mut Outbox, room: &Room) -> Option<Exchange> {
        let claims = self.wants_to_claim(outbox, room);
        if !claims && (outbox.is_empty() || self.reports > 0) {
            return None;
        }
        let Batch { results, marks } = outbox.take_batch(&room.limits);
        let claim = if claims {
            self.next_claim(outbox, room)
        } else {
            None
        };
        if results.is_empty() && claim.is_none() {
            return None;
        }
        let (claim, asked) = claim.map_or((None, None), |Unanswered { claim, asked }| {
            (Some(claim), Some(asked))
        });
        let exchange = Exchange {
            report: Report {
                results,
                claim: claim.map(|claim| Claim {
                    epoch: Some(room.epoch),
                    ..claim
                }),
                epoch: Some(room.epoch),
            },
            marks,
            sent: room.now,
            asked: asked.unwrap_or_else(Moment::now),
        };
        *self.kind(&exchange) += 1;
        self.taken += exchange.slots();
        self.results += exchange.report.results.len();
        Some(exchange)
    }

    fn wants_to_claim(&self, outbox: &Outbox, room: &Room) -> bool {
        let lines = if self.concurrency < SHARED_FROM { 1 } else { 2 };
        if self.claims >= lines || outbox.is_suspect() {
            return false;
        }
        if !self.unanswered.is_empty() {
            return true;
        }
        // What waits goes along, and its slots are free then.
        let free = self.free(room, 0);
        let worth_it = if self.claims == 0 {
            1
        } else {
            self.concurrency / 4
        };
        let rests = self.rest_until.is_some_and(|until| until > room.now);
        !self.draining && room.takes_more && !rests && !outbox.is_full() && free >= worth_it
    }

    fn next_claim(&mut self, outbox: &Outbox, room: &Room) -> Option<Unanswered> {
        if let Some(unanswered) = self.unanswered.pop() {
            return Some(unanswered);
        }
        let share = if self.concurrency < SHARED_FROM {
            self.concurrency
        } else {
            self.concurrency.div_ceil(2)
        };
        let limit = self
            .free(room, outbox.len())
            .min(share)
            .min(room.limits.claim);
        if limit == 0 {
            return None;
        }
        self.seq += 1;
        let claim = Claim {
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            wait_ms: Some(self.wait_ms),
            begin: false,
            seq: Some(self.seq),
            epoch: None,
            again: false,
        };
        Some(Unanswered {
            claim,
            asked: Moment::now(),
        })
    }

    fn free(&self, room: &Room, waiting: usize) -> usize {
        let unanswered: usize = self
            .unanswered
            .iter()
            .map(|unanswered| limit(&unanswered.claim))
            .sum();
        self.concurrency
            .saturating_sub(room.busy + waiting + self.taken + unanswered)
    }

    /// A call is over. Whoever gets no answer for its claim says so with [`Self::ask_again`].
    pub(super) fn landed(&mut self, exchange: &Exchange) {
        *self.kind(exchange) -= 1;
        self.taken -= exchange.slots();
        self.results -= exchange.report.results.len();
    }

    /// Keeps a claim whose answer did not arrive.
    pub(super) fn ask_again(&mut self, claim: Option<Claim>, asked: Moment) {
        let Some(mut claim) = claim else {
            return;
        };
        if self.draining {
            // It was asked about already, or else has not been yet.
            if claim.wait_ms == Some(0) {
                return;
            }
            ask_about(&mut claim);
        }
        claim.again = true;
        self.unanswered.push(Unanswered { claim, asked });
    }

    /// The server has forgotten the worker, and with it whatever it gave out.
    pub(super) fn forget_claims(&mut self) {
        self.unanswered.clear();
    }

    fn kind(&mut self, exchange: &Exchange) -> &mut usize {
        match exchange.report.claim {
            Some(_) => &mut self.claims,
            None => &mut self.reports,
        }
    }
}

impl Exchange {
    fn slots(&self) -> usize {
        let limit = self.report.claim.as_ref().map_or(0, limit);
        limit.max(self.report.results.len())
    }
}

fn limit(claim: &Claim) -> usize {
    claim.limit as usize
}

/// Leases that it brought before come again; if it brought none, one task at most comes and is handed back.
fn ask_about(claim: &mut Claim) {
    claim.limit = 1;
    claim.wait_ms = Some(0);
}
