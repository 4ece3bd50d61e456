//! Opening a database: can it be reached and written, is it ours, does it fit this program; and bringing it up to
//! date, one server at a time.

use std::path::PathBuf;

use taskyard_core::random::Random;
use taskyard_core::store::{self, Cause};
use tokio_postgres::{Client, Error, Row};
use uuid::Uuid;

use super::address::Address;
use super::error::{explain, is_away, one_line};
use super::home::{Connection, NotConnected};
use super::migrate::{self, SCHEMA};
use super::question::once;
use super::sql;

const VERSION_MIN: i32 = 15;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the database's address is not understood; it is written postgresql://user:password@host:port/database, \
         with special characters of the password as in URLs (%40 for @)"
    )]
    Address,
    #[error(
        "the database's address has an option {0}, which is not known, or has a value that it cannot have"
    )]
    Option(String),
    #[error(
        "the database's address has one of / ? # @ in front of its last @; in a password they are written as in URLs: \
         %2F for /, %3F for ?, %23 for #, %40 for @"
    )]
    Unescaped,
    #[error("sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full")]
    SslMode,
    #[error("the address names no host; expected postgres://USER:PASSWORD@HOST/NAME")]
    NoHost,
    #[error(
        "the address names {names} hosts, {addresses} hostaddr and {ports} ports; where it names several hosts, it has a \
         hostaddr for each or none, and a port for each or one for all"
    )]
    Hosts {
        names: usize,
        addresses: usize,
        ports: usize,
    },
    #[error(
        "target_session_attrs must be read-write, primary or any: a server looks for the host that takes writes, and does \
         all its work there"
    )]
    SessionAttrs,
    #[error(
        "sslmode verify-ca and verify-full need sslrootcert, the file with the issuer's certificate"
    )]
    NoRoots,
    #[error("the certificates in {path} cannot be used: {reason}")]
    Roots { path: PathBuf, reason: String },
    #[error("the database {server} cannot be opened: {reason}")]
    Unusable { server: String, reason: String },
    /// Nobody is there, it is still starting, or has no room for one more connection: later it may be opened.
    #[error("the database {server} cannot be reached: {reason}")]
    Unreachable { server: String, reason: String },
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
    #[error(
        "the database {server} holds tables of some other program; nothing in it was changed. Name another one, made for \
         Taskyard alone"
    )]
    Foreign { server: String },
    #[error(
        "the database {server} has Taskyard's tables, but not all that belongs to them, as where putting a dump back was cut \
         short; put it back into an empty database, with pg_restore --single-transaction"
    )]
    HalfRestored { server: String },
    #[error(
        "the address of {server} has options, which a pooler does not pass on; set them for the role in the database, with \
         `alter role … set …`, and leave them out here"
    )]
    PooledOptions { server: String },
    #[error("the inbox at {server}: {reason}")]
    Inbox { server: String, reason: String },
    #[error("the database {server} is empty: nothing was stored yet; a start makes it Taskyard's")]
    Empty { server: String },
    #[error(
        "the database {server} needs a newer version of Taskyard (its schema {found} is open to programs that know \
         schema {needs}, this one knows {SCHEMA})"
    )]
    TooNew {
        server: String,
        found: i32,
        needs: i32,
    },
    #[error(
        "another session holds tables of the database {server}; whose it is, and what it does, is told by `select pid, usename, \
         state, query from pg_stat_activity where pid in (select unnest(pg_blocking_pids(pid)) from pg_stat_activity)`"
    )]
    Held { server: String },
    #[error(
        "the database {server} is of schema {found}, and only schema {SCHEMA} can be looked through; `taskyard db \
         migrate` brings it up to date"
    )]
    Older { server: String, found: i32 },
    #[error(
        "the database {server} is in use: {}. Those that were up when a backup was taken, and are no more, are forgotten in \
         {seconds} s",
        who_is_up(*.servers)
    )]
    InUse {
        server: String,
        servers: i64,
        seconds: i64,
    },
}

fn who_is_up(servers: i64) -> String {
    match servers {
        1 => "a server says that it is up; stop it first".to_owned(),
        _ => format!("{servers} servers say that they are up; stop them first"),
    }
}

