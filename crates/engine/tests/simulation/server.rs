//! A server driven by hand: its desk, its directory and its services, as the engine's loop runs them.

mod batches;
mod calls;
mod clock;
mod hints;
mod rates;
mod services;
mod stopping;
mod works;

pub(crate) use self::services::Service;
pub(crate) use self::works::RETRIED_MAX;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use taskyard_core::command::Command;
use taskyard_core::hints::Hints;
use taskyard_core::id::Epoch;
use taskyard_core::rows;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::expire::Expire;
use taskyard_core::verbs::tally::Tally;
use taskyard_engine::desk::{self, Desk, Moment};
use taskyard_engine::directory::{Directory, Sending};
use taskyard_engine::gathered::Gathered;
use taskyard_engine::grace::Grace;
use taskyard_engine::room::{Place, Room};

use self::batches::UnderWay;
use self::clock::Clock;
use self::works::Places;
use crate::database::{Database, Mine};
use crate::network::{Body, Call, Message, Node, Ticket};
use crate::options::GRACE;
use crate::surroundings::{Event, Surroundings};

/// Who asked, and what; whether anybody still listens.
pub(crate) struct Caller {
    who: Who,
    gone: Rc<Cell<bool>>,
    place: Option<Place>,
    about: About,
}

/// What else a server has to know when it answers.
enum About {
    Anything,
    Claim {
        sending: Sending,
        /// It was refused once for what this server knew of its worker.
        second_try: bool,
    },
    /// When it looked.
    Sweep(Moment),
    /// There was no room for what it brought.
    HeartbeatWithoutNews,
}

enum Who {
    Node {
        node: Node,
        ticket: Ticket,
        call: Call,
    },
    Service(Service),
    /// The sweep, with what it found.
    Sweep(Expire),
    /// What writes the rates down, with what happened.
    Tally(Tally),
    /// A sign of life, or what goes back of an answer that nobody heard.
    Nobody,
}

impl desk::Caller for Caller {
    fn is_gone(&self) -> bool {
        self.gone.get()
    }

    fn waits_for_work(&mut self) {
        self.place = None;
    }

    fn looked_at(&self) -> Option<Moment> {
        match self.about {
            About::Sweep(looked_at) => Some(looked_at),
            _ => None,
        }
    }
}

