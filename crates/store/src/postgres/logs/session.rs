//! The connection that writes logs.

use std::collections::BTreeMap;

use futures_util::future::{try_join, try_join3, try_join5};
use taskyard_core::id::{Fence, RunKey, TaskId};
use taskyard_core::log::{Log, Owner};
use taskyard_core::store::Error;
use tokio::task::AbortHandle;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::columns;
use crate::logs::{Changes, Stored};
use crate::postgres::address::Address;
use crate::postgres::error::{explain, explain_commit, one_line};
use crate::postgres::fields::{Fields, Read};
use crate::postgres::params::Param;
use crate::postgres::pooled::Opening;
use crate::postgres::question::{self, Question};
use crate::postgres::sql;

pub(super) struct Session {
    client: Client,
    /// What every transaction begins with, where nothing that is set holds for longer.
    opening: Option<Opening>,
    lock: Question,
    insert_runs: Question,
    update_runs: Question,
    clear_chunks: Question,
    insert_chunks: Question,
    connection: AbortHandle,
}

impl Session {
    pub(super) async fn connect(address: &Address) -> Result<Self, Error> {
        let connected = address.connect().await;
        let (client, connection) = connected.map_err(|not| Error::Unavailable(not.into()))?;
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(
                    error = one_line(&error),
                    "the connection that writes logs broke"
                );
            }
        });
        let connection = connection.abort_handle();
        let opening = address.opening(sql::LOG_SETTINGS);
        if opening.is_none() {
            let set = client.batch_execute(sql::LOG_SETTINGS).await;
            set.map_err(|error| explain(&error))?;
        }
        let question = |text| Question::of(&client, text, opening.is_some());
        let prepared = try_join5(
            question(sql::LOG_RUN_LOCK),
            question(sql::LOG_RUN_INSERT),
            question(sql::LOG_RUN_UPDATE),
            question(sql::LOG_CHUNK_CLEAR),
            question(sql::LOG_CHUNK_INSERT),
        );
        let prepared = prepared.await.map_err(|error| explain(&error))?;
        let (lock, insert_runs, update_runs, clear_chunks, insert_chunks) = prepared;
        Ok(Self {
            client,
            opening,
            lock,
            insert_runs,
            update_runs,
            clear_chunks,
            insert_chunks,
            connection,
        })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// Begins a transaction that holds these runs' rows, and makes those that are not there.
    pub(super) async fn lock(
        &self,
        owners: &BTreeMap<RunKey, Owner>,
    ) -> Result<BTreeMap<RunKey, Stored>, Error> {
        let begin = self.opening.as_ref().map_or("begin", Opening::begin);
        let begun = try_join(self.client.batch_execute(begin), self.locked(owners)).await;
        let ((), found) = begun.map_err(|error| explain(&error))?;
        if found.len() == owners.len() {
            return stored(&found);
        }
        let (tasks, slots, fences) = keys(owners.keys());
        let claimed: Vec<i64> = owners
            .values()
            .map(|owner| owner.claimed_at.as_micros())
            .collect();
        let attempts: Vec<i32> = owners.values().map(|owner| owner.attempt).collect();
        let insert = async {
            let columns: [&dyn Param; 5] = [&tasks, &slots, &fences, &claimed, &attempts];
            self.insert_runs.ask(&self.client, &columns).await
        };
        let made = try_join(insert, self.locked(owners));
        let (_, found) = made.await.map_err(|error| explain(&error))?;
        if found.len() != owners.len() {
            // They are swept at this moment.
            return Err(Error::Conflict);
        }
        stored(&found)
    }

    async fn locked(
        &self,
        owners: &BTreeMap<RunKey, Owner>,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let (tasks, slots, fences) = keys(owners.keys());
        let columns: [&dyn Param; 3] = [&tasks, &slots, &fences];
        self.lock.ask(&self.client, &columns).await
    }

    /// Writes the batch and commits it.
    pub(super) async fn write(&self, changes: &Changes) -> Result<(), Error> {
        if !changes.cleared.is_empty() {
            let columns: [&dyn Param; 1] = [&changes.cleared];
            let cleared = self.clear_chunks.ask(&self.client, &columns).await;
            cleared.map_err(|error| explain(&error))?;
        }
        let written = try_join3(
            self.insert_chunks(changes),
            self.update_runs(changes),
            self.client.batch_execute("commit"),
        );
        written.await.map_err(|error| explain_commit(&error))?;
        Ok(())
    }

    async fn insert_chunks(&self, changes: &Changes) -> Result<Vec<Row>, tokio_postgres::Error> {
        let chunks = &changes.chunks;
        let runs: Vec<i64> = chunks.iter().map(|chunk| chunk.run).collect();
        let seqs: Vec<i32> = chunks.iter().map(|chunk| signed(chunk.seq)).collect();
        let lines: Vec<&str> = chunks.iter().map(|chunk| &*chunk.lines).collect();
        let columns: [&dyn Param; 3] = [&runs, &seqs, &lines];
        self.insert_chunks.ask(&self.client, &columns).await
    }

    async fn update_runs(&self, changes: &Changes) -> Result<Vec<Row>, tokio_postgres::Error> {
        let logs = &changes.logs;
        let (tasks, slots, fences) = keys(logs.iter().map(|stored| &stored.log.owner.run));
        let of = |value: fn(&Log) -> i64| -> Vec<i64> {
            logs.iter().map(|stored| value(&stored.log)).collect()
        };
        let claimed = of(|log| log.owner.claimed_at.as_micros());
        let bytes = of(|log| i64::try_from(log.bytes).unwrap_or(i64::MAX));
        let attempts: Vec<i32> = logs.iter().map(|stored| stored.log.owner.attempt).collect();
        let next: Vec<i32> = logs
            .iter()
            .map(|stored| signed(stored.log.next_seq))
            .collect();
        let full: Vec<bool> = logs.iter().map(|stored| stored.log.is_full).collect();
        let columns: [&dyn Param; 8] = [
            &tasks, &slots, &fences, &claimed, &attempts, &next, &bytes, &full,
        ];
        self.update_runs.ask(&self.client, &columns).await
    }

    pub(super) async fn forget(&self, task: TaskId) -> Result<(), Error> {
        let id = task.as_uuid();
        // Lines that another server puts in meanwhile are found by the next sweep.
        for statement in [sql::LOG_CHUNK_DELETE, sql::LOG_RUN_DELETE] {
            let columns: [&dyn Param; 1] = [&id];
            let done = match &self.opening {
                Some(opening) => {
                    question::within(&self.client, opening.begin(), statement, &columns).await
                }
                None => question::once(&self.client, statement, &columns).await,
            };
            done.map_err(|error| explain(&error))?;
        }
        Ok(())
    }
}

