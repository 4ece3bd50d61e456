//! PostgreSQL: one connection that writes, by a task of its own, and a few that read; a probe of these also touches a row,
//! to see that the database takes writes. One more writes logs, one hears what other servers tell ([`exchange`]), and one
//! looks after that all are to the host that is the primary ([`home`], [`guide`]). All of it works by way of a pooler too
//! ([`pooled`]).
//!
//! A batch is two round trips: "begin" with all loads, then all writes with "commit"; one, where nothing is to be
//! loaded. Each load locks its rows in one order, and picks step over what others hold. What the first rows ask for
//! besides is locked behind them, so servers that share a database can wait for each other in a circle, if seldom: the
//! database ends one of the two after its `deadlock_timeout`, which the writer makes short where its role may, and that
//! batch is run again like any that met another server's change. A connection that breaks is made anew with the next
//! batch; what broke with it is told to the caller: `Unavailable` if nothing happened, `Unknown` if the commit was
//! under way.

mod address;
mod asking;
mod check;
mod clock;
mod commit;
mod connect;
mod counters;
mod desk;
mod error;
mod exchange;
mod fields;
mod found;
mod guide;
mod home;
pub mod inbox;
mod list;
mod load;
mod logs;
mod merge;
mod migrate;
mod open;
mod params;
mod pooled;
mod pulse;
mod question;
mod queues;
mod readers;
mod reads;
mod renew;
mod reset;
mod rows;
pub mod scratch;
mod session;
mod sql;
mod standing;
mod tid;
mod tls;
mod trip;
mod tx;
mod writes;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use taskyard_core::command::Command;
use taskyard_core::hints::{Exchanged, Hints};
use taskyard_core::id::ServerNumber;
use taskyard_core::lane::{Lane, Lanes};
use taskyard_core::log::Logs;
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::random::Random;
use taskyard_core::refused::Refused;
use taskyard_core::store::{Error, Ran, Store};
use taskyard_core::time::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use self::address::Address;
pub use self::address::{check_address, check_pooled, is_on_this_machine, without_password};
pub use self::check::{check, stats};
use self::clock::DatabaseClock;
use self::desk::{Desk, Job};
use self::exchange::{Exchange, Voice};
use self::guide::{Guide, Guiding};
#[doc(hidden)]
pub use self::list::statement as list_statement;
use self::logs::PostgresLogs;
pub use self::open::{OpenError, migrate};
use self::pulse::Pulse;
use self::readers::Readers;
pub use self::renew::renew;
pub use self::reset::reset;
use crate::Clock;
use crate::run::Memory;

/// How many connections answer questions.
pub const READERS: usize = 4;
/// How long the database may take over a batch, unless it is said.
pub const WITHIN: Duration = Duration::from_secs(20);

pub struct Options {
    /// In place of the database's clock, for tests that move time by hand. Default: the database's.
    pub clock: Option<Clock>,
    /// Whether this server tells others what it commits, and hears what they do, by NOTIFY and LISTEN over one connection
    /// more. What stands between it and the database may not let that through; all is found without, a moment later.
    pub hints: bool,
    /// A pooler stands in between that gives each transaction another connection, as PgBouncer in transaction mode does: then
    /// nothing is prepared, set or listened to for longer than a transaction, whatever `hints` says.
    pub pooled: bool,
    /// Of the leases' secrets and the database's incarnation, so for a service one that cannot be guessed.
    pub random: Box<dyn Random>,
    /// How long the database may take over a batch, or over a question, before its connection is given up: what a batch
    /// came to is then not known. Above what the session's settings allow a statement (15 s), so that the database's own
    /// words are heard where it has any. Default: [`WITHIN`].
    pub within: Duration,
}

pub struct PostgresStore {
    writer: mpsc::Sender<Job>,
    pulse: Arc<Pulse>,
    /// Ends with the store.
    _guiding: Guiding,
    address: Address,
    readers: Readers,
    logs: PostgresLogs,
    memory: Arc<Memory>,
    time: Clock,
    server: Arc<AtomicI32>,
    incarnation: Arc<Mutex<[u8; 16]>>,
    voice: Arc<Voice>,
    exchange: Option<Exchange>,
}

