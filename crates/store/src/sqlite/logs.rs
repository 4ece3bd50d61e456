//! The logs of runs: a file beside the database, with a thread that writes and one that reads.
//!
//! Lines are many and none is worth a wait for the disk: a commit only writes this file's own write-ahead log, and a
//! power cut takes the lines since the last checkpoint with it, some 16 MiB at most; the file itself stays whole. The
//! end of the process costs nothing. Whatever is wrong with this file, the tasks go on without it: it is told by
//! everything that is asked of it, until a server starts on a file that is whole.

pub(super) mod open;
mod reads;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::slice::from_ref;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use rusqlite::{Connection, params};
use taskyard_core::id::{RunKey, TaskId};
use taskyard_core::log::{Append, Appended, Log, Logs, Owner, Page, Wanted};
use taskyard_core::store::Error;
use tokio::sync::oneshot;

use self::open::Opened;
use super::connection::one;
use super::error::explain;
use super::fields::{Fields, Read};
use super::home::Home;
use super::open::OpenError;
use super::threads::{Line, named};
use super::{gone, sql};
use crate::columns;
use crate::logs::{self, BATCH_BYTES_MAX, BATCH_MAX, Changes, Stored};

type Reply<T> = oneshot::Sender<Result<T, Error>>;

pub(super) struct SqliteLogs {
    writer: Line<Job>,
    /// None where the writer reads as well.
    reader: Option<Line<Question>>,
    state: Arc<State>,
}

enum Job {
    Append(Append, Reply<Appended>),
    Forget(TaskId, Reply<()>),
    ForgetAll(Reply<()>),
    Read(Question),
}

enum Question {
    Page(Wanted, Reply<Page>),
    Tasks(Option<TaskId>, usize, Reply<Vec<TaskId>>),
}

/// Whether the file is good for anything.
struct State {
    home: Option<Home>,
    /// The first damage that was met.
    damage: OnceLock<String>,
}

impl SqliteLogs {
    /// Opens the file of logs of this database, or makes it.
    pub(super) fn beside(database: &Path, incarnation: &[u8; 16]) -> Result<Self, OpenError> {
        let path = open::of(database);
        let Opened {
            writing,
            reading,
            home,
            lock,
        } = open::file(&path, incarnation)?;
        let broken = |source| OpenError::Io {
            path: path.clone(),
            source,
        };
        let state = Arc::new(State {
            home: Some(home),
            damage: OnceLock::new(),
        });
        let reader = reader(reading).map_err(broken)?;
        let writer = writer(writing, Arc::clone(&state), lock).map_err(broken)?;
        Ok(Self {
            writer,
            reader: Some(reader),
            state,
        })
    }

    /// Logs that end with the store.
    pub(super) fn in_memory(incarnation: &[u8; 16]) -> Result<Self, OpenError> {
        let path = Path::new(":memory:");
        let connection = open::in_memory(incarnation)?;
        let state = Arc::new(State {
            home: None,
            damage: OnceLock::new(),
        });
        let writer = writer(connection, Arc::clone(&state), None);
        let writer = writer.map_err(|source| OpenError::Io {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            writer,
            reader: None,
            state,
        })
    }

    /// Takes every log away.
    pub(super) async fn forget_all(&self) -> Result<(), Error> {
        self.answer(|reply| self.writer.send(Job::ForgetAll(reply)))
            .await
    }

    fn ask(&self, question: Question) -> Result<(), Error> {
        match &self.reader {
            Some(reader) => reader.send(question),
            None => self.writer.send(Job::Read(question)),
        }
    }

    async fn answer<T>(&self, ask: impl FnOnce(Reply<T>) -> Result<(), Error>) -> Result<T, Error> {
        self.state.healthy()?;
        let (reply, answer) = oneshot::channel();
        ask(reply)?;
        let answer = answer.await.map_err(|_| gone())?;
        self.state.heed(answer.as_ref().err());
        answer
    }
}

impl State {
    fn healthy(&self) -> Result<(), Error> {
        match self.damage.get() {
            Some(damage) => Err(Error::Damaged(damage.clone())),
            None => Ok(()),
        }
    }

