//! What everybody in the simulation stands in: the time, the agenda, the network, chance, and the ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use taskyard_core::policy::Policy;
use taskyard_core::random::{Random, Seeded};
use taskyard_core::time::Timestamp;

use crate::faults::Fault;
use crate::ledger::Ledger;
use crate::network::{Body, Message, Network, Node, Ticket};
use crate::options::{Options, policy};
use crate::server::Service;
use crate::tally::Tally;

/// Noon of some day.
const START: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

/// What is going to happen. What belongs to a life of somebody who has died since then is passed over.
#[derive(Debug)]
pub(crate) enum Event {
    Arrives(Message),
    /// The server goes on with what it is doing.
    ServerTurn {
        server: usize,
        life: u32,
    },
    Service {
        server: usize,
        life: u32,
        service: Service,
    },
    /// It begins to stop in order.
    ServerLeaves {
        server: usize,
        life: u32,
    },
    ServerReturns(usize),
    WorkerTurn {
        worker: usize,
        life: u32,
    },
    WorkerReturns(usize),
    ClientTurn(usize),
    /// There is room on the disk again, or the database is back.
    DatabaseRecovers,
    Happens(Fault),
    NextFault,
}

impl Event {
    /// Tells one event from another, for the trace.
    pub(crate) fn number(&self) -> u64 {
        let (kind, whose) = match self {
            Self::Arrives(message) => (1, message.ticket.0),
            Self::ServerTurn { server, life } => (2, *server as u64 + (u64::from(*life) << 8)),
            Self::Service {
                server, service, ..
            } => (3, *server as u64 + ((*service as u64) << 8)),
            Self::ServerReturns(server) => (4, *server as u64),
            Self::WorkerTurn { worker, life } => (5, *worker as u64 + (u64::from(*life) << 8)),
            Self::WorkerReturns(worker) => (6, *worker as u64),
            Self::ClientTurn(client) => (7, *client as u64),
            Self::Happens(fault) => (8, *fault as u64),
            Self::NextFault => (9, 0),
            Self::DatabaseRecovers => (10, 0),
            Self::ServerLeaves { server, life } => (11, *server as u64 + (u64::from(*life) << 8)),
        };
        (kind << 56) + whose
    }
}

/// As somebody has set it.
#[derive(Default)]
pub(crate) struct DatabaseClock {
    /// In microseconds from the true time; behind it if negative.
    pub(crate) error: i64,
    /// When it was set by so much that a server is to notice.
    pub(crate) set_at: Option<Timestamp>,
}

pub(crate) struct Surroundings {
    pub(crate) now: Timestamp,
    pub(crate) random: Seeded,
    pub(crate) policy: Policy,
    pub(crate) ledger: Ledger,
    pub(crate) tally: Tally,
    pub(crate) network: Network,
    pub(crate) servers: usize,
    /// The latest time that any batch ran at, by its server's clock.
    pub(crate) latest_batch: Timestamp,
    /// The time of the batch that last went on, and so of the last commit.
    pub(crate) batch: Timestamp,
    /// The number of the last commit before that batch began.
    pub(crate) since: u64,
    /// That of all servers which share a database.
    pub(crate) database_clock: DatabaseClock,
    /// Nothing goes wrong any more, and nobody asks for anything new.
    pub(crate) calm: bool,
    agenda: BTreeMap<(Timestamp, u64), Event>,
    latest: u64,
    tickets: u64,
}

impl Surroundings {
    pub(crate) fn new(options: &Options) -> Self {
        let mut random = Seeded::new(options.seed);
        let network = Network::new(random.bits(), options.network);
        Self {
            now: START,
            random,
            policy: policy(options),
            ledger: Ledger::new(options),
            tally: Tally::default(),
            network,
            servers: options.servers,
            latest_batch: START,
            batch: START,
            since: 0,
            database_clock: DatabaseClock::default(),
            calm: false,
            agenda: BTreeMap::new(),
            latest: 0,
            tickets: 0,
        }
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let below = self.random.below(bound.max(1) as u64);
        usize::try_from(below).expect("below a usize")
    }

    pub(crate) fn below_u64(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    /// Microseconds, either way.
    pub(crate) fn error_up_to(&mut self, most: Duration) -> i64 {
        let most = i64::try_from(most.as_micros()).expect("hours at most");
        let range = (2 * most + 1).unsigned_abs();
        self.random.below(range).cast_signed() - most
    }

    /// In so many of a thousand cases.
    pub(crate) fn happens(&mut self, rate: u64) -> bool {
        self.random.below(1000) < rate
    }

    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from)
            + Duration::from_micros(self.random.below((to - from) * 1000 + 1))
    }

    pub(crate) fn after(&mut self, wait: Duration, event: Event) {
        self.latest += 1;
        self.agenda.insert((self.now + wait, self.latest), event);
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    pub(crate) fn any_server(&mut self) -> Node {
        let servers = self.servers;
        Node::Server(self.below(servers))
    }

    /// A copy may reach another server than the first, as that of a caller who asks the next one without waiting.
    pub(crate) fn send(&mut self, from: Node, to: Node, ticket: Ticket, body: Body) {
        let message = Message {
            from,
            to,
            ticket,
            body,
        };
        let arrivals = self.network.carry(&message, &mut self.tally);
        for (copy, wait) in arrivals.into_iter().enumerate() {
            let mut message = message.clone();
            if copy > 0 && matches!(message.body, Body::Call(_)) {
                message.to = self.any_server();
            }
            self.after(wait, Event::Arrives(message));
        }
    }

    /// The next event up to then; the time moves to it, or to `until`.
    pub(crate) fn next(&mut self, until: Timestamp) -> Option<Event> {
        match self.agenda.first_entry() {
            Some(entry) if entry.key().0 <= until => {
                self.now = entry.key().0;
                Some(entry.remove())
            }
            _ => {
                self.now = until;
                None
            }
        }
    }
}
