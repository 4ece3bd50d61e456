//! The task that writes: it runs the batches one after the other, in the order in which they were sent, on one
//! connection, and whoever waits for a batch may go away without leaving it half done. It shares the runtime of those who
//! wait: on a thread of its own each batch would wake two threads more, which took a tenth of a lone submit's time.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use taskyard_core::command::Command;
use taskyard_core::id::ServerNumber;
use taskyard_core::lane::Lane;
use taskyard_core::policy::Policy;
use taskyard_core::random::Random;
use taskyard_core::refused::Refused;
use taskyard_core::store::{Away, Cause, Error, Ran};
use taskyard_core::time::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::address::Address;
use super::clock::DatabaseClock;
use super::exchange::Voice;
use super::open;
use super::pulse::{Pulse, STUCK};
use super::reset;
use super::session::{Refreshed, Session};
use crate::run::{self, Memory};
use crate::{Clock, incarnation};

/// How many batches may wait; the engine sends one at a time.
const WAITING_MAX: usize = 64;
const UNDO_MAX: Duration = Duration::from_secs(5);
/// To ask for what others may have changed is a short question.
const REFRESH_MAX: Duration = Duration::from_secs(5);
/// What the clock showed longer before its answer came is of no use any more: it is asked again, but so often at most.
const SAID_MAX: Duration = Duration::from_secs(1);
const LATE_MAX: usize = 2;
/// To connect, and to prepare all statements.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Taking everything away takes as long as there is much; above what the statement that does it is allowed.
const RESET_MAX: Duration = Duration::from_secs(60);
/// So often it is looked whether the connection is well while nobody has anything to write, and whether the database is
/// still open to this program.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So a database that falls silent is known to be in trouble by then; readiness is to fail within 5 s, and tells for a second
/// what it found.
const _: () = assert!(LOOK_EVERY.as_millis() + STUCK.as_millis() <= 4000);

type Reply<T> = oneshot::Sender<Result<T, Error>>;

pub(super) enum Job {
    Run {
        batch: Vec<Command>,
        policy: Box<Policy>,
        answer: Reply<Ran>,
    },
    /// Takes everything away.
    Reset(Reply<Result<(), Refused>>),
}

pub(super) struct Desk {
    pub(super) address: Address,
    pub(super) memory: Arc<Memory>,
    pub(super) server: Arc<AtomicI32>,
    pub(super) random: Box<dyn Random>,
    /// In place of the database's, for tests.
    pub(super) clock: Option<Clock>,
    pub(super) database_clock: Arc<Mutex<DatabaseClock>>,
    pub(super) incarnation: Arc<Mutex<[u8; 16]>>,
    pub(super) voice: Arc<Voice>,
    pub(super) session: Option<Session>,
    /// A database that neither answers nor breaks the connection must not hold the service for ever. For all parts of a
    /// batch.
    pub(super) within: Duration,
    pub(super) pulse: Arc<Pulse>,
    /// How often the database had moved when it was last asked what it holds.
    pub(super) moves: u64,
}

impl Desk {
    /// Ends when the sender is dropped. `ready` hears how the first connection went.
    pub(super) fn start(self, ready: oneshot::Sender<Result<(), Error>>) -> mpsc::Sender<Job> {
        let (sender, jobs) = mpsc::channel(WAITING_MAX);
        tokio::spawn(self.work(ready, jobs));
        sender
    }

    async fn work(
        mut self,
        ready: oneshot::Sender<Result<(), Error>>,
        mut jobs: mpsc::Receiver<Job>,
    ) {
        let connected = self.freshen(false).await;
        if ready.send(connected).is_err() {
            return;
        }
        loop {
            let job = tokio::select! {
                biased;
                job = jobs.recv() => job,
                () = sleep(LOOK_EVERY) => {
                    // What it finds is told by the pulse.
                    let pulse = Arc::clone(&self.pulse);
                    let _waiting = pulse.waits();
                    let _ = self.freshen(true).await;
                    continue;
                }
            };
            let Some(job) = job else {
                return;
            };
            // Where nobody waits any more, what was done stands all the same.
            match job {
                Job::Run {
                    batch,
                    policy,
                    answer,
                } => drop(answer.send(self.run(&batch, &policy).await)),
                Job::Reset(answer) => drop(answer.send(self.reset().await)),
            }
        }
    }

