//! The logs of runs: tables of their own, written over a connection of its own that does not wait for the disk.
//!
//! A batch is two round trips: "begin" with the runs' rows, held until the commit, then the lines with "commit". Those
//! that several servers append to at once wait for each other, in the order of their keys. What goes wrong costs the
//! connection and the batch, and its workers send it again.

mod reads;
mod session;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use taskyard_core::id::{RunKey, TaskId};
use taskyard_core::log::{Append, Appended, Logs, Page, Wanted};
use taskyard_core::store::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use self::session::Session;
use super::address::Address;
use super::desk::late;
use super::exchange::Voice;
use super::gone;
use super::readers::{Readers, too_late};
use crate::logs::{self, BATCH_BYTES_MAX, BATCH_MAX, Stored};

/// How many appends may wait; whoever sends more waits before that.
const WAITING_MAX: usize = 1024;

type Reply<T> = oneshot::Sender<Result<T, Error>>;

enum Job {
    Append(Append, Reply<Appended>),
    Forget(TaskId, Reply<()>),
}

pub(super) struct PostgresLogs {
    writer: mpsc::Sender<Job>,
    readers: Readers,
}

impl PostgresLogs {
    /// Connects with the first line that comes. What writes is a task of the runtime that this runs on, which ends with
    /// the value.
    pub(super) fn start(
        address: Address,
        readers: Readers,
        voice: Arc<Voice>,
        within: Duration,
    ) -> Self {
        let (writer, jobs) = mpsc::channel(WAITING_MAX);
        let desk = Desk {
            address,
            voice,
            within,
            session: None,
        };
        tokio::spawn(desk.work(jobs));
        Self { writer, readers }
    }

    async fn write<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let sent = self.writer.send(job(reply)).await;
        sent.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    async fn page_once(&self, wanted: Wanted) -> Result<Page, Error> {
        let mut lent = self.readers.lend().await?;
        let within = self.readers.within();
        let page = timeout(within, reads::page(&mut lent.reader(), wanted)).await;
        let page = page.unwrap_or_else(|_| Err(too_late(within)));
        lent.back_unless_away(page)
    }
}

#[async_trait]
impl Logs for PostgresLogs {
    async fn append(&self, append: Append) -> Result<Appended, Error> {
        self.write(|reply| Job::Append(append, reply)).await
    }

    async fn page(&self, wanted: Wanted) -> Result<Page, Error> {
        match self.page_once(wanted).await {
            // One that was found broken is not used again, and asking twice changes nothing.
            Err(Error::Unavailable(_)) => self.page_once(wanted).await,
            page => page,
        }
    }

    async fn tasks(&self, after: Option<TaskId>, limit: usize) -> Result<Vec<TaskId>, Error> {
        let mut lent = self.readers.lend().await?;
        let within = self.readers.within();
        let tasks = timeout(within, reads::tasks(&lent.reader(), after, limit)).await;
        let tasks = tasks.unwrap_or_else(|_| Err(too_late(within)));
        lent.back_unless_away(tasks)
    }

    async fn forget(&self, task: TaskId) -> Result<(), Error> {
        self.write(|reply| Job::Forget(task, reply)).await
    }
}

/// What writes, and its connection while it stands.
struct Desk {
    address: Address,
    /// Tells those who follow at other servers.
    voice: Arc<Voice>,
    session: Option<Session>,
    /// For all round trips of a batch, and to connect before them.
    within: Duration,
}

impl Desk {
    async fn work(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut next = jobs.recv().await;
        while let Some(job) = next.take() {
            match job {
                Job::Append(append, reply) => {
                    let (mut appends, mut bytes) = (vec![(append, reply)], 0);
                    while appends.len() < BATCH_MAX && bytes < BATCH_BYTES_MAX {
                        bytes += appends.last().map_or(0, |(append, _)| append.bytes());
                        match jobs.try_recv() {
                            Ok(Job::Append(append, reply)) => appends.push((append, reply)),
                            other => {
                                next = other.ok();
                                break;
                            }
                        }
                    }
                    self.append_all(appends).await;
                }
                Job::Forget(task, reply) => {
                    let forgot = self.forget(task).await;
                    drop(reply.send(forgot));
                }
            }
            if next.is_none() {
                next = jobs.recv().await;
            }
        }
    }

    /// As one transaction; where that fails, each in its own, so that a bad one fails alone.
    async fn append_all(&mut self, jobs: Vec<(Append, Reply<Appended>)>) {
        let (appends, replies): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
        match self.append(&appends).await {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    drop(reply.send(Ok(answer)));
                }
            }
            Err(Error::Failed(_) | Error::Unreadable(_)) if replies.len() > 1 => {
                for (reply, one) in replies.into_iter().zip(appends) {
                    let answer = self.append(&[one]).await;
                    drop(reply.send(answer.map(|mut answers| answers.remove(0))));
                }
            }
            Err(error) => {
                for reply in replies {
                    drop(reply.send(Err(error.clone())));
                }
            }
        }
    }

    /// Once more on a new connection if the one that there was turns out to be broken before anything happened.
    async fn append(&mut self, appends: &[Append]) -> Result<Vec<Appended>, Error> {
        match self.append_once(appends).await {
            Err(Error::Unavailable(_) | Error::Conflict) => self.append_once(appends).await,
            answers => answers,
        }
    }

    async fn append_once(&mut self, appends: &[Append]) -> Result<Vec<Appended>, Error> {
        let within = self.within;
        let writing = async {
            let session = self.connected().await?;
            let owners = logs::owners(appends);
            let stored: BTreeMap<RunKey, Stored> = session.lock(&owners).await?;
            let (changes, answers) = logs::decide(appends, stored);
            session.write(&changes).await?;
            Ok(answers)
        };
        let answers = timeout(within, writing).await;
        let answers = answers.unwrap_or_else(|_| Err(Error::Unknown(late(within))));
        if answers.is_ok() {
            self.voice.say(|hints| {
                let tasks = appends.iter().map(|append| append.owner.run.slot.task);
                tasks.for_each(|task| hints.note_lines(task));
            });
        }
        self.keep_if(answers)
    }

    async fn forget(&mut self, task: TaskId) -> Result<(), Error> {
        let within = self.within;
        let forgetting = async { self.connected().await?.forget(task).await };
        let forgot = timeout(within, forgetting).await;
        let forgot = forgot.unwrap_or_else(|_| Err(too_late(within)));
        self.keep_if(forgot)
    }

    /// A connection on which something went wrong is left, with the transaction that may be open there.
    fn keep_if<T>(&mut self, done: Result<T, Error>) -> Result<T, Error> {
        if done.is_err() {
            self.session = None;
        }
        done
    }

    async fn connected(&mut self) -> Result<&Session, Error> {
        let session = match self.session.take().filter(Session::is_open) {
            Some(session) => session,
            None => Session::connect(&self.address).await?,
        };
        Ok(self.session.insert(session))
    }
}