    fn is_there(&self) -> Result<(), Error> {
        self.home.as_ref().map_or(Ok(()), Home::is_there)
    }

    /// What is damaged in one place is not to be trusted in others.
    fn heed(&self, error: Option<&Error>) {
        if let Some(Error::Damaged(damage)) = error
            && self.damage.set(damage.clone()).is_ok()
        {
            tracing::error!(
                %damage,
                "the file of logs is damaged: no log is kept or shown until it is moved away and the server started \
                 again; tasks are not concerned"
            );
        }
    }
}

#[async_trait]
impl Logs for SqliteLogs {
    async fn append(&self, append: Append) -> Result<Appended, Error> {
        self.answer(|reply| self.writer.send(Job::Append(append, reply)))
            .await
    }

    async fn page(&self, wanted: Wanted) -> Result<Page, Error> {
        self.answer(|reply| self.ask(Question::Page(wanted, reply)))
            .await
    }

    async fn tasks(&self, after: Option<TaskId>, limit: usize) -> Result<Vec<TaskId>, Error> {
        self.answer(|reply| self.ask(Question::Tasks(after, limit, reply)))
            .await
    }

    async fn forget(&self, task: TaskId) -> Result<(), Error> {
        self.answer(|reply| self.writer.send(Job::Forget(task, reply)))
            .await
    }

    fn trouble(&self) -> Option<Error> {
        let state = &self.state;
        state.healthy().and_then(|()| state.is_there()).err()
    }
}

impl Drop for SqliteLogs {
    fn drop(&mut self) {
        if let Some(reader) = &mut self.reader {
            reader.close();
        }
        self.writer.close();
    }
}

/// `lock` is held as long as the connection is open.
fn writer(connection: Connection, state: Arc<State>, lock: Option<File>) -> io::Result<Line<Job>> {
    let (mut line, mut waiting) = Line::<Job>::new();
    let thread = named("sqlite-logs").spawn(move || {
        let mut next = waiting.blocking_recv();
        while let Some(job) = next.take() {
            match job {
                Job::Append(append, reply) => {
                    let (mut appends, mut bytes) = (vec![(append, reply)], 0);
                    while appends.len() < BATCH_MAX && bytes < BATCH_BYTES_MAX {
                        bytes += appends.last().map_or(0, |(append, _)| append.bytes());
                        match waiting.try_recv() {
                            Ok(Job::Append(append, reply)) => appends.push((append, reply)),
                            other => {
                                next = other.ok();
                                break;
                            }
                        }
                    }
                    append_all(&connection, &state, appends);
                }
                Job::Forget(task, reply) => {
                    let forgot = state.is_there().and_then(|()| forget(&connection, task));
                    drop(reply.send(forgot));
                }
                Job::ForgetAll(reply) => {
                    let forgot = state.is_there().and_then(|()| forget_all(&connection));
                    drop(reply.send(forgot));
                }
                Job::Read(question) => question.answer(&connection),
            }
            next = next.or_else(|| waiting.blocking_recv());
        }
        drop(connection);
        drop(lock);
    })?;
    line.holds(thread);
    Ok(line)
}

fn reader(connection: Connection) -> io::Result<Line<Question>> {
    let (mut line, mut waiting) = Line::<Question>::new();
    let thread = named("sqlite-logs-reader").spawn(move || {
        while let Some(question) = waiting.blocking_recv() {
            question.answer(&connection);
        }
    })?;
    line.holds(thread);
    Ok(line)
}

impl Question {
    /// Whose asker has gone is not looked for.
    fn answer(self, connection: &Connection) {
        match self {
            Self::Page(wanted, reply) if !reply.is_closed() => {
                drop(reply.send(reads::page(connection, wanted).map_err(explain)));
            }
            Self::Tasks(after, limit, reply) if !reply.is_closed() => {
                drop(reply.send(reads::tasks(connection, after, limit).map_err(explain)));
            }
            Self::Page(..) | Self::Tasks(..) => {}
        }
    }
}

