//! The threads behind the store: one that writes, some that read, and after an unclean stop one that checks. Those
//! that sync and move the log stand in [`super::answers`] and [`super::checkpoint`].

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use rusqlite::{Connection, InterruptHandle};
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::random::Random;
use taskyard_core::store::{Close, Error, Ran};
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::answers::{Answer as Held, Answers};
use super::checkpoint::Checkpoints;
use super::fields::Read;
use super::inline::Inline;
use super::log::{Hooks, Log};
use super::reads;
use crate::Clock;

/// How many questions may wait for a thread; whoever asks more waits before that, and leaves when it likes.
const QUESTIONS_MAX: usize = 1024;
/// How many batches and pings may wait besides. The engine bounds what it sends, so this is not reached by it.
const BATCHES_MAX: usize = 1024;

/// How often a thread that writes looks for another batch before it sleeps: some 100 µs where nobody else wants its core,
/// and no more than so many turns where somebody does. Where one caller sends one thing after the other, waking the thread
/// anew would be a good part of each answer's time.
const LOOKS_BEFORE_SLEEP: usize = 250;

type Reply<T> = oneshot::Sender<Result<T, Error>>;

pub(super) enum Job {
    Run {
        close: Close,
        policy: Box<Policy>,
        reply: Reply<Ran>,
    },
    /// Takes everything away; the new incarnation.
    Reset(Reply<[u8; 16]>),
    /// A question for the writing connection.
    Read(Asked),
}

/// Between the writer and the disk; a database in memory has none.
pub(super) struct Disk {
    pub(super) answers: Answers,
    pub(super) checkpoints: Checkpoints,
}

impl Disk {
    pub(super) fn start(path: &Path, moving: Connection, hooks: Hooks) -> io::Result<Self> {
        let (every, bytes_max, give_up) = (
            hooks.checkpoint_every,
            hooks.log_bytes_max,
            hooks.give_up.clone(),
        );
        let log = Arc::new(Log::beside(path, hooks)?);
        Ok(Self {
            answers: Answers::over(Arc::clone(&log))?,
            checkpoints: Checkpoints::start(moving, log, every, bytes_max, give_up)?,
        })
    }
}

pub(super) struct Asked {
    pub(super) query: Query,
    pub(super) reply: Reply<Answer>,
    /// Its place among those that wait, which is another's once it is answered or left.
    pub(super) turn: Option<Turn>,
}

pub(super) type Turn = OwnedSemaphorePermit;

/// A thread and the line of calls that wait for it, first come, first served. It takes memory for those that do: a line
/// of the standard library has all its places from the start.
pub(super) struct Line<T> {
    calls: Option<Sender<T>>,
    turns: Arc<Semaphore>,
    threads: Vec<JoinHandle<()>>,
}

impl<T> Line<T> {
    pub(super) fn new() -> (Self, Receiver<T>) {
        let (calls, waiting) = mpsc::channel(QUESTIONS_MAX + BATCHES_MAX);
        let line = Self {
            calls: Some(calls),
            turns: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            threads: Vec::new(),
        };
        (line, waiting)
    }

    /// Resolves when one more may ask, first come, first served.
    pub(super) async fn turn(&self) -> Turn {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        turn.expect("it is never closed")
    }

    pub(super) fn send(&self, call: T) -> Result<(), Error> {
        let calls = self.calls.as_ref().expect("open until it is dropped");
        calls.try_send(call).map_err(|error| {
            let why = match error {
                TrySendError::Full(_) => "too many calls wait for the database already",
                TrySendError::Closed(_) => "the database's thread has ended",
            };
            Error::Unavailable(why.into())
        })
    }

    /// That thread ends with the line.
    pub(super) fn holds(&mut self, thread: JoinHandle<()>) {
        self.threads.push(thread);
    }