impl Drop for Session {
    /// Even if the server owes answers: what was begun is to be undone.
    fn drop(&mut self) {
        self.connection.abort();
    }
}

fn keys<'a>(runs: impl Iterator<Item = &'a RunKey>) -> (Vec<Uuid>, Vec<i16>, Vec<i32>) {
    let mut keys = (Vec::new(), Vec::new(), Vec::new());
    for run in runs {
        keys.0.push(run.slot.task.as_uuid());
        keys.1.push(run.slot.slot.0);
        keys.2.push(run.fence.0);
    }
    keys
}

/// No number of a line is higher than this holds.
fn signed(seq: u32) -> i32 {
    i32::try_from(seq).unwrap_or(i32::MAX)
}

fn stored(rows: &[Row]) -> Read<BTreeMap<RunKey, Stored>> {
    rows.iter().map(|row| read(&mut Fields::of(row))).collect()
}

fn read(fields: &mut Fields<'_>) -> Read<(RunKey, Stored)> {
    let slot = fields.slot()?;
    let run = slot.run(Fence(fields.take()?));
    let id = fields.take()?;
    let owner = Owner {
        run,
        claimed_at: fields.time()?,
        attempt: fields.take()?,
    };
    let log = Log {
        owner,
        next_seq: fields.decode(|seq: i32| columns::unsigned(i64::from(seq)))?,
        bytes: fields.decode(columns::unsigned)?,
        is_full: fields.take()?,
    };
    Ok((run, Stored { id, log }))
}
