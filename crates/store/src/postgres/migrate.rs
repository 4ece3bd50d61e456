//! Bringing the tables up to date while other servers work on them, one server at a time.
//!
//! A migration changes tables that others use, so it waits for their transactions, and all that comes after waits for it.
//! It waits for a moment only, lets those go on that queued up behind it, and tries again. Each is one transaction, with
//! the look at what is missing before it and the number of its schema behind: what is cut short, by whatever, is as if it
//! had not begun, and whoever comes next goes on from there. Nothing is held between two of them, so a pooler may stand in
//! between.
//!
//! Where a migration closes the database to older programs, it does so before it changes anything: a server looks once a
//! second whether the database is still open to it, and those that are not do no more batches by the time the tables
//! change.

use std::time::Duration;

use taskyard_core::random::Random;
use tokio::time::sleep;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Transaction};
use uuid::Uuid;

use super::address::Address;
use super::open::{self, Meta, OpenError};
use super::sql;
use crate::migration::{self, Migration};

/// How often a migration is tried that did not get its locks in time, and the pause between two tries.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);
/// Older servers have stopped writing by then; they look each second.
const CLOSED_WITHIN: Duration = Duration::from_secs(2);

pub(super) const MIGRATIONS: [Migration; 17] = [
    Migration {
        number: 1,
        min_compatible: 1,
        statements: include_str!("../../migrations/postgres/0001_tables.sql"),
    },
    Migration {
        number: 2,
        min_compatible: 1,
        statements: include_str!("../../migrations/postgres/0002_forgotten_workers.sql"),
    },
    Migration {
        number: 3,
        min_compatible: 3,
        statements: include_str!("../../migrations/postgres/0003_counter_columns.sql"),
    },
    Migration {
        number: 4,
        min_compatible: 3,
        statements: include_str!("../../migrations/postgres/0004_logs.sql"),
    },
    Migration {
        number: 5,
        min_compatible: 5,
        statements: include_str!("../../migrations/postgres/0005_changed_priorities.sql"),
    },
    Migration {
        number: 6,
        min_compatible: 6,
        statements: include_str!("../../migrations/postgres/0006_exclusive_and_unique_tasks.sql"),
    },
    Migration {
        number: 7,
        min_compatible: 7,
        statements: include_str!("../../migrations/postgres/0007_queues.sql"),
    },
    Migration {
        number: 8,
        min_compatible: 8,
        statements: include_str!("../../migrations/postgres/0008_draining_workers.sql"),
    },
    Migration {
        number: 9,
        min_compatible: 8,
        statements: include_str!("../../migrations/postgres/0009_origins.sql"),
    },
    // Who does not know it leaves the rates without what it does, and hinders nobody.
    Migration {
        number: 10,
        min_compatible: 8,
        statements: include_str!("../../migrations/postgres/0010_minutes.sql"),
    },
    // Who does not know it discards nothing.
    Migration {
        number: 11,
        min_compatible: 8,
        statements: include_str!("../../migrations/postgres/0011_retention.sql"),
    },
    Migration {
        number: 12,
        min_compatible: 8,
        statements: include_str!("../../migrations/postgres/0012_operations.sql"),
    },
    Migration {
        number: 13,
        min_compatible: 8,
        statements: include_str!("../../migrations/postgres/0013_lists.sql"),
    },
    Migration {
        number: 14,
        min_compatible: 8,
        statements: include_str!("../../migrations/postgres/0014_given_before.sql"),
    },
    Migration {
        number: 15,
        min_compatible: 8,
        statements: include_str!("../../migrations/postgres/0015_killed_before.sql"),
    },
    Migration {
        number: 16,
        min_compatible: 8,
        statements: include_str!("../../migrations/postgres/0016_tasks_by_lane.sql"),
    },
    Migration {
        number: 17,
        min_compatible: 17,
        statements: include_str!("../../migrations/postgres/0017_log_chunks.sql"),
    },
];
pub(super) const SCHEMA: i32 = MIGRATIONS[MIGRATIONS.len() - 1].number;

/// Where nobody works on it, because there are no tables yet, all are one transaction: a start that is cut short leaves the
/// database empty. Answers the incarnation.
pub(super) async fn migrate(
    client: &mut Client,
    address: &Address,
    random: &mut dyn Random,
) -> Result<[u8; 16], OpenError> {
    let new = Uuid::from_u64_pair(random.bits(), random.bits());
    let (mut first, mut tries, mut is_closed) = (None, 1, false);
    loop {
        let error = match step(client, address, new, is_closed).await? {
            Step::Done(meta) => {
                tell(address, first, &meta);
                return Ok(meta.incarnation.into_bytes());
            }
            Step::Closed { from, is_used } => {
                first.get_or_insert(Some(from));
                is_closed = true;
                if is_used {
                    tracing::info!(
                        "servers that cannot work with the new tables are given time to stop writing"
                    );
                    sleep(CLOSED_WITHIN).await;
                }
                continue;
            }
            Step::Taken { from, error: None } => {
                first.get_or_insert(from);
                tries = 1;
                continue;
            }
            Step::Taken {
                error: Some(error), ..
            } => error,
        };
        if error.code() != Some(&SqlState::LOCK_NOT_AVAILABLE) || tries == TRIES {
            return Err(OpenError::unusable(address, &error));
        }
        tracing::warn!(
            tries,
            "others hold locks on the tables; the migration lets them go on, and is tried again"
        );
        tries += 1;
        sleep(PAUSE).await;
    }
}