impl Caller {
    fn of(who: Who) -> Self {
        Self {
            who,
            gone: Rc::default(),
            place: None,
            about: About::Anything,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Up,
    /// Stopped by the system; messages wait for it.
    Paused {
        since: Timestamp,
        /// The whole machine, so that its count of the time stands still too.
        suspended: bool,
    },
    /// It stops in order: takes nothing more, and ends what it has.
    Leaving,
    Down,
}

pub(crate) struct Server {
    number: usize,
    pub(crate) life: u32,
    pub(crate) state: State,
    database: Database,
    mine: Mine,
    desk: Desk<Caller>,
    directory: Directory,
    room: Arc<Room>,
    under_way: UnderWay,
    turn_is_due: bool,
    /// Its row, once it has joined.
    joined: Option<rows::Server>,
    grace: Grace,
    /// When its sweeps looked, by what its clock showed: the true time.
    seen_at: BTreeMap<Timestamp, Timestamp>,
    /// When something was last lost that workers said.
    unheard: Option<Moment>,
    /// When its last sweep looked.
    looked_at: Moment,
    promotes_at: Option<Timestamp>,
    /// What the others are yet to be told.
    unsaid: Hints,
    /// What happened since it was last written down.
    gathered: Gathered,
    places: Places,
    clock: Clock,
    /// How long its machine was suspended, all together.
    slept: Duration,
    /// When its machine last did.
    woke: Option<Timestamp>,
    /// How far behind the true time its readings of the database's are at most.
    lag: Duration,
    /// What came in while it was paused.
    missed: Vec<Event>,
    /// Open connections, by who holds the other end.
    open: Vec<Connection>,
}

/// Somebody waits for an answer.
struct Connection {
    node: Node,
    gone: Rc<Cell<bool>>,
    /// Whose claim it is.
    claims_as: Option<Epoch>,
}

impl Connection {
    fn is_open(&self) -> bool {
        !self.gone.get() && Rc::strong_count(&self.gone) > 1
    }
}

impl Server {
    pub(crate) fn new(
        number: usize,
        database: &Database,
        lag: Duration,
        around: &Surroundings,
    ) -> Self {
        Self {
            number,
            life: 0,
            state: State::Down,
            database: database.clone(),
            mine: database.server(),
            desk: Desk::default(),
            directory: Directory::default(),
            room: Room::under(&around.policy),
            under_way: UnderWay::default(),
            turn_is_due: false,
            joined: None,
            grace: Grace::new(Moment::ZERO, GRACE, GRACE),
            seen_at: BTreeMap::new(),
            unheard: None,
            looked_at: Moment::ZERO,
            promotes_at: None,
            unsaid: Hints::default(),
            gathered: Gathered::default(),
            places: Places::default(),
            clock: Clock::default(),
            slept: Duration::ZERO,
            woke: None,
            lag,
            missed: Vec::new(),
            open: Vec::new(),
        }
    }

    fn node(&self) -> Node {
        Node::Server(self.number)
    }

    /// By its own count of the time.
    fn moment(&self, around: &Surroundings) -> Moment {
        around.now.since(Timestamp::default()) - self.slept
    }

    pub(crate) fn start(&mut self, around: &mut Surroundings) {
        self.life += 1;
        self.state = State::Up;
        self.mine = self.database.server();
        self.room = Room::under(&around.policy);
        self.unheard = None;
        self.grace = Grace::new(self.moment(around), GRACE, around.policy.heartbeat_ttl);
        self.clock = self.clock.restarted();
        if !self.mine.is_alone() {
            self.read_clock(around);
        }
        self.start_services(around);
    }

    /// Whatever it had in memory is gone, and the transaction under way with it.
    pub(crate) fn die(&mut self) {
        self.state = State::Down;
        self.life += 1;
        self.desk = Desk::default();
        self.directory = Directory::default();
        self.under_way = UnderWay::default();
        self.turn_is_due = false;
        self.seen_at.clear();
        self.promotes_at = None;
        self.unsaid = Hints::default();
        self.gathered = Gathered::default();
        self.places = Places::default();
        self.joined = None;
        self.missed.clear();
        self.open.clear();
    }

    pub(crate) fn pause(&mut self, suspended: bool, around: &Surroundings) {
        let since = around.now;
        self.state = State::Paused { since, suspended };
    }

    /// What came meanwhile happens now.
    pub(crate) fn resume(&mut self, around: &mut Surroundings) {
        if let State::Paused { since, suspended } = self.state
            && suspended
        {
            let pause = around.now.since(since);
            self.clock.stood_still(pause);
            self.slept += pause;
            self.woke = Some(around.now);
        }
        self.state = State::Up;
        for event in std::mem::take(&mut self.missed) {
            around.after(Duration::ZERO, event);
        }
    }

    /// Asks PostgreSQL for its time.
    fn read_clock(&mut self, around: &mut Surroundings) {
        let lag = u64::try_from(self.lag.as_micros()).expect("short");
        let lag = Duration::from_micros(around.below_u64(lag + 1));
        self.clock
            .read(around.database_clock.error, lag, around.now);
    }

    /// Somebody sets the machine's clock.
    pub(crate) fn set_clock(&mut self, to: clock::Error) {
        self.clock.set_time_of_day(to);
    }

    /// Its machine sleeps, or has slept since then.
    pub(crate) fn has_slept_since(&self, then: Timestamp) -> bool {
        let sleeps = matches!(
            self.state,
            State::Paused {
                suspended: true,
                ..
            }
        );
        sleeps || self.woke.is_some_and(|woke| woke > then)
    }

    /// Whether it takes an event of this life now; a paused one keeps it for later.
    pub(crate) fn takes(&mut self, life: Option<u32>, event: Event) -> Option<Event> {
        match self.state {
            State::Up if life.is_none_or(|life| life == self.life) => Some(event),
            State::Paused { .. } if life.is_none_or(|life| life == self.life) => {
                self.missed.push(event);
                None
            }
            State::Leaving => self.takes_while_leaving(life, event),
            State::Up | State::Paused { .. } | State::Down => None,
        }
    }

    /// The node's connections are closed: who waited there hears nothing more.
    pub(crate) fn hang_up(&mut self, node: Node, around: &mut Surroundings) {
        for connection in self.open.iter().filter(|other| other.node == node) {
            connection.gone.set(true);
            around.tally.count("caller_goes_away");
        }
        self.open.retain(Connection::is_open);
    }

    fn command(&mut self, command: impl Into<Command>, caller: Caller, around: &mut Surroundings) {
        self.desk.command(command.into(), caller);
        self.turn_soon(around);
    }

    fn turn_soon(&mut self, around: &mut Surroundings) {
        if !std::mem::replace(&mut self.turn_is_due, true) {
            // One that waits for a lock asks less and less often.
            let slowest = 2_u64 << (self.under_way.polls() / 8).min(6);
            let wait = around.millis(0, slowest);
            let event = Event::ServerTurn {
                server: self.number,
                life: self.life,
            };
            around.after(wait, event);
        }
    }

    /// The workers whose claims wait here, once nothing else is to be done.
    pub(crate) fn waiting_workers(&self) -> Vec<(usize, Epoch)> {
        let is_settled = self.state == State::Up
            && !self.turn_is_due
            && self.under_way.is_empty()
            && self.desk.is_idle();
        let open = self.open.iter().filter(|line| is_settled && line.is_open());
        let claims = open.filter_map(|line| match line.node {
            Node::Worker(worker) => Some((worker, line.claims_as?)),
            Node::Server(_) | Node::Client(_) => None,
        });
        claims.collect()
    }

    pub(crate) fn hears(&mut self, message: Message, around: &mut Surroundings) {
        let Message {
            from, ticket, body, ..
        } = message;
        match body {
            Body::Call(call) => self.asked(from, ticket, call, around),
            Body::Hint(hints) => self.hears_of_others(&hints, around),
            Body::Told(_) => {}
        }
    }
}
