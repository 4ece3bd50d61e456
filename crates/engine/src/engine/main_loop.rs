//! The one task that takes batches off the desk, runs them in the store, and answers those who sent their commands.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use parking_lot::Mutex;
use taskyard_core::command::{Answer, Command};
use taskyard_core::hints::Hints;
use taskyard_core::status::Status;
use taskyard_core::store::{self, Close, Ran};
use taskyard_core::topic::Topic;
use taskyard_core::verbs::leave::Leave;
use taskyard_core::verbs::report::Report;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{Shared, reset};
use crate::desk::{Batch, Caller, Desk, Moment, Waiting, release_unheard};
use crate::directory::Sending;
use crate::hearing::hear;
use crate::metrics::{Noted, Tally};
use crate::room::Place;

pub(super) enum Message {
    Command(Command, Reply),
    Claim(Waiting<Reply>),
    /// Runs that this sending of a claim was dealt, and that nobody will be told of.
    GiveBack(Sending, Report),
    /// Other servers told this, or may have.
    Heard(Hints),
    /// Everything is to go.
    Reset(reset::Asked),
}

/// Where the answer to a message goes.
pub(super) struct Reply {
    to: oneshot::Sender<Answer>,
    /// What the message takes as long as it waits for the database. What services send takes nothing, nor what goes back.
    place: Option<Place>,
    about: About,
}

/// What else there is to know of a message when it is run or answered.
pub(super) enum About {
    Command,
    Claim(Sending),
    /// When it looked whose silence counts.
    Sweep(Moment),
}

impl Reply {
    pub(super) fn new(place: Option<Place>, about: About) -> (Self, oneshot::Receiver<Answer>) {
        let (to, answer) = oneshot::channel();
        (Self { to, place, about }, answer)
    }

    /// Of a command of the engine's own, which nobody waits for.
    fn to_nobody() -> Self {
        Self::new(None, About::Command).0
    }
}

impl Caller for Reply {
    fn is_gone(&self) -> bool {
        self.to.is_closed()
    }

    fn waits_for_work(&mut self) {
        self.place = None;
    }

    fn looked_at(&self) -> Option<Moment> {
        match self.about {
            About::Sweep(looked_at) => Some(looked_at),
            About::Command | About::Claim(_) => None,
        }
    }
}

/// A batch on its way through the store.
struct Sent {
    batch: Batch<Reply>,
    /// Its commands, until the store begins it.
    open: Slot,
    noted: Noted,
    at: Moment,
    /// What workers said last that was lost, as far as its sweeps know of it.
    lost_at: Option<Moment>,
}

type Slot = Arc<Mutex<Option<Vec<Command>>>>;

/// In the hands of the store, which closes the batch with it; dropping it does so as well, since what the store will not
/// begin is nothing to join.
struct Closing(Slot);

impl Closing {
    fn close(&self) -> Vec<Command> {
        self.0.lock().take().unwrap_or_default()
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.close();
    }
}

pub(super) struct Loop {
    pub(super) shared: Arc<Shared>,
    inbox: mpsc::UnboundedReceiver<Message>,
    pub(super) desk: Desk<Reply>,
    /// Oldest first.
    sent: VecDeque<Sent>,
    tally: Tally,
    /// Of which database is all that is known here.
    incarnation: [u8; 16],
    /// How often that one had moved.
    moves: u64,
    /// Those who want everything taken away: no batch begins before that is done.
    resets: Vec<reset::Asked>,
    /// Nothing more arrives.
    is_over: bool,
    /// That this server is up no more was sent, as the last of all.
    has_left: bool,
}

