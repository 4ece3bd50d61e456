//! SQLite: one file, one thread that owns the one connection that writes, and a few that only read.
//!
//! A batch is on the disk before it is answered. The writer's commits only write the log; their answers are held until
//! a thread of its own has synced it, once for all that wait, while the next batch runs. So a reader may see a commit
//! some tenth of a millisecond before it is durable; whoever made it hears of it after. Batches run in the order in
//! which they were sent and are answered in that order; who is alone stays awake for the answer. Readers see the last
//! commit and never wait for the writer. A database in memory has no readers beside it: the writer answers between two
//! batches.

mod alone;
mod answers;
mod backup;
mod checkpoint;
mod commit;
mod connection;
mod damage;
mod error;
mod family;
mod fields;
mod file;
mod home;
mod inline;
mod inspect;
mod kept;
mod list;
mod lock;
mod log;
mod logs;
mod migrations;
mod open;
mod pick;
mod queues;
mod reads;
mod reset;
mod restore;
mod rows;
mod sql;
mod starting;
#[cfg(test)]
mod tests;
mod threads;
mod tx;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::Connection;
use taskyard_core::command::Command;
use taskyard_core::lane::{Lane, Lanes};
use taskyard_core::log::{Logs, NoLogs};
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::random::Random;
use taskyard_core::refused::Refused;
use taskyard_core::store::{Close, Error, Ran, Store};
use taskyard_core::time::Timestamp;
use tokio::sync::oneshot;

use self::alone::Alone;
pub use self::backup::{BackupError, LogsCopied, Taken, backup};
use self::damage::Damage;
pub use self::file::behind_links;
use self::home::Home;
pub use self::inline::Inline;
pub use self::inspect::{check, stats};
#[doc(hidden)]
pub use self::list::statements as list_statements;
pub use self::lock::Holder;
use self::lock::Lock;
use self::log::Hooks;
use self::logs::SqliteLogs;
pub use self::open::OpenError;
use self::open::Opened;
pub use self::reset::reset;
pub use self::restore::{is_cut_short, renew, restore};
use self::threads::{Asked, Check, Disk, Job, Line};
use crate::Clock;
use crate::run::{self, Memory};

/// How many connections answer questions.
pub const READERS: usize = 2;

pub struct Options {
    pub clock: Clock,
    /// Of the leases' secrets and the database's incarnation, so for a service one that cannot be guessed.
    pub random: Box<dyn Random>,
    /// Where this process listens, for whoever finds the file in use.
    pub listens_on: Option<SocketAddr>,
    /// Called before the process is ended because nobody knows any more what the disk holds: returns once what was logged
    /// is written, or that takes too long.
    pub last_words: fn(),
}

pub struct SqliteStore {
    writer: Line<Job>,
    alone: Alone,
    readers: Option<Line<Asked>>,
    check: Option<Check>,
    damage: Damage,
    home: Option<Home>,
    memory: Arc<Memory>,
    clock: Clock,
    incarnation: Mutex<[u8; 16]>,
    logs: Kept,
    lock: Option<Lock>,
}

impl SqliteStore {
    /// Opens the database in this file, or makes it. It is closed when the store is dropped, which waits for the
    /// batch under way.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        Self::open_with(path, options, Hooks::default())
    }

    fn open_with(path: &Path, mut options: Options, mut hooks: Hooks) -> Result<Self, OpenError> {
        let path = &file::behind_links(path);
        hooks.give_up = hooks.give_up.behind(options.last_words);
        let Options {
            random, listens_on, ..
        } = &mut options;
        // Whatever fails from here on: all that is declared behind the first of the two is dropped before it.
        let (mut starting, opened) =
            open::file(path, hooks.log_bytes_max, *listens_on, &mut **random)?;
        let reading = || connection::reading(path).map_err(|error| open::explain(path, &error));
        let readers = (0..READERS)
            .map(|_| reading())
            .collect::<Result<Vec<_>, _>>()?;
        let broken = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        let check = if starting.after_unclean_stop() {
            Some(Check::start(reading()?, path).map_err(broken)?)
        } else {
            None
        };
        let moving =
            connection::checkpointing(path).map_err(|error| open::explain(path, &error))?;
        let mut store = Self::start(opened, options, Some((path, moving, hooks)))
            .map_err(|start| start.at(path))?;
        store.check = check;
        store.home = Some(Home::of(path).map_err(broken)?);
        store.readers = Some(threads::readers(readers).map_err(broken)?);
        store.logs = logs_beside(path, &store.incarnation());
        store.lock = starting.has_begun().map_err(broken)?;
        Ok(store)
    }

    /// An empty database that ends with the store.
    pub fn in_memory(mut options: Options) -> Result<Self, OpenError> {
        let opened = open::in_memory(&mut *options.random)?;
        let mut store =
            Self::start(opened, options, None).map_err(|start| start.at(Path::new(":memory:")))?;
        store.logs = Kept::Here(SqliteLogs::in_memory(&store.incarnation())?);
        Ok(store)
    }

    fn start(
        opened: Opened,
        options: Options,
        disk: Option<(&Path, Connection, Hooks)>,
    ) -> Result<Self, NotStarted> {
        let path = disk
            .as_ref()
            .map_or(Path::new(":memory:"), |(path, _, _)| path);
        let damage = Damage::none(path);
        let give_up = disk.as_ref().map(|(_, _, hooks)| hooks.give_up.clone());
        let inline = Inline::over(opened.connection, give_up.unwrap_or_default())?;
        let memory = inline.memory();
        let disk = disk.map(|(path, moving, hooks)| Disk::start(path, moving, hooks));
        let clock = Arc::clone(&options.clock);
        Ok(Self {
            writer: threads::writer(inline, disk.transpose()?, clock, options.random)?,
            alone: Alone::new(),
            readers: None,
            check: None,
            damage,
            home: None,
            memory,
            clock: options.clock,
            incarnation: Mutex::new(opened.incarnation),
            logs: Kept::Nowhere(NoLogs("they are not open yet".into())),
            lock: None,
        })
    }

    fn healthy(&self) -> Result<(), Error> {
        let checked = self.check.as_ref().and_then(Check::damage);
        let met = || self.damage.found().map(str::to_owned);
        if let Some(damage) = checked.or_else(met) {
            return Err(Error::Damaged(damage));
        }
        self.home.as_ref().map_or(Ok(()), Home::is_there)
    }
}

