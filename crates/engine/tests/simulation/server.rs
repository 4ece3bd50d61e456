//! A server driven by hand: its desk, its directory and its services, as the engine's loop runs them.

mod calls;
mod services;

pub(crate) use self::services::Service;

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use taskyard_core::command::{Command, Done};
use taskyard_core::refused::Refused;
use taskyard_core::rows;
use taskyard_core::status::Status;
use taskyard_core::store::{self, Ran};
use taskyard_core::time::Timestamp;
use taskyard_core::topic::Topic;
use taskyard_core::verbs::claim::Dealt;
use taskyard_core::verbs::submit::Submit;
use taskyard_engine::desk::{self, Answer, Batch, Desk, Moment};
use taskyard_engine::directory::Directory;
use taskyard_engine::engine::ClaimCall;

use crate::database::{Database, Mine, Running};
use crate::network::{Body, Call, Message, Node, Ticket, Told};
use crate::surroundings::{Event, Surroundings};

/// Who asked, and what; whether anybody still listens.
pub(crate) struct Caller {
    who: Who,
    gone: Rc<Cell<bool>>,
    /// A claim that was refused once for what this server knew of its worker.
    second_try: bool,
}

enum Who {
    Node {
        node: Node,
        ticket: Ticket,
        call: Call,
    },
    Service(Service),
    /// A sign of life, or what goes back of an answer that nobody heard.
    Nobody,
}

impl desk::Caller for Caller {
    fn is_gone(&self) -> bool {
        self.gone.get()
    }
}