impl OpenError {
    fn not_connected(address: &Address, not: NotConnected) -> Self {
        let (server, reason) = (address.to_string(), not.reason);
        match not.cause {
            Cause::Unreachable | Cause::Crowded => Self::Unreachable { server, reason },
            Cause::ReadOnly => Self::ReadOnly { server },
            Cause::Moved
            | Cause::Held
            | Cause::Silent
            | Cause::Superseded
            | Cause::Newer
            | Cause::Other => Self::Unusable { server, reason },
        }
    }

    pub(super) fn unusable(address: &Address, error: &Error) -> Self {
        let (server, reason) = (address.to_string(), one_line(error));
        if is_away(error) {
            Self::Unreachable { server, reason }
        } else {
            Self::Unusable { server, reason }
        }
    }
}

/// What a database holds of ours; none where it is empty. Others may be making its tables meanwhile.
pub(super) async fn found(client: &Client, address: &Address) -> Result<Option<Meta>, OpenError> {
    let server = address.to_string();
    match Target::of(client, address).await?.tables {
        Tables::Ours => Meta::load(client, address).await.map(Some),
        Tables::None => Ok(None),
        Tables::Half => Err(OpenError::HalfRestored { server }),
        Tables::Foreign => Err(OpenError::Foreign { server }),
    }
}

/// Looks at the database and brings it up to date. Answers its incarnation.
pub(super) async fn prepare(
    address: &Address,
    random: &mut dyn Random,
) -> Result<[u8; 16], OpenError> {
    let mut client = connected(address, address.connect()).await?;
    let target = Target::of(&client, address).await?;
    target.check(address)?;
    if !target.is_durable {
        tracing::warn!(server = %address, "fsync or full_page_writes is off: a crash of the database's machine can destroy it");
    }
    migrate::migrate(&mut client, address, random).await
}

/// Brings the database at this address up to date, as a start would; an empty one gets its tables.
pub async fn migrate(url: &str, random: &mut dyn Random) -> Result<(), OpenError> {
    prepare(&Address::parse(url)?, random).await.map(drop)
}

/// A connection to look at a database of ours, which changes nothing in it.
pub(super) async fn look(address: &Address) -> Result<(Client, Meta), OpenError> {
    let client = connected(address, address.connect_anywhere()).await?;
    let server = address.to_string();
    let target = Target::of(&client, address).await?;
    // What a start would say. One of ours can be looked at all the same, as on a standby.
    if !matches!(target.tables, Tables::Ours) {
        target.check(address)?;
    }
    match target.tables {
        Tables::Ours => {
            let meta = Meta::load(&client, address).await?;
            Ok((client, meta))
        }
        Tables::None => Err(OpenError::Empty { server }),
        Tables::Half => Err(OpenError::HalfRestored { server }),
        Tables::Foreign => Err(OpenError::Foreign { server }),
    }
}

async fn connected(
    address: &Address,
    connecting: impl Future<Output = Result<(Client, Connection), NotConnected>>,
) -> Result<Client, OpenError> {
    let (client, connection) = connecting
        .await
        .map_err(|not| OpenError::not_connected(address, not))?;
    tokio::spawn(connection);
    Ok(client)
}

/// What a server must know of a database before it touches it.
struct Target {
    version: i32,
    is_read_only: bool,
    encoding: String,
    schema: Option<String>,
    is_durable: bool,
    tables: Tables,
}

enum Tables {
    None,
    Ours,
    /// Ours, of a dump that was not put back to its end.
    Half,
    Foreign,
}

impl Tables {
    fn read(row: &Row) -> Result<Self, Error> {
        let (has_any, has_meta) = (row.try_get(5)?, row.try_get(6)?);
        let (has_key, has_first) = (row.try_get(7)?, row.try_get(8)?);
        Ok(match (has_any, has_meta) {
            (_, true) if has_key => Self::Ours,
            (_, true) => Self::Half,
            (_, false) if has_first => Self::Half,
            (true, false) => Self::Foreign,
            (false, false) => Self::None,
        })
    }
}