    /// Once more on a new connection if the one that there was turns out to be broken before anything happened.
    async fn run(&mut self, batch: &[Command], policy: &Policy) -> Result<Ran, Error> {
        let ran = match self.once(batch, policy).await {
            (Err(Error::Unavailable(_)), Connection::Broke) => self.once(batch, policy).await.0,
            (ran, _) => ran,
        };
        if let Ok(ran) = &ran {
            self.voice.say(|hints| hints.note_all(&ran.topics));
        }
        ran
    }

    async fn once(
        &mut self,
        batch: &[Command],
        policy: &Policy,
    ) -> (Result<Ran, Error>, Connection) {
        // Between two readings the database's clock may have been set, or this machine may have slept; and others may
        // have given leases since. So what takes runs away for their time does so by one that was just read.
        let takes_away = |command: &Command| matches!(command, Command::Expire(_));
        let pulse = Arc::clone(&self.pulse);
        let _waiting = pulse.waits();
        if let Err(error) = self.freshen(batch.iter().any(takes_away)).await {
            return (Err(error), Connection::Stands);
        }
        let (clock, memory) = (self.clock.as_ref(), &*self.memory);
        let database_clock = &*self.database_clock;
        let time = || now(clock, memory, database_clock);
        let Some(session) = &mut self.session else {
            let error = Error::Unavailable("there is no connection".into());
            return (Err(error), Connection::Stands);
        };
        session.count_as(ServerNumber(self.server.load(Ordering::Relaxed)));
        let running = run::run(session, memory, batch, policy, &time, &mut *self.random);
        let ran = match timeout(self.within, AssertUnwindSafe(running).catch_unwind()).await {
            Ok(Ok(ran)) => ran,
            // `run` catches the panics of the rules; this one is the store's own, and may have come behind a commit.
            Ok(Err(_)) => Err(Error::Unknown(
                "the store broke down over this batch".to_owned(),
            )),
            Err(_) => Err(Error::Unknown(late(self.within))),
        };
        if ran.is_ok() {
            self.address.home.heard();
        }
        let trouble = run::cut_short(&ran);
        let is_unknown = matches!(trouble, Some(Error::Unknown(_)));
        let is_settled = !is_unknown
            && timeout(UNDO_MAX, session.settle())
                .await
                .is_ok_and(|undone| undone.is_ok());
        // Where it takes no writes any more, another one may.
        if !is_settled || matches!(trouble, Some(Error::Unavailable(_))) {
            self.session = None;
        }
        let connection = if is_settled {
            Connection::Stands
        } else {
            Connection::Broke
        };
        (ran, connection)
    }

    /// What broke off may have happened: the next batch finds out, on a new connection.
    async fn reset(&mut self) -> Result<Result<(), Refused>, Error> {
        self.freshen(true).await?;
        let now = now(self.clock.as_ref(), &self.memory, &self.database_clock);
        let own = ServerNumber(self.server.load(Ordering::Relaxed));
        let new = incarnation(&mut *self.random);
        let Some(session) = &mut self.session else {
            return Err(Error::Unavailable("there is no connection".into()));
        };
        let emptying = async {
            session.settle().await?;
            reset::empty(&mut session.client, now, own, new).await
        };
        let emptied = timeout(RESET_MAX, emptying).await.unwrap_or_else(|_| {
            let why = format!("it was not done within {} s", RESET_MAX.as_secs());
            Err(Error::Unknown(why))
        });
        if matches!(emptied, Ok(Ok(()))) {
            *self.incarnation.lock() = new;
            self.memory.emptied();
        }
        if emptied.is_err() {
            self.session = None;
        }
        emptied
    }

    /// A connection that works, a time that is at most a second old, or was read just now, and the lanes that others made.
    async fn freshen(&mut self, reads_clock: bool) -> Result<(), Error> {
        let done = self.try_to_freshen(reads_clock).await;
        self.pulse.looked(done.as_ref().err().cloned());
        done
    }