impl Caller {
    fn of(who: Who) -> Self {
        Self {
            who,
            gone: Rc::default(),
            second_try: false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Up,
    /// Stopped by the system; messages wait for it.
    Paused,
    Down,
}

struct Under {
    batch: Batch<Caller>,
    running: Running,
    /// How often it was polled.
    polls: u32,
    /// The number of the last commit before it began.
    since: u64,
}

pub(crate) struct Server {
    number: usize,
    pub(crate) life: u32,
    pub(crate) state: State,
    database: Database,
    mine: Mine,
    desk: Desk<Caller>,
    directory: Directory,
    under_way: Option<Under>,
    turn_is_due: bool,
    /// Its row, once it has joined.
    joined: Option<rows::Server>,
    in_grace_until: Timestamp,
    promotes_at: Option<Timestamp>,
    lag: Duration,
    /// What came in while it was paused.
    missed: Vec<Event>,
    /// Open connections, by who holds the other end.
    open: Vec<(Node, Rc<Cell<bool>>)>,
}

impl Server {
    pub(crate) fn new(number: usize, database: &Database, lag: Duration) -> Self {
        Self {
            number,
            life: 0,
            state: State::Down,
            database: database.clone(),
            mine: database.server(),
            desk: Desk::default(),
            directory: Directory::default(),
            under_way: None,
            turn_is_due: false,
            joined: None,
            in_grace_until: Timestamp::default(),
            promotes_at: None,
            lag,
            missed: Vec::new(),
            open: Vec::new(),
        }
    }

    fn node(&self) -> Node {
        Node::Server(self.number)
    }

    /// The database's time as this server knows it: never ahead.
    fn time(&self, around: &Surroundings) -> Timestamp {
        around.now - self.lag
    }

    fn moment(around: &Surroundings) -> Moment {
        around.now.since(Timestamp::default())
    }

    pub(crate) fn start(&mut self, around: &mut Surroundings) {
        self.life += 1;
        self.state = State::Up;
        self.mine = self.database.server();
        self.in_grace_until = around.now + crate::options::GRACE;
        self.start_services(around);
    }

    /// Whatever it had in memory is gone, and the transaction under way with it.
    pub(crate) fn die(&mut self) {
        self.state = State::Down;
        self.life += 1;
        self.desk = Desk::default();
        self.directory = Directory::default();
        self.under_way = None;
        self.turn_is_due = false;
        self.promotes_at = None;
        self.joined = None;
        self.missed.clear();
        self.open.clear();
    }

    pub(crate) fn pause(&mut self) {
        self.state = State::Paused;
    }

    /// What came meanwhile happens now.
    pub(crate) fn resume(&mut self, around: &mut Surroundings) {
        self.state = State::Up;
        self.in_grace_until = around.now + crate::options::GRACE;
        for event in std::mem::take(&mut self.missed) {
            around.after(Duration::ZERO, event);
        }
    }

    /// Whether it takes an event of this life now; a paused one keeps it for later.
    pub(crate) fn takes(&mut self, life: Option<u32>, event: Event) -> Option<Event> {
        match self.state {
            State::Up if life.is_none_or(|life| life == self.life) => Some(event),
            State::Paused if life.is_none_or(|life| life == self.life) => {
                self.missed.push(event);
                None
            }
            State::Up | State::Paused | State::Down => None,
        }
    }

    /// The node's connections are closed: who waited there hears nothing more.
    pub(crate) fn hang_up(&mut self, node: Node, around: &mut Surroundings) {
        for (_, gone) in self.open.iter().filter(|(other, _)| *other == node) {
            gone.set(true);
            around.tally.count("caller_goes_away");
        }
        self.open
            .retain(|(other, gone)| *other != node && Rc::strong_count(gone) > 1);
    }

    fn command(&mut self, command: impl Into<Command>, caller: Caller, around: &mut Surroundings) {
        self.desk.command(command.into(), caller);
        self.turn_soon(around);
    }

    fn turn_soon(&mut self, around: &mut Surroundings) {
        if !std::mem::replace(&mut self.turn_is_due, true) {
            let polls = self.under_way.as_ref().map_or(0, |under| under.polls);
            // One that waits for a lock asks less and less often.
            let slowest = 2_u64 << (polls / 8).min(6);
            let wait = around.millis(0, slowest);
            let event = Event::ServerTurn {
                server: self.number,
                life: self.life,
            };
            around.after(wait, event);
        }
    }

    /// One step of the engine's loop: takes a batch, or lets the one under way go on.
    pub(crate) fn turn(&mut self, around: &mut Surroundings) {
        self.turn_is_due = false;
        let over = self.desk.expired(Self::moment(around));
        self.answer(over, 0, around);
        let under_way = self.under_way.take().or_else(|| self.begin(around));
        let Some(mut under) = under_way else { return };
        under.polls += 1;
        match under
            .running
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(ran) => self.finish(under.batch, ran, under.since, around),
            Poll::Pending => {
                self.under_way = Some(under);
                self.turn_soon(around);
            }
        }
    }

    fn begin(&mut self, around: &mut Surroundings) -> Option<Under> {
        let batch = self.desk.next_batch()?;
        around.tally.count("batch");
        let now = self.time(around);
        let running = self.mine.run(batch.commands.clone(), &around.policy, now);
        Some(Under {
            batch,
            running,
            polls: 0,
            since: self.database.commits(),
        })
    }

    fn finish(
        &mut self,
        batch: Batch<Caller>,
        ran: Result<Ran, store::Error>,
        since: u64,
        around: &mut Surroundings,
    ) {
        if let Ok(ran) = &ran {
            self.spread(ran, around);
        }
        let lanes = self.mine.lanes();
        let answers = self.desk.finished(batch, ran, &lanes, Self::moment(around));
        self.answer(answers, since, around);
        if !self.desk.is_idle() {
            self.turn_soon(around);
        }
    }

    /// Tells the promoter and the other servers what the batch changed.
    fn spread(&mut self, ran: &Ran, around: &mut Surroundings) {
        for topic in &ran.topics {
            match topic {
                Topic::Ready(lane) => {
                    for other in (0..around.servers).filter(|other| *other != self.number) {
                        let ticket = around.ticket();
                        around.send(self.node(), Node::Server(other), ticket, Body::Hint(*lane));
                    }
                }
                Topic::Scheduled(_) => self.promote_at(around.now, around),
                Topic::Ended(outcome) => {
                    around.tally.count("task_ends");
                    if outcome.status == Status::Cancelled && outcome.worker.is_some() {
                        around.tally.count("held_task_is_cancelled");
                    }
                }
                Topic::GivenBack(_) => around.tally.count("run_is_given_back"),
            }
        }
    }

    fn answer(
        &mut self,
        answers: impl IntoIterator<Item = (Caller, Answer)>,
        since: u64,
        around: &mut Surroundings,
    ) {
        for (caller, answer) in answers {
            match caller.who {
                Who::Nobody => {}
                Who::Service(service) => self.served(service, &answer, around),
                Who::Node { node, ticket, call } => {
                    let asked = Asked {
                        node,
                        ticket,
                        call,
                        gone: caller.gone,
                        second_try: caller.second_try,
                    };
                    self.reply(asked, answer, since, around);
                }
            }
        }
    }

    fn reply(&mut self, asked: Asked, answer: Answer, since: u64, around: &mut Surroundings) {
        let Asked {
            node,
            ticket,
            call,
            gone,
            second_try,
        } = asked;
        if let Some(again) = again(&call, &answer) {
            around.tally.count("unknown_submit_is_sent_again");
            let call = Call::Submit {
                submit: again.clone(),
                makes_ids: false,
            };
            let caller = Caller {
                gone,
                ..Caller::of(Who::Node { node, ticket, call })
            };
            self.command(again, caller, around);
            return;
        }
        self.learn(&call, &answer);
        around.ledger.answered(&call, &answer, since);
        if gone.get() {
            if let Some(release) = desk::release(&answer) {
                around.tally.count("unheard_runs_are_released");
                self.command(release, Caller::of(Who::Nobody), around);
            }
            return;
        }
        match &call {
            // What this server knew of the worker was old; it looks again, once, as the engine does.
            Call::Claim(claim) if !second_try && is_replaced(claim, &answer) => {
                around.tally.count("worker_is_looked_up_again");
                self.directory.forget(&claim.worker);
                self.claim(node, ticket, claim.clone(), true, around);
            }
            _ => around.send(self.node(), node, ticket, Body::Told(Told::Answer(answer))),
        }
    }

    pub(crate) fn hears(&mut self, message: Message, around: &mut Surroundings) {
        let Message {
            from, ticket, body, ..
        } = message;
        match body {
            Body::Call(call) => self.asked(from, ticket, call, around),
            Body::Hint(lane) => {
                self.mine.unsure(Some(lane));
                self.desk.ready(lane, &self.mine.lanes());
                if !self.desk.is_idle() {
                    self.turn_soon(around);
                }
            }
            Body::Told(_) => {}
        }
    }
}

/// The submit to send a second time, where the first one's fate is unknown.
fn again(call: &Call, answer: &Answer) -> Option<Submit> {
    match (call, answer) {
        (Call::Submit { submit, .. }, Err(store::Error::Unknown(_))) if !submit.again => {
            Some(Submit {
                again: true,
                ..submit.clone()
            })
        }
        _ => None,
    }
}

/// A claim that named no epoch was refused for its epoch.
fn is_replaced(claim: &ClaimCall, answer: &Answer) -> bool {
    let replaced =
        |dealt: &Dealt| matches!(dealt.hands.first(), Some(Err(Refused::WorkerReplaced)));
    claim.epoch.is_none() && matches!(answer, Ok(Ok(Done::Claims(dealt))) if replaced(dealt))
}

/// A question that is to be answered.
struct Asked {
    node: Node,
    ticket: Ticket,
    call: Call,
    gone: Rc<Cell<bool>>,
    second_try: bool,
}