/// As one transaction; where that fails, each in its own, so that a bad one fails alone.
fn append_all(connection: &Connection, state: &State, jobs: Vec<(Append, Reply<Appended>)>) {
    let (appends, replies): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
    let append = |appends| state.is_there().and_then(|()| append(connection, appends));
    match append(&*appends) {
        Ok(answers) => {
            for (reply, answer) in replies.into_iter().zip(answers) {
                drop(reply.send(Ok(answer)));
            }
        }
        Err(Error::Failed(_) | Error::Unreadable(_)) if replies.len() > 1 => {
            for (reply, one) in replies.into_iter().zip(&appends) {
                let answer = append(from_ref(one)).map(|mut answers| answers.remove(0));
                drop(reply.send(answer));
            }
        }
        Err(error) => {
            for reply in replies {
                drop(reply.send(Err(error.clone())));
            }
        }
    }
}

fn append(connection: &Connection, appends: &[Append]) -> Result<Vec<Appended>, Error> {
    let append = || {
        let tx = connection.unchecked_transaction()?;
        let mut stored = BTreeMap::new();
        for (run, owner) in logs::owners(appends) {
            stored.insert(run, load_or_make(&tx, owner)?);
        }
        let (changes, answers) = logs::decide(appends, stored);
        write(&tx, &changes)?;
        tx.commit()?;
        Ok(answers)
    };
    append().map_err(explain)
}

fn load_or_make(tx: &Connection, owner: Owner) -> Read<Stored> {
    let RunKey { slot, fence } = owner.run;
    let key = params![slot.task.as_bytes(), slot.slot.0, fence.0];
    let read = |fields: &mut Fields<'_>| {
        Ok(Stored {
            id: fields.take()?,
            log: Log {
                owner: Owner {
                    run: owner.run,
                    claimed_at: fields.time()?,
                    attempt: fields.take()?,
                },
                next_seq: fields.decode(columns::unsigned)?,
                bytes: fields.decode(columns::unsigned)?,
                is_full: fields.take()?,
            },
        })
    };
    if let Some(stored) = one(tx, sql::LOG_RUN_LOAD, key, read)? {
        return Ok(stored);
    }
    let log = Log::new(owner);
    tx.prepare_cached(sql::LOG_RUN_INSERT)?.execute(params![
        slot.task.as_bytes(),
        slot.slot.0,
        fence.0,
        owner.claimed_at.as_micros(),
        owner.attempt,
        log.next_seq,
        bytes(&log),
        log.is_full,
    ])?;
    let id = tx.last_insert_rowid();
    Ok(Stored { id, log })
}

fn write(tx: &Connection, changes: &Changes) -> Read<()> {
    for run in &changes.cleared {
        tx.prepare_cached(sql::LOG_CHUNK_CLEAR)?.execute([run])?;
    }
    let mut insert = tx.prepare_cached(sql::LOG_CHUNK_INSERT)?;
    for chunk in &changes.chunks {
        insert.execute(params![chunk.run, chunk.seq, chunk.lines])?;
    }
    let mut update = tx.prepare_cached(sql::LOG_RUN_UPDATE)?;
    for Stored { id, log } in &changes.logs {
        update.execute(params![
            id,
            log.owner.claimed_at.as_micros(),
            log.owner.attempt,
            log.next_seq,
            bytes(log),
            log.is_full,
        ])?;
    }
    Ok(())
}

fn bytes(log: &Log) -> i64 {
    i64::try_from(log.bytes).unwrap_or(i64::MAX)
}

fn forget(connection: &Connection, task: TaskId) -> Result<(), Error> {
    let forget = || {
        let tx = connection.unchecked_transaction()?;
        let id = [task.as_bytes()];
        tx.prepare_cached(sql::LOG_CHUNK_DELETE)?.execute(id)?;
        tx.prepare_cached(sql::LOG_RUN_DELETE)?.execute(id)?;
        tx.commit()
    };
    forget().map_err(explain)
}

fn forget_all(connection: &Connection) -> Result<(), Error> {
    let forget = || {
        let tx = connection.unchecked_transaction()?;
        tx.execute_batch(sql::LOG_DELETE)?;
        tx.commit()
    };
    forget().map_err(explain)
}
