//! Bringing the tables up to date while other servers work on them, one server at a time.
//!
//! A migration changes tables that others use, so it waits for their transactions, and all that comes after waits for it.
//! It waits for a moment only, lets those go on that queued up behind it, and tries again. Each is one transaction with
//! the number of its schema: what is cut short, by whatever, is as if it had not begun, and whoever comes next goes on
//! from there.
//!
//! Where a migration closes the database to older programs, it does so before it changes anything: a server looks once a
//! second whether the database is still open to it, and those that are not do no more batches by the time the tables
//! change.

use std::time::Duration;

use taskyard_core::random::Random;
use tokio::time::sleep;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};
use uuid::Uuid;

use super::open::Meta;
use super::sql;
use crate::migration::{self, Migration};

/// How often a migration is tried that did not get its locks in time, and the pause between two tries.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);
/// Older servers have stopped writing by then; they look each second.
const CLOSED_WITHIN: Duration = Duration::from_secs(2);

pub(super) const MIGRATIONS: [Migration; 16] = [
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
];
pub(super) const SCHEMA: i32 = MIGRATIONS[MIGRATIONS.len() - 1].number;

/// Where nobody works on it, because there are no tables yet, all are one transaction: a start that is cut short leaves the
/// database empty. Answers the incarnation.
pub(super) async fn migrate(
    client: &mut Client,
    found: Option<Meta>,
    random: &mut dyn Random,
) -> Result<[u8; 16], Error> {
    let is_new = found.is_none();
    let at_once = if is_new { MIGRATIONS.len() } else { 1 };
    let meta = found.unwrap_or_else(|| Meta {
        schema: 0,
        min_compatible: 0,
        incarnation: Uuid::from_u64_pair(random.bits(), random.bits()),
    });
    let missing = migration::missing(&MIGRATIONS, meta.schema, meta.min_compatible);
    let missing: Vec<Migration> = missing.collect();
    let Some(last) = missing.last() else {
        return Ok(meta.incarnation.into_bytes());
    };
    let needs = last.min_compatible;
    client.batch_execute(sql::MIGRATION_SETTINGS).await?;
    if !is_new && needs > meta.min_compatible {
        close(client, meta.schema, needs).await?;
    }
    for migrations in missing.chunks(at_once) {
        let mut tries = 1;
        while let Err(error) = take(client, migrations, needs, is_new.then_some(&meta)).await {
            if error.code() != Some(&SqlState::LOCK_NOT_AVAILABLE) || tries == TRIES {
                return Err(error);
            }
            let number = migrations.first().map(|first| first.number);
            tracing::warn!(
                schema = number,
                tries,
                "others hold locks on the tables; the migration lets them go on, and is tried again"
            );
            tries += 1;
            sleep(PAUSE).await;
        }
    }
    Ok(meta.incarnation.into_bytes())
}

/// To programs that know no schema from `needs` on.
async fn close(client: &Client, schema: i32, needs: i32) -> Result<(), Error> {
    client.execute(sql::META_UPDATE, &[&schema, &needs]).await?;
    let now = client.query_one(sql::CLOCK, &[]).await?;
    let up = client
        .query_one(sql::SERVER_UP, &[&now.try_get::<_, i64>(0)?, &0])
        .await?;
    if up.try_get::<_, i64>(0)? > 0 {
        tracing::info!(
            "servers that cannot work with the new tables are given time to stop writing"
        );
        sleep(CLOSED_WITHIN).await;
    }
    Ok(())
}

/// In one transaction.
async fn take(
    client: &mut Client,
    migrations: &[Migration],
    needs: i32,
    new: Option<&Meta>,
) -> Result<(), Error> {
    let number = migrations.last().map_or(0, |last| last.number);
    let tx = client.transaction().await?;
    for migration in migrations {
        tx.batch_execute(migration.statements).await?;
    }
    match new {
        Some(meta) => {
            let values = &[&number as _, &needs as _, &meta.incarnation as _];
            tx.execute(sql::META_INSERT, values).await?
        }
        None => tx.execute(sql::META_UPDATE, &[&number, &needs]).await?,
    };
    tx.commit().await
}