impl PostgresStore {
    /// Opens the database at this address; an empty one gets its tables, an older one of ours is brought up to date.
    /// Nothing in another's is touched.
    pub async fn connect(url: &str, mut options: Options) -> Result<Self, OpenError> {
        let mut address = Address::parse(url)?;
        if options.pooled {
            address = address.pooled()?;
        }
        let incarnation = open::prepare(&address, &mut *options.random).await?;
        let incarnation = Arc::new(Mutex::new(incarnation));
        let unusable = |reason: String| OpenError::Unusable {
            server: address.to_string(),
            reason,
        };
        let readers = Readers::of(&address, options.within).map_err(&unusable)?;
        let database_clock = Arc::new(Mutex::new(DatabaseClock::default()));
        let (memory, server) = (Arc::default(), Arc::new(AtomicI32::new(0)));
        let voice = Arc::new(Voice::new(Arc::clone(&incarnation)));
        let desk = Desk {
            address: address.clone(),
            memory: Arc::clone(&memory),
            server: Arc::clone(&server),
            random: options.random,
            clock: options.clock.clone(),
            database_clock: Arc::clone(&database_clock),
            incarnation: Arc::clone(&incarnation),
            voice: Arc::clone(&voice),
            session: None,
            within: options.within,
            pulse: Arc::default(),
            moves: address.home.moves(),
        };
        let pulse = Arc::clone(&desk.pulse);
        let (ready, connected) = oneshot::channel();
        let writer = desk.start(ready);
        let connected = connected.await.unwrap_or_else(|_| Err(gone()));
        connected.map_err(|error| match error {
            Error::Unavailable(away) => OpenError::Unreachable {
                server: address.to_string(),
                reason: away.detail,
            },
            error => unusable(error.to_string()),
        })?;
        let time = time(options.clock, &memory, &database_clock);
        let logs = PostgresLogs::start(
            address.clone(),
            readers.clone(),
            Arc::clone(&voice),
            options.within,
        );
        let exchange = (options.hints && !options.pooled).then(|| {
            let (voice, server) = (Arc::clone(&voice), Arc::clone(&server));
            Exchange::new(address.clone(), voice, server, Arc::clone(&time))
        });
        Ok(Self {
            writer,
            pulse,
            _guiding: Guide::start(address.clone()),
            address,
            readers,
            logs,
            memory,
            time,
            server,
            incarnation,
            voice,
            exchange,
        })
    }

    async fn answer(&self, query: &Query) -> Result<Answer, Error> {
        let mut lent = self.readers.lend().await?;
        let within = self.readers.within();
        let mut reader = lent.reader();
        let answering = reads::answer(&mut reader, query);
        let answer = timeout(within, answering).await;
        let answer = answer.unwrap_or_else(|_| Err(readers::too_late(within)));
        lent.back_unless_away(answer)
    }
}

/// As the batches go by it; in tests as it is set by hand, but that it does not go back.
fn time(
    clock: Option<Clock>,
    memory: &Arc<Memory>,
    database_clock: &Arc<Mutex<DatabaseClock>>,
) -> Clock {
    let (memory, database_clock) = (Arc::clone(memory), Arc::clone(database_clock));
    match clock {
        Some(clock) => Arc::new(move || clock().max(memory.latest())),
        None => Arc::new(move || database_clock.lock().now(Instant::now())),
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, Error> {
        let (answer, ran) = oneshot::channel();
        let job = Job::Run {
            batch,
            policy: Box::new(policy.clone()),
            answer,
        };
        self.writer.send(job).await.map_err(|_| gone())?;
        ran.await.map_err(|_| gone())?
    }

    async fn read(&self, query: Query) -> Result<Answer, Error> {
        match self.answer(&query).await {
            // One that was found broken is not used again, and asking twice changes nothing.
            Err(Error::Unavailable(_)) => self.answer(&query).await,
            answer => answer,
        }
    }

    async fn reset(&self) -> Result<Result<(), Refused>, Error> {
        let (answer, done) = oneshot::channel();
        let sent = self.writer.send(Job::Reset(answer)).await;
        sent.map_err(|_| gone())?;
        done.await.map_err(|_| gone())?
    }

    fn logs(&self) -> &dyn Logs {
        &self.logs
    }

    fn trouble(&self) -> Option<Error> {
        let down = self.address.home.down().map(Error::Unavailable);
        down.or_else(|| self.pulse.trouble())
    }

    fn now(&self) -> Timestamp {
        (self.time)()
    }

    fn incarnation(&self) -> [u8; 16] {
        *self.incarnation.lock()
    }

    fn moves(&self) -> u64 {
        self.address.home.moves()
    }

    fn count_as(&self, server: ServerNumber) {
        if self.server.swap(server.0, Ordering::Relaxed) != server.0 {
            self.voice.say_hello();
        }
    }

    fn lanes(&self) -> Arc<Lanes> {
        self.memory.lanes()
    }

    fn unsure(&self, lane: Option<Lane>) {
        self.memory.unsure(lane);
    }

    async fn heard(&self) -> Hints {
        let Some(exchange) = &self.exchange else {
            return std::future::pending().await;
        };
        let mut hints = exchange.heard().await;
        exchange::learn(&mut hints, &self.readers, &self.memory, &self.incarnation).await;
        hints
    }

    fn exchanged(&self) -> Exchanged {
        self.voice.exchanged()
    }
}

/// What writes ended with the call in hand.
fn gone() -> Error {
    Error::Unknown("what writes to the database ended before it answered".to_owned())
}
