//! What the engine asks of a store: run a batch, answer a query. A store knows no rule.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use async_trait::async_trait;

use crate::command::{self, Command};
use crate::hints::{Exchanged, Hints};
use crate::id::ServerNumber;
use crate::lane::Lanes;
use crate::log::{Logs, NoLogs};
use crate::policy::Policy;
use crate::query::{Answer, Query};
use crate::refused::Refused;
use crate::time::Timestamp;
use crate::topic::Topic;

/// A batch that was committed, all of it or what could be: durable before anybody hears of it.
#[derive(Debug)]
pub struct Ran {
    /// One for each command, in their order.
    pub replies: Vec<command::Answer>,
    pub topics: Vec<Topic>,
    /// Whether there was anything to write.
    pub wrote: bool,
    /// The store's time of the batch.
    pub now: Timestamp,
}

/// Why a batch, a command or a query got no answer. Nothing of it happened, unless it says `Unknown`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached or does not take writes at present; trying again later may help.
    #[error("the database is not available: {0}")]
    Unavailable(Away),
    /// The connection broke while the commit was under way: it may have happened.
    #[error("the commit's outcome is unknown: {0}")]
    Unknown(String),
    /// Nothing can be written until there is room; reads go on.
    #[error("the disk that holds the database is full")]
    Full,
    /// Others kept changing the same rows.
    #[error("other servers kept changing the same rows")]
    Conflict,
    /// The database refused or the rules broke down over its rows: a bug, or rows that nobody wrote so. Of a batch this is
    /// said of the commands that cause it, and the others are committed.
    #[error("the database failed: {0}")]
    Failed(String),
    /// To a question: a row holds what nobody wrote there, and which column that is. Others can be read.
    #[error("a row cannot be read: {0}")]
    Unreadable(String),
    /// The database's file is not what was written: nothing more is, and somebody has to put a backup in its place.
    #[error("the database is damaged: {0}")]
    Damaged(String),
}

/// Why a database is not available.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    pub cause: Cause,
    /// In a line, for the log: it may name machines and files.
    pub detail: String,
}

/// What may be told to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its file is not where it was.
    Moved,
    /// Nobody answers where it should be, or nobody is let in at present.
    Unreachable,
    /// It answers, and has no room for another connection.
    Crowded,
    /// Somebody else holds a lock that was waited for in vain.
    Held,
    /// It is set to read only, or a standby.
    ReadOnly,
    /// It was asked and says nothing.
    Silent,
    /// It was the primary once, and another one has taken its place since.
    Superseded,
    /// Its tables were brought to where this program cannot write to them any more.
    Newer,
    Other,
}

impl Cause {
    pub fn with(self, detail: impl Into<String>) -> Away {
        Away {
            cause: self,
            detail: detail.into(),
        }
    }
}

impl From<String> for Away {
    fn from(detail: String) -> Self {
        Cause::Other.with(detail)
    }
}

impl From<&str> for Away {
    fn from(detail: &str) -> Self {
        Cause::Other.with(detail)
    }
}

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// Closes a batch, which more may join until then, and says what is in it.
pub type Close = Box<dyn FnOnce() -> Vec<Command> + Send>;

#[async_trait]
pub trait Store: Send + Sync {
    /// Runs the commands as one transaction, each seeing what the ones before it did; where one of them makes that
    /// fail, in several, so that it fails alone. Batches run in the order in which their futures are first polled.
    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, Error>;

    /// As [`Store::run`], of a batch that is open until its turn comes, and closed then, or dropped.
    async fn run_open(&self, close: Close, policy: &Policy) -> Result<Ran, Error> {
        self.run(close(), policy).await
    }

    /// How many batches it takes at once: more than one where the next can run before the last is answered.
    fn batches_max(&self) -> usize {
        1
    }

    /// Lists, counts and single rows, on connections of their own. An answer may be a moment old.
    async fn read(&self, query: Query) -> Result<Answer, Error>;

    /// Takes away everything but the schema, the servers, and the lanes' rows, which servers know by heart: all of it or
    /// nothing, between two batches, with a new incarnation. No number or epoch of a worker is given again. Refused where
    /// another server says that it is up. A store that is only for trying something is not emptied.
    async fn reset(&self) -> Result<Result<(), Refused>, Error> {
        Err(Error::Failed("this store cannot be emptied".to_owned()))
    }

    /// What is wrong with it at present, where it looks after that by itself: also while nobody has anything to write, and
    /// as soon as what is under way takes too long.
    fn trouble(&self) -> Option<Error> {
        None
    }

    /// What runs printed, on connections and threads of its own. A store that is only for trying something has none.
    fn logs(&self) -> &dyn Logs {
        static NONE: NoLogs = NoLogs(Cow::Borrowed("this store keeps no logs"));
        &NONE
    }

    /// The database's file, if it is one; for people.
    fn path(&self) -> Option<&Path> {
        None
    }

    /// The time by which this store judges, at the earliest that of the latest batch.
    fn now(&self) -> Timestamp;

    /// Random, made with the database, and anew when it is emptied or put back: part of every lease's token, so that
    /// tokens of a database that this one took the place of mean nothing here.
    fn incarnation(&self) -> [u8; 16];

    /// Counts how often the database went over to a copy of it, as in a failover: what was written last may be missing there,
    /// so what is known by heart is to be looked at again.
    fn moves(&self) -> u64 {
        0
    }

    /// From the next batch on, this server's counters are kept under its number, so that servers do not wait for each
    /// other over them. A store that only one server can have needs none.
    fn count_as(&self, _server: ServerNumber) {}

    /// The lanes this store knows by now.
    fn lanes(&self) -> std::sync::Arc<Lanes>;

    /// Lets a lane be looked at again: another server, or nobody knows who, may have put something there. Where that takes long
    /// what stands well before the lane's known beginning is found later, half a minute at most.
    fn unsure(&self, lane: Option<crate::lane::Lane>);

    /// What other servers on the same database have told since this resolved last, not this one's own. A store begins to
    /// listen, and to tell others of what it commits, when this is first asked; whoever drops the answer unread has missed
    /// it. Where nobody tells anything it never resolves: it is no more than a hint, and nothing may depend on it.
    async fn heard(&self) -> Hints {
        std::future::pending().await
    }

    /// How much was told and heard so far.
    fn exchanged(&self) -> Exchanged {
        Exchanged::default()
    }
}