/// What came of one transaction.
enum Step {
    /// Nothing was missing.
    Done(Meta),
    /// Older programs are shut out. `is_used`: servers are up, maybe of those.
    Closed { from: Found, is_used: bool },
    /// Migrations were taken, or not, for this reason.
    Taken {
        from: Option<Found>,
        error: Option<Error>,
    },
}

/// The schema of a database, and the oldest program that it was open to.
type Found = (i32, i32);

/// Looks what is missing, and takes the next of it, while no other server does. What one looked at before may have changed
/// since.
async fn step(
    client: &mut Client,
    address: &Address,
    new: Uuid,
    is_closed: bool,
) -> Result<Step, OpenError> {
    let unusable = |error: Error| OpenError::unusable(address, &error);
    let tx = client.transaction().await.map_err(unusable)?;
    let locked = tx.batch_execute(sql::MIGRATION_LOCK).await;
    locked.map_err(unusable)?;
    let found = open::found(tx.client(), address).await?;
    let from = found
        .as_ref()
        .map(|meta| (meta.schema, meta.min_compatible));
    let (schema, min_compatible) = from.unwrap_or_default();
    let missing = migration::missing(&MIGRATIONS, schema, min_compatible);
    let missing: Vec<Migration> = missing.collect();
    let needs = missing.last().map_or(0, |last| last.min_compatible);
    let taken = match (found, missing.as_slice()) {
        (Some(meta), []) => return Ok(Step::Done(meta)),
        (Some(_), _) if !is_closed && needs > open_to(schema) => {
            // Also where somebody else closed it just now, and waits.
            let closed = close(&tx, schema, needs).await;
            let is_used = closed.map_err(unusable)?;
            tx.commit().await.map_err(unusable)?;
            let from = (schema, min_compatible);
            return Ok(Step::Closed { from, is_used });
        }
        (Some(_), [next, ..]) => take(tx, std::slice::from_ref(next), needs, None).await,
        (None, all) => take(tx, all, needs, Some(new)).await,
    };
    let error = taken.err();
    Ok(Step::Taken { from, error })
}

/// To which programs a database of this schema is open, unless it was closed to some by a migration that was not taken.
fn open_to(schema: i32) -> i32 {
    let taken = MIGRATIONS.iter().filter(|one| one.number <= schema);
    taken.map(|one| one.min_compatible).max().unwrap_or(0)
}

fn tell(address: &Address, first: Option<Option<Found>>, now: &Meta) {
    let server = address.to_string();
    match first {
        None => {}
        Some(None) => {
            tracing::info!(%server, "there were no tables; they were made, with nothing in them");
        }
        Some(Some((schema, min_compatible))) => {
            let of_now = MIGRATIONS.iter().filter(|one| one.number <= now.schema);
            let of_now: Vec<Migration> = of_now.copied().collect();
            if let Some(words) = migration::words(&of_now, schema, min_compatible) {
                tracing::info!(%server, "{words}");
            }
        }
    }
}

/// To programs that know no schema from `needs` on. Answers whether any server says that it is up.
async fn close(tx: &Transaction<'_>, schema: i32, needs: i32) -> Result<bool, Error> {
    let columns = [(&schema as _, Type::INT4), (&needs as _, Type::INT4)];
    tx.execute_typed(sql::META_UPDATE, &columns).await?;
    let now: i64 = tx.query_typed_one(sql::CLOCK, &[]).await?.try_get(0)?;
    let none = 0_i32;
    let columns = [(&now as _, Type::INT8), (&none as _, Type::INT4)];
    let up = tx.query_typed_one(sql::SERVER_UP, &columns).await?;
    Ok(up.try_get::<_, i64>(0)? > 0)
}

async fn take(
    tx: Transaction<'_>,
    migrations: &[Migration],
    needs: i32,
    new: Option<Uuid>,
) -> Result<(), Error> {
    let number = migrations.last().map_or(0, |last| last.number);
    tx.batch_execute(sql::MIGRATION_SETTINGS).await?;
    for migration in migrations {
        tx.batch_execute(migration.statements).await?;
    }
    let mut columns = vec![(&number as _, Type::INT4), (&needs as _, Type::INT4)];
    match &new {
        Some(incarnation) => {
            columns.push((incarnation as _, Type::UUID));
            tx.execute_typed(sql::META_INSERT, &columns).await?
        }
        None => tx.execute_typed(sql::META_UPDATE, &columns).await?,
    };
    tx.commit().await
}
