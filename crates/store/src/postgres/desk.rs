//! The thread that writes: it runs the batches one after the other, in the order in which they were sent, on one
//! connection. A runtime of its own keeps the connection beside the batch, so that an answer wakes no other thread,
//! and whoever waits for a batch may go away without leaving it half done.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::{io, thread};

use futures_util::FutureExt;
use parking_lot::Mutex;
use taskyard_core::command::Command;
use taskyard_core::id::ServerNumber;
use taskyard_core::policy::Policy;
use taskyard_core::random::Random;
use taskyard_core::store::{Error, Ran};
use taskyard_core::time::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Clock;
use super::address::Address;
use super::clock::DatabaseClock;
use super::error::explain;
use super::session::Session;
use crate::run::{self, Memory};

/// How many batches may wait; the engine sends one at a time.
const WAITING_MAX: usize = 64;

pub(super) struct Job {
    pub(super) batch: Vec<Command>,
    pub(super) policy: Policy,
    pub(super) answer: oneshot::Sender<Result<Ran, Error>>,
}

pub(super) struct Desk {
    pub(super) address: Address,
    pub(super) memory: Arc<Memory>,
    pub(super) server: Arc<AtomicI32>,
    pub(super) random: Box<dyn Random>,
    /// In place of the database's, for tests.
    pub(super) clock: Option<Clock>,
    pub(super) database_clock: Arc<Mutex<DatabaseClock>>,
    pub(super) session: Option<Session>,
}

impl Desk {
    /// Ends when the sender is dropped. `ready` hears how the first connection went.
    pub(super) fn start(
        self,
        ready: oneshot::Sender<Result<(), Error>>,
    ) -> io::Result<mpsc::Sender<Job>> {
        let (sender, jobs) = mpsc::channel(WAITING_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name("postgres-writer".to_owned())
            .spawn(move || runtime.block_on(self.work(ready, jobs)))?;
        Ok(sender)
    }

    async fn work(
        mut self,
        ready: oneshot::Sender<Result<(), Error>>,
        mut jobs: mpsc::Receiver<Job>,
    ) {
        let connected = self.freshen().await;
        if ready.send(connected).is_err() {
            return;
        }
        while let Some(job) = jobs.recv().await {
            let ran = self.run(&job.batch, &job.policy).await;
            // Nobody waits any more: the batch stands all the same.
            let _ = job.answer.send(ran);
        }
    }

    async fn run(&mut self, batch: &[Command], policy: &Policy) -> Result<Ran, Error> {
        self.freshen().await?;
        let now = self.now();
        let Some(session) = &mut self.session else {
            return Err(Error::Unavailable("there is no connection".to_owned()));
        };
        session.server = ServerNumber(self.server.load(Ordering::Relaxed));
        let ran = run::run(session, &self.memory, batch, policy, now, &mut *self.random);
        let Ok(ran) = AssertUnwindSafe(ran).catch_unwind().await else {
            self.session = None;
            return Err(Error::Failed(
                "the rules broke down over this batch".to_owned(),
            ));
        };
        let is_settled = session.settle().await.is_ok();
        if !is_settled || matches!(ran, Err(Error::Unknown(_) | Error::Unavailable(_))) {
            self.session = None;
        }
        ran
    }

    fn now(&mut self) -> Timestamp {
        match &self.clock {
            Some(clock) => clock(),
            None => self.database_clock.lock().now(Instant::now()),
        }
    }

    /// A connection that works, a time that is at most a second old, and the lanes that others made.
    async fn freshen(&mut self) -> Result<(), Error> {
        let is_open = self
            .session
            .as_ref()
            .is_some_and(|session| !session.client.is_closed());
        if is_open && !self.database_clock.lock().is_stale(Instant::now()) {
            return Ok(());
        }
        if is_open && self.refresh().await.is_ok() {
            return Ok(());
        }
        self.session = None;
        let server = ServerNumber(self.server.load(Ordering::Relaxed));
        let session = Session::connect(&self.address, server).await;
        self.session = Some(session.map_err(|error| explain(&error))?);
        self.refresh().await?;
        // Nobody knows what became ready while there was no connection.
        self.memory.unsure(None);
        Ok(())
    }

    async fn refresh(&mut self) -> Result<(), Error> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let (said, lanes) = session.refresh(self.memory.lanes().last()).await?;
        self.database_clock.lock().received(said, Instant::now());
        let fresh: Vec<_> = lanes.iter().map(|(lane, _)| *lane).collect();
        self.memory.learn(lanes);
        for lane in fresh {
            self.memory.unsure(Some(lane));
        }
        Ok(())
    }
}
