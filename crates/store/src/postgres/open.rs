//! Opening a database: can it be reached and written, is it ours, does it fit this program; and bringing it up to
//! date, one server at a time.

use std::path::PathBuf;

use taskyard_core::random::Random;
use tokio_postgres::{Client, Error};
use uuid::Uuid;

use super::address::Address;
use super::error::one_line;
use super::sql;

const VERSION_MIN: i32 = 15;

/// Each with its number and the oldest program, by the schema it knows, that can still work beside it.
const MIGRATIONS: [(i32, i32, &str); 1] = [(
    1,
    1,
    include_str!("../../migrations/postgres/0001_tables.sql"),
)];
const SCHEMA: i32 = MIGRATIONS[MIGRATIONS.len() - 1].0;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the database's address is not understood; it is written postgresql://user:password@host:port/database, \
         with special characters of the password as in URLs (%40 for @)"
    )]
    Address,
    #[error("sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full")]
    SslMode,
    #[error(
        "sslmode verify-ca and verify-full need sslrootcert, the file with the issuer's certificate"
    )]
    NoRoots,
    #[error("the certificates in {path} cannot be used: {reason}")]
    Roots { path: PathBuf, reason: String },
    #[error("the database {server} cannot be opened: {reason}")]
    Unusable { server: String, reason: String },
    #[error(
        "the database {server} is PostgreSQL {found}; this program needs {VERSION_MIN} or newer"
    )]
    TooOld { server: String, found: i32 },
    #[error("the database {server} takes no writes: it is a standby, or set to read only")]
    ReadOnly { server: String },
    #[error("the database {server} is encoded in {found}; this program needs UTF8")]
    Encoding { server: String, found: String },
    #[error("the database {server} has no schema to make tables in; see its search_path")]
    NoSchema { server: String },
    #[error("the database {server} holds tables of some other program; nothing in it was changed")]
    Foreign { server: String },
    #[error(
        "the database {server} needs a newer version of Taskyard (its schema {found} is open to programs that know \
         schema {needs}, this one knows {SCHEMA})"
    )]
    TooNew {
        server: String,
        found: i32,
        needs: i32,
    },
}

/// The incarnation of the database: made with it, and part of every lease's token.
pub(super) async fn prepare(
    address: &Address,
    random: &mut dyn Random,
) -> Result<[u8; 16], OpenError> {
    let unusable = |error: Error| OpenError::Unusable {
        server: address.to_string(),
        reason: one_line(&error),
    };
    let connected = address.connect().await;
    let (mut client, connection) = connected.map_err(|reason| OpenError::Unusable {
        server: address.to_string(),
        reason,
    })?;
    // Ends with the client, and the advisory lock with it.
    tokio::spawn(connection);
    check_server(&client, address).await?;
    client
        .batch_execute(sql::MIGRATION_LOCK)
        .await
        .map_err(unusable)?;
    let is_ours = check_tables(&client, address).await?;
    migrate(&mut client, is_ours, random, address).await
}

async fn check_server(client: &Client, address: &Address) -> Result<(), OpenError> {
    let server = address.to_string();
    let target = client
        .query_one(sql::TARGET, &[])
        .await
        .map_err(|error| OpenError::Unusable {
            server: server.clone(),
            reason: one_line(&error),
        })?;
    let (version, read_only): (i32, bool) = (target.get(0), target.get(1));
    let (encoding, schema): (String, Option<String>) = (target.get(2), target.get(3));
    if version / 10_000 < VERSION_MIN {
        let found = version / 10_000;
        return Err(OpenError::TooOld { server, found });
    }
    if read_only {
        return Err(OpenError::ReadOnly { server });
    }
    if encoding != "UTF8" {
        let found = encoding;
        return Err(OpenError::Encoding { server, found });
    }
    if schema.is_none() {
        return Err(OpenError::NoSchema { server });
    }
    let is_durable: bool = target.get(4);
    if !is_durable {
        tracing::warn!(%server, "fsync or full_page_writes is off: a crash of the database's machine can destroy it");
    }
    Ok(())
}

/// Whether its tables are ours; if there are none, it is to be made.
async fn check_tables(client: &Client, address: &Address) -> Result<bool, OpenError> {
    let server = address.to_string();
    let target = client
        .query_one(sql::TARGET, &[])
        .await
        .map_err(|error| OpenError::Unusable {
            server: server.clone(),
            reason: one_line(&error),
        })?;
    let (has_tables, is_ours): (bool, bool) = (target.get(5), target.get(6));
    if has_tables && !is_ours {
        return Err(OpenError::Foreign { server });
    }
    Ok(is_ours)
}

async fn migrate(
    client: &mut Client,
    is_ours: bool,
    random: &mut dyn Random,
    address: &Address,
) -> Result<[u8; 16], OpenError> {
    let server = address.to_string();
    let unusable = |error: Error| OpenError::Unusable {
        server: server.clone(),
        reason: one_line(&error),
    };
    let (mut found, mut needs, incarnation) = if is_ours {
        let meta = client
            .query_one(sql::META_LOAD, &[])
            .await
            .map_err(unusable)?;
        (meta.get(0), meta.get(1), meta.get(2))
    } else {
        (0, 0, Uuid::from_u64_pair(random.bits(), random.bits()))
    };
    if needs > SCHEMA {
        return Err(OpenError::TooNew {
            server,
            found,
            needs,
        });
    }
    // A newer schema that is open to this program has all of these already.
    for (number, min_compatible, text) in MIGRATIONS {
        if number <= found {
            continue;
        }
        needs = needs.max(min_compatible);
        let tx = client.transaction().await.map_err(unusable)?;
        tx.batch_execute(text).await.map_err(unusable)?;
        let noted = if found == 0 {
            tx.execute(sql::META_INSERT, &[&number, &needs, &incarnation])
                .await
        } else {
            tx.execute(sql::META_UPDATE, &[&number, &needs]).await
        };
        noted.map_err(unusable)?;
        tx.commit().await.map_err(unusable)?;
        found = number;
    }
    Ok(incarnation.into_bytes())
}