    /// Whoever waits is answered, then the threads end.
    pub(super) fn close(&mut self) {
        self.calls = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}

pub(super) fn writer(
    mut inline: Inline,
    disk: Option<Disk>,
    clock: Clock,
    mut random: Box<dyn Random>,
) -> io::Result<Line<Job>> {
    let (mut line, mut waiting) = Line::<Job>::new();
    let thread = named("sqlite-writer").spawn(move || {
        let mut next = waiting.blocking_recv();
        while let Some(job) = next {
            let rows_before = inline.connection().total_changes();
            let answer = job.run(&mut inline, &clock, &mut *random);
            next = waiting.try_recv().ok();
            match &disk {
                None => answer(),
                Some(disk) => {
                    let wrote = inline.connection().total_changes() != rows_before;
                    disk.answers.give(answer, wrote, next.is_some());
                    if wrote {
                        disk.checkpoints.between_batches(inline.connection());
                    }
                }
            }
            next = next.or_else(|| soon_or_later(&mut waiting));
        }
    })?;
    line.holds(thread);
    Ok(line)
}

fn soon_or_later(waiting: &mut Receiver<Job>) -> Option<Job> {
    for _ in 0..LOOKS_BEFORE_SLEEP {
        match waiting.try_recv() {
            Err(TryRecvError::Empty) => thread::yield_now(),
            found => return found.ok(),
        }
    }
    waiting.blocking_recv()
}

impl Job {
    /// Whoever asked may have gone when the answer is given; what was committed stays.
    fn run(self, inline: &mut Inline, clock: &Clock, random: &mut dyn Random) -> Held {
        match self {
            Self::Run {
                close,
                policy,
                reply,
            } => {
                let ran = inline.run_blocking(&close(), &policy, clock(), random);
                Box::new(move || drop(reply.send(ran)))
            }
            Self::Reset(reply) => {
                let incarnation = inline.reset_blocking(random);
                Box::new(move || drop(reply.send(incarnation)))
            }
            Self::Read(asked) => asked.answer_by(|query| inline.read_blocking(query)),
        }
    }
}

impl Asked {
    /// Whose asker has gone is not looked for: enough of them would keep those behind them waiting.
    fn answer_by(self, read: impl FnOnce(&Query) -> Result<Answer, Error>) -> Held {
        let Self { query, reply, turn } = self;
        let answer = (!reply.is_closed()).then(|| read(&query));
        Box::new(move || {
            if let Some(answer) = answer {
                drop(reply.send(answer));
            }
            drop(turn);
        })
    }
}

pub(super) fn readers(connections: Vec<Connection>) -> io::Result<Line<Asked>> {
    let (mut line, waiting) = Line::new();
    let waiting = Arc::new(Mutex::new(waiting));
    for connection in connections {
        let waiting = Arc::clone(&waiting);
        let thread = named("sqlite-reader").spawn(move || {
            while let Some(asked) = next(&waiting) {
                asked.answer_by(|query| reads::read(&connection, query))();
            }
        });
        line.holds(thread?);
    }
    Ok(line)
}

/// One of the readers waits here for the next question, the others for their turn to.
fn next(waiting: &Mutex<Receiver<Asked>>) -> Option<Asked> {
    waiting.lock().blocking_recv()
}

/// Looks through the whole file beside the service, and says what it found.
pub(super) struct Check {
    stop: InterruptHandle,
    thread: Option<JoinHandle<()>>,
    found: Arc<Mutex<Option<String>>>,
}

impl Check {
    pub(super) fn start(connection: Connection, path: &Path) -> io::Result<Self> {
        let found = Arc::new(Mutex::new(None));
        let (stop, damage, path) = (
            connection.get_interrupt_handle(),
            Arc::clone(&found),
            PathBuf::from(path),
        );
        let thread = named("sqlite-check").spawn(move || match quick_check(&connection) {
            Ok(said) if said == "ok" => tracing::info!(path = %path.display(), "the database is whole after the unclean stop"),
            Ok(said) => {
                tracing::error!(path = %path.display(), damage = %said, "the database is damaged: stop the server and restore a backup");
                *damage.lock() = Some(said);
            }
            Err(error) => tracing::warn!(path = %path.display(), %error, "the database could not be checked to its end"),
        })?;
        Ok(Self {
            stop,
            thread: Some(thread),
            found,
        })
    }

    pub(super) fn damage(&self) -> Option<String> {
        self.found.lock().clone()
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        self.stop.interrupt();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn quick_check(connection: &Connection) -> Read<String> {
    connection.query_row("pragma quick_check(1)", [], |row| row.get(0))
}

pub(super) fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}