    async fn try_to_freshen(&mut self, reads_clock: bool) -> Result<(), Error> {
        let session = self.session.take();
        if let Some(session) = session.filter(|session| !session.client.is_closed()) {
            let is_stale = reads_clock || self.database_clock.lock().is_stale(Instant::now());
            let refreshed = if is_stale {
                self.refresh(&session).await
            } else {
                Ok(())
            };
            match refreshed {
                Ok(()) => {
                    self.session = Some(session);
                    return Ok(());
                }
                // A new connection would find the same.
                Err(error) if open::is_newer(&error) => {
                    self.session = Some(session);
                    return Err(error);
                }
                Err(error) => tracing::warn!(%error, "the connection that writes is made anew"),
            }
        }
        let server = ServerNumber(self.server.load(Ordering::Relaxed));
        let connecting = timeout(CONNECT_MAX, Session::connect(&self.address, server));
        let connected = connecting.await;
        let session = connected.unwrap_or_else(|_| Err(Error::Unavailable(silent(CONNECT_MAX))))?;
        let moves = self.address.home.moves();
        if std::mem::replace(&mut self.moves, moves) != moves {
            // The lanes that were made last may be missing there, and their numbers be given to others.
            self.memory.forget_lanes();
        }
        self.refresh(&session).await?;
        self.session = Some(session);
        // Nobody knows what became ready while there was no connection.
        self.memory.unsure(None);
        Ok(())
    }

    async fn refresh(&mut self, session: &Session) -> Result<(), Error> {
        let (until, mut late) = (Instant::now() + REFRESH_MAX, 0);
        loop {
            let asked = Instant::now();
            let refreshed = timeout_at(until, self.ask(session)).await;
            let (said, lanes) =
                refreshed.unwrap_or_else(|_| Err(Error::Unavailable(silent(REFRESH_MAX))))?;
            self.address.home.heard();
            for lane in lanes {
                self.memory.unsure(Some(lane));
            }
            let received = Instant::now();
            if received - asked <= SAID_MAX || late == LATE_MAX {
                self.database_clock.lock().received(said, received);
                return Ok(());
            }
            late += 1;
        }
    }

    /// The database's time, and the lanes of which this server did not know.
    async fn ask(&mut self, session: &Session) -> Result<(Timestamp, Vec<Lane>), Error> {
        let Refreshed {
            now: said,
            lanes: mut found,
            queues,
            ..
        } = loop {
            let listed = match self.memory.listed() {
                Some(listed) => listed,
                None => {
                    let (last, open) = session.open_lanes().await?;
                    self.memory.begin(last, open);
                    last
                }
            };
            let refreshed = session.refresh(listed).await?;
            let now = refreshed.incarnation;
            if std::mem::replace(&mut *self.incarnation.lock(), now) == now {
                break refreshed;
            }
            tracing::warn!("the database was emptied, or is another one than before");
            self.memory.forget_lanes();
        };
        self.memory.set_queues(queues);
        self.memory.list(found.clone());
        let known = self.memory.lanes();
        // Others may have used again what was forgotten here.
        if known.forgot() > 0 {
            let waiting = session.waiting_besides(&known).await?;
            drop(known);
            self.memory.learn(waiting.clone());
            found.extend(waiting);
        }
        Ok((said, found.into_iter().map(|(lane, _)| lane).collect()))
    }
}

fn now(clock: Option<&Clock>, memory: &Memory, database_clock: &Mutex<DatabaseClock>) -> Timestamp {
    match clock {
        // As the database's, it does not go back.
        Some(clock) => clock().max(memory.latest()),
        None => database_clock.lock().now(Instant::now()),
    }
}

pub(super) fn late(within: Duration) -> String {
    format!(
        "the database did not answer within {} s",
        within.as_secs_f32()
    )
}

fn silent(within: Duration) -> Away {
    Cause::Silent.with(late(within))
}

/// What a batch found out about its connection.
enum Connection {
    Stands,
    Broke,
}