impl Target {
    async fn of(client: &Client, address: &Address) -> Result<Self, OpenError> {
        let found = client.query_typed_one(sql::TARGET, &[]).await;
        found
            .and_then(|row| Self::read(&row))
            .map_err(|error| OpenError::unusable(address, &error))
    }

    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            version: row.try_get(0)?,
            is_read_only: row.try_get(1)?,
            encoding: row.try_get(2)?,
            schema: row.try_get(3)?,
            is_durable: row.try_get(4)?,
            tables: Tables::read(row)?,
        })
    }

    /// Whether a server can work on it, whatever its tables are.
    fn check(&self, address: &Address) -> Result<(), OpenError> {
        let server = address.to_string();
        let version = self.version / 10_000;
        if version < VERSION_MIN {
            let found = version;
            return Err(OpenError::TooOld { server, found });
        }
        if self.is_read_only {
            return Err(OpenError::ReadOnly { server });
        }
        if self.encoding != "UTF8" {
            let found = self.encoding.clone();
            return Err(OpenError::Encoding { server, found });
        }
        if self.schema.is_none() {
            return Err(OpenError::NoSchema { server });
        }
        Ok(())
    }
}

/// Nothing can be done about it but to start another program.
pub(super) fn is_newer(error: &store::Error) -> bool {
    matches!(error, store::Error::Unavailable(away) if away.cause == Cause::Newer)
}

/// What a database of ours says of itself.
pub(super) struct Meta {
    pub(super) schema: i32,
    pub(super) min_compatible: i32,
    pub(super) incarnation: Uuid,
}

impl Meta {
    /// Refuses one that is not open to this program any more.
    async fn load(client: &Client, address: &Address) -> Result<Self, OpenError> {
        let unusable = |error: Error| OpenError::unusable(address, &error);
        let found = once(client, sql::META_LOAD, &[]).await.map_err(unusable)?;
        let row = found.first().ok_or_else(|| OpenError::HalfRestored {
            server: address.to_string(),
        })?;
        let meta = Self::read(row).map_err(unusable)?;
        if meta.min_compatible > SCHEMA {
            return Err(OpenError::TooNew {
                server: address.to_string(),
                found: meta.schema,
                needs: meta.min_compatible,
            });
        }
        Ok(meta)
    }

    /// Whether this program can still work on it. It may have been brought up to date meanwhile.
    pub(super) fn check_open(&self) -> Result<(), store::Error> {
        if self.min_compatible <= SCHEMA {
            return Ok(());
        }
        let why = format!(
            "its schema {} is open to programs that know schema {}, and this one knows {SCHEMA}: start the newer version of \
             Taskyard that the others run",
            self.schema, self.min_compatible
        );
        Err(store::Error::Unavailable(Cause::Newer.with(why)))
    }

    /// What a check promises it promises of the tables of today.
    pub(super) fn is_of_today(&self, address: &Address) -> Result<(), OpenError> {
        if self.schema < SCHEMA {
            return Err(OpenError::Older {
                server: address.to_string(),
                found: self.schema,
            });
        }
        Ok(())
    }

    /// From the one row that there is.
    pub(super) fn only(rows: &[Row]) -> Result<Self, store::Error> {
        let row = rows.first();
        let row = row.ok_or_else(|| store::Error::Failed("there is no row in meta".to_owned()))?;
        Self::read(row).map_err(|error| explain(&error))
    }

    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            schema: row.try_get(0)?,
            min_compatible: row.try_get(1)?,
            incarnation: row.try_get(2)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a target that differs from a good one in one thing.
    fn said(change: impl FnOnce(&mut Target)) -> String {
        let address = Address::parse("postgresql://me:secret@db/yard").unwrap();
        let mut target = Target {
            version: 150_018,
            is_read_only: false,
            encoding: "UTF8".to_owned(),
            schema: Some("public".to_owned()),
            is_durable: true,
            tables: Tables::None,
        };
        change(&mut target);
        let checked = target.check(&address);
        checked.map_or_else(|error| error.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn what_cannot_be_worked_on_is_refused_in_a_line() {
        assert_eq!(said(|_| ()), "fine");
        assert_eq!(said(|target| target.version = 190_000), "fine");
        assert_eq!(
            said(|target| target.version = 140_022),
            "the database db:5432/yard is PostgreSQL 14; this program needs 15 or newer"
        );
        assert_eq!(
            said(|target| target.is_read_only = true),
            "the database db:5432/yard takes no writes: it is a standby, or set to read only"
        );
        assert_eq!(
            said(|target| target.encoding = "LATIN1".to_owned()),
            "the database db:5432/yard is encoded in LATIN1; this program needs UTF8"
        );
        assert_eq!(
            said(|target| target.schema = None),
            "the database db:5432/yard has no schema to make tables in; see its search_path"
        );
    }
}