impl Loop {
    pub(super) fn of(shared: Arc<Shared>, inbox: mpsc::UnboundedReceiver<Message>) -> Self {
        Self {
            inbox,
            desk: Desk::default(),
            sent: VecDeque::new(),
            incarnation: shared.store.incarnation(),
            moves: shared.store.moves(),
            tally: Tally::of(Arc::clone(&shared.metrics), Arc::clone(&shared.gathered)),
            resets: Vec::new(),
            is_over: false,
            has_left: false,
            shared,
        }
    }

    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        // Answered in the order in which they were sent, whichever the store finishes first.
        let mut running = FuturesOrdered::new();
        let mut is_finishing = false;
        loop {
            self.take_waiting();
            while running.is_empty()
                && let Some(asked) = self.resets.pop()
            {
                self.reset(asked).await;
            }
            if self.resets.is_empty() {
                self.add_to_last();
                while running.len() < shared.store.batches_max()
                    && self.desk.is_due(shared.moment())
                    && let Some(close) = self.next()
                {
                    running.push_back(shared.store.run_open(close, &shared.policy));
                }
            }
            if running.is_empty() && self.desk.is_idle() && self.is_over {
                let Some(last) = self.last_word() else {
                    return;
                };
                self.desk.command(last, Reply::to_nobody());
                continue;
            }
            let may_begin = self.resets.is_empty() && running.len() < shared.store.batches_max();
            let due_at = self.desk.due_at().filter(|_| may_begin);
            let at = self.desk.next_expiry().into_iter().chain(due_at).min();
            let at = at.map(|moment| shared.started + moment);
            tokio::select! {
                // First, so that batches reach the store in their order.
                biased;
                Some(ran) = running.next() => self.finish(ran),
                message = self.inbox.recv(), if !self.is_over => match message {
                    Some(message) => self.take(message),
                    None => self.is_over = true,
                },
                () = sleep_until(at) => {
                    let over = self.desk.expired(shared.moment());
                    self.answer(over);
                }
                () = shared.finishing.cancelled(), if !is_finishing => is_finishing = true,
                () = shared.stop.cancelled(), if is_finishing && !self.inbox.is_closed() => {
                    self.inbox.close();
                }
            }
            if is_finishing {
                let over = self.desk.close();
                self.answer(over);
            }
            self.tally.metrics().parked(self.desk.parked());
        }
    }

    /// What is still to be written once all that was accepted has been done; nothing of it is waited for by anybody.
    fn last_word(&mut self) -> Option<Command> {
        if let Some(tally) = self.shared.last_tally() {
            return Some(tally.into());
        }
        let joined = *self.shared.joined.borrow();
        // Where the database takes nothing, its word grows old by itself.
        let may_leave = !std::mem::replace(&mut self.has_left, true) && !self.shared.is_cut_off();
        joined
            .filter(|_| may_leave)
            .map(|server| Leave { server }.into())
    }

    fn next(&mut self) -> Option<Close> {
        let batch = self.desk.next_batch()?;
        let open = Slot::default();
        let mut sent = Sent {
            batch,
            open: Arc::clone(&open),
            noted: Noted::default(),
            at: self.shared.moment(),
            lost_at: None,
        };
        self.look_over(&mut sent, 0);
        *open.lock() = Some(std::mem::take(&mut sent.batch.commands));
        self.sent.push_back(sent);
        let closing = Closing(open);
        Some(Box::new(move || closing.close()))
    }

    /// What waits need not wait for the next batch while the last has not begun: fewer and larger ones cost the store less.
    /// Nor do its sweeps go by what is out of date.
    ///
    /// A store that would begin it meanwhile waits until all is added, which takes long only where thousands of parked claims
    /// are held against many new lanes. Nobody is answered any later for that: answers come through here.
    fn add_to_last(&mut self) {
        let lost_at = *self.shared.unheard.lock();
        let knows_of_it = |last: &Sent| last.lost_at == lost_at;
        if self.desk.is_idle() && self.sent.back().is_none_or(knows_of_it) {
            return;
        }
        let Some(mut last) = self.sent.pop_back() else {
            return;
        };
        let slot = Arc::clone(&last.open);
        if let Some(open) = &mut *slot.lock() {
            last.batch.commands = std::mem::take(open);
            let from = last.batch.callers();
            self.desk.add_to(&mut last.batch);
            self.look_over(&mut last, from);
            *open = std::mem::take(&mut last.batch.commands);
        }
        self.sent.push_back(last);
    }

    /// Of a batch of whose commands so many were looked over before.
    fn look_over(&mut self, sent: &mut Sent, from: usize) {
        let lost_at = *self.shared.unheard.lock();
        if let Some(at) = lost_at {
            let is_known = lost_at == sent.lost_at;
            let from = if is_known { from } else { 0 };
            sent.batch.spare_the_silent(at, from);
        }
        sent.lost_at = lost_at;
        let commands = &sent.batch.commands;
        self.tally.note(&mut sent.noted, commands, from);
    }

    fn finish(&mut self, ran: Result<Ran, store::Error>) {
        self.shared.note(&ran);
        let (store, known) = (&self.shared.store, (self.incarnation, self.moves));
        if (store.incarnation(), store.moves()) != known {
            self.forget_all();
        }
        let lanes = self.shared.store.lanes();
        let now = self.shared.moment();
        let sent = self.sent.pop_front();
        let Sent {
            batch, noted, at, ..
        } = sent.expect("it ran");
        match &ran {
            Ok(ran) => {
                self.spread(ran);
                self.tally.count(&noted, ran, &lanes);
                let took = now.saturating_sub(at);
                self.tally.metrics().ran(batch.size(), took, ran.wrote);
            }
            Err(_) => self.tally.metrics().failed(),
        }
        let answers = self.desk.finished(batch, ran, &lanes, now);
        self.answer(answers);
    }

    /// The database is another one, where numbers mean something else. Claims that wait look again, and those that go by the
    /// number of a worker of before are refused.
    pub(super) fn forget_all(&mut self) {
        self.incarnation = self.shared.store.incarnation();
        self.moves = self.shared.store.moves();
        self.tally.forget_lanes();
        self.shared.forget_all();
        self.desk.look_again();
    }

    fn take_waiting(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Command(command, reply) => self.desk.command(command, reply),
            Message::Claim(waiting) => {
                let repeated = self.desk.claim(waiting);
                self.answer(repeated);
            }
            Message::GiveBack(sending, report) => self.give_back(&sending, report),
            Message::Reset(asked) => self.resets.push(asked),
            Message::Heard(hints) => {
                let store = &self.shared.store;
                hear(&hints, &mut self.desk, &store.lanes(), |lane| {
                    store.unsure(lane);
                });
            }
        }
    }

    /// Tells those who wait outside of the desk what the batch changed.
    fn spread(&self, ran: &Ran) {
        for topic in &ran.topics {
            match topic {
                Topic::Ended(outcome) => {
                    self.shared.waits.lock().ended(outcome.task);
                    if outcome.status == Status::Cancelled && outcome.worker.is_some() {
                        self.shared.cancelled.send_modify(|runs| *runs += 1);
                    }
                }
                Topic::Scheduled(at) => self.shared.next_due.scheduled(*at),
                Topic::Ready(_) | Topic::GivenBack { .. } | Topic::Told(_) => {}
            }
        }
    }

    fn answer(&mut self, answers: impl IntoIterator<Item = (Reply, Answer)>) {
        for (reply, answer) in answers {
            let Reply { to, place, about } = reply;
            // Whoever hears of it finds room for the next one.
            drop(place);
            if let Err(unheard) = to.send(answer)
                && let About::Claim(sending) = about
                && let Some(report) = release_unheard(&unheard)
            {
                self.give_back(&sending, report);
            }
        }
    }

    /// Whoever claimed these has gone: they go back at once instead of when their lease expires.
    fn give_back(&mut self, sending: &Sending, report: Report) {
        // Asked here, where repetitions arrive: one that comes later finds these gone.
        if self.shared.directory.lock().may_give_back(sending) {
            self.desk.give_back(report, Reply::to_nobody());
        }
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
