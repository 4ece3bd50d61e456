//! The writer itself, called in line: no thread, no clock, no randomness of its own. Simulations and comparisons
//! run it over a database in memory; [`super::SqliteStore`] runs it on its thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;
use rusqlite::Connection;
use taskyard_core::command::Command;
use taskyard_core::lane::{Lane, Lanes};
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::random::Random;
use taskyard_core::rows::Server;
use taskyard_core::store::{Error, Ran};
use taskyard_core::time::Timestamp;

use super::connection::{all, one};
use super::error::explain;
use super::fields::Read;
use super::kept::Kept;
use super::log::GiveUp;
use super::open::{self, OpenError};
use super::tx::Writing;
use super::{reads, sql};
use crate::incarnation;
use crate::rows::{key, presence, queue};
use crate::run::{self, Memory};

pub struct Inline {
    writing: Writing,
    memory: Arc<Memory>,
}

impl Inline {
    /// An empty database in memory.
    pub fn new(random: &mut dyn Random) -> Result<Self, OpenError> {
        Self::over(open::in_memory(random)?.connection, GiveUp::default())
    }

    pub(super) fn over(connection: Connection, give_up: GiveUp) -> Result<Self, OpenError> {
        let memory = Memory::default();
        let writing = Writing {
            connection,
            give_up,
            kept: Kept::default(),
        };
        let start = || -> Read<()> {
            let last = one(&writing.connection, sql::LANE_LAST, [], |fields| {
                fields.take()
            })?;
            let numbers: Vec<i32> = all(&writing.connection, sql::LANE_OPEN, [], |fields| {
                fields.take()
            })?;
            let mut open = Vec::with_capacity(numbers.len());
            for number in numbers {
                open.extend(one(
                    &writing.connection,
                    sql::LANE_NAMED,
                    [number],
                    key::lane,
                )?);
            }
            memory.begin(Lane(last.unwrap_or(0)), open);
            memory.set_queues(all(&writing.connection, sql::QUEUE_LIST, [], queue::queue)?);
            Ok(())
        };
        start().map_err(|error| {
            let path = writing.connection.path().unwrap_or_default();
            open::explain(Path::new(path), &error)
        })?;
        Ok(Self {
            writing,
            memory: Arc::new(memory),
        })
    }

    /// Runs the batch at `now`, or at the time of the latest batch if that was later.
    pub fn run_blocking(
        &mut self,
        commands: &[Command],
        policy: &Policy,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Ran, Error> {
        let now = now.max(self.memory.latest());
        let Self { writing, memory } = self;
        // `run` catches the panics of the rules; this one is the store's own. The transaction is undone on its way out.
        let ran = catch_unwind(AssertUnwindSafe(|| {
            run::run(writing, memory, commands, policy, &|| now, random).now_or_never()
        }));
        match ran {
            Ok(ran) => ran.expect("SQLite never waits"),
            Err(_) => {
                // It may have come behind a commit.
                memory.unsure(None);
                Err(Error::Unknown(
                    "the store broke down over a batch".to_owned(),
                ))
            }
        }
    }

    /// Takes everything away but what [`Store::reset`] leaves; the new incarnation.
    ///
    /// [`Store::reset`]: taskyard_core::store::Store::reset
    pub fn reset_blocking(&mut self, random: &mut dyn Random) -> Result<[u8; 16], Error> {
        let incarnation = incarnation(random);
        self.writing.reset(&incarnation).map_err(explain)?;
        self.memory.emptied();
        Ok(incarnation)
    }

    /// Answers from the writing connection itself.
    pub fn read_blocking(&self, query: &Query) -> Result<Answer, Error> {
        if matches!(query, Query::Ping) {
            // Takes it through a commit, which finds a full disk.
            self.connection()
                .execute(sql::META_TOUCH, [])
                .map_err(explain)?;
        }
        reads::read(self.connection(), query)
    }

    /// Every server that ever was up, as it said last.
    pub fn servers(&self) -> Result<Vec<Server>, Error> {
        all(self.connection(), sql::SERVER_LOAD, [], presence::server).map_err(explain)
    }

    /// The same database as a process finds it that has just started: what the one before it remembered is gone.
    pub fn restarted(self) -> Result<Self, OpenError> {
        let Writing {
            connection,
            give_up,
            ..
        } = self.writing;
        Self::over(connection, give_up)
    }

    /// As on a disk that has no more room than the database takes now; or that has some again.
    pub fn set_full(&self, full: bool) -> Result<(), Error> {
        // Fewer pages than there are means as many as there are.
        let pages = if full { 1 } else { i64::from(u32::MAX) - 1 };
        self.connection()
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .map_err(explain)
    }

    pub fn lanes(&self) -> Arc<Lanes> {
        self.memory.lanes()
    }

    pub fn unsure(&self, lane: Option<Lane>) {
        self.memory.unsure(lane);
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.writing.connection
    }

    pub(super) fn memory(&self) -> Arc<Memory> {
        Arc::clone(&self.memory)
    }
}