/// Whatever is wrong with the file of logs, tasks are served: then there are no logs, and everything that asks for them
/// is told why.
fn logs_beside(path: &Path, incarnation: &[u8; 16]) -> Kept {
    match SqliteLogs::beside(path, incarnation) {
        Ok(logs) => Kept::Here(logs),
        Err(error) => {
            tracing::error!(
                %error,
                "no logs of tasks are kept or shown until this is mended and the server started again"
            );
            Kept::Nowhere(NoLogs(error.to_string().into()))
        }
    }
}

/// Where the logs are.
enum Kept {
    Here(SqliteLogs),
    Nowhere(NoLogs),
}

#[derive(Debug, thiserror::Error)]
enum NotStarted {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Thread(#[from] std::io::Error),
}

impl NotStarted {
    fn at(self, path: &Path) -> OpenError {
        match self {
            Self::Open(error) => error,
            Self::Thread(source) => OpenError::Io {
                path: path.to_owned(),
                source,
            },
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, Error> {
        self.run_open(Box::new(move || batch), policy).await
    }

    async fn run_open(&self, close: Close, policy: &Policy) -> Result<Ran, Error> {
        // Writing on into a damaged file would only spread the damage.
        self.healthy()?;
        let (reply, ran) = oneshot::channel();
        let begun = self.alone.begin();
        self.writer.send(Job::Run {
            close,
            policy: Box::new(policy.clone()),
            reply,
        })?;
        begun.watch(|| !ran.is_empty()).await;
        let ran = ran.await.map_err(|_| gone())?;
        begun.answered(ran.as_ref().map_or(0, |ran| ran.replies.len()));
        self.damage.heed(run::cut_short(&ran));
        ran
    }

    /// One that runs, one whose answers wait for the disk, and one that is next in the line.
    fn batches_max(&self) -> usize {
        3
    }

    async fn read(&self, query: Query) -> Result<Answer, Error> {
        let is_ping = matches!(query, Query::Ping);
        let (reply, answer) = oneshot::channel();
        let asked = |turn| Asked { query, reply, turn };
        match (&self.readers, is_ping) {
            (_, true) => {
                self.healthy()?;
                self.writer.send(Job::Read(asked(None)))?;
            }
            (None, false) => {
                let turn = self.writer.turn().await;
                self.writer.send(Job::Read(asked(Some(turn))))?;
            }
            (Some(readers), false) => {
                let turn = readers.turn().await;
                readers.send(asked(Some(turn)))?;
            }
        }
        let answer = answer.await.map_err(|_| gone())?;
        self.damage.heed(answer.as_ref().err());
        answer
    }

    async fn reset(&self) -> Result<Result<(), Refused>, Error> {
        self.healthy()?;
        let (reply, done) = oneshot::channel();
        self.writer.send(Job::Reset(reply))?;
        let done = done.await.map_err(|_| gone())?;
        self.damage.heed(done.as_ref().err());
        *self.incarnation.lock() = done?;
        // Behind the tasks: a crash in between leaves logs of tasks that are gone, which are swept.
        if let Kept::Here(logs) = &self.logs
            && let Err(error) = logs.forget_all().await
        {
            tracing::warn!(%error, "everything is gone but the logs, which are looked through for those of tasks that are gone");
        }
        Ok(Ok(()))
    }

    fn logs(&self) -> &dyn Logs {
        match &self.logs {
            Kept::Here(logs) => logs,
            Kept::Nowhere(none) => none,
        }
    }

    fn path(&self) -> Option<&Path> {
        self.home.as_ref().map(Home::database)
    }

    fn now(&self) -> Timestamp {
        (self.clock)().max(self.memory.latest())
    }

    fn incarnation(&self) -> [u8; 16] {
        *self.incarnation.lock()
    }

    fn lanes(&self) -> Arc<Lanes> {
        self.memory.lanes()
    }

    fn unsure(&self, lane: Option<Lane>) {
        self.memory.unsure(lane);
    }
}

/// Its thread ended with the call in hand.
fn gone() -> Error {
    Error::Unknown("the database's thread ended before it answered".to_owned())
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.check = None;
        if let Some(readers) = &mut self.readers {
            readers.close();
        }
        // The last connection to close moves the log into the file: a kill between that and the last word is no loss.
        let goes = self.lock.as_mut().map_or(Ok(()), Lock::log_goes);
        self.writer.close();
        if let Some(lock) = self.lock.take()
            && let Err(error) = goes.and(lock.stopped_clean())
        {
            tracing::warn!(%error, "the clean stop could not be noted; the next start checks the database");
        }
    }
}
