//! Opening the file of logs, with the care that the database itself is opened with.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use crate::migration::{self, Migration};
use crate::sqlite::connection;
use crate::sqlite::fields::Read;
use crate::sqlite::file::Part;
use crate::sqlite::home::Home;
use crate::sqlite::lock::Holder;
use crate::sqlite::logs::reads;
use crate::sqlite::open::{self, Meta, OpenError, explain};
use crate::sqlite::{inspect, lock, sql};

const MIGRATIONS: [Migration; 2] = [
    Migration {
        number: 1,
        min_compatible: 1,
        statements: include_str!("../../../migrations/logs/0001_tables.sql"),
    },
    Migration {
        number: 2,
        min_compatible: 2,
        statements: include_str!("../../../migrations/logs/0002_chunks.sql"),
    },
];
const SCHEMA: i32 = MIGRATIONS[MIGRATIONS.len() - 1].number;

pub(super) struct Opened {
    pub(super) writing: Connection,
    pub(super) reading: Connection,
    pub(super) home: Home,
    /// Closed behind the connections; see [`lock::alone`].
    pub(super) lock: Option<File>,
}

/// What stands behind the database's name in that of its file of logs.
pub(in crate::sqlite) const BESIDE: &str = ".logs";

/// The file of logs of the database in this file.
pub(in crate::sqlite) fn of(database: &Path) -> PathBuf {
    let mut path = OsString::from(database);
    path.push(BESIDE);
    path.into()
}

pub(super) fn file(path: &Path, incarnation: &[u8; 16]) -> Result<Opened, OpenError> {
    // What stands beside the file stands beside the file itself, not beside a link to it.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let broken = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    open::check_files(path)?;
    inspect::check_ours_first(Part::Logs, path)?;
    let writing = connection::logging(path).map_err(|error| explain(path, &error))?;
    // The database's own lock keeps other servers away; this one those that were led here by another database.
    let lock = lock::alone(path).map_err(broken)?;
    let Some(lock) = lock else {
        let (path, by) = (path.to_owned(), Holder::default());
        return Err(OpenError::InUse { path, by });
    };
    let mode: String = writing
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .map_err(|error| explain(path, &error))?;
    if mode != "wal" {
        let path = path.to_owned();
        return Err(OpenError::NoLog { path });
    }
    bring_up_to_date(&writing, path, incarnation)?;
    let reading = connection::reading(path).map_err(|error| explain(path, &error))?;
    Ok(Opened {
        writing,
        reading,
        home: Home::of(path).map_err(broken)?,
        lock,
    })
}

pub(crate) fn in_memory(incarnation: &[u8; 16]) -> Result<Connection, OpenError> {
    let path = Path::new(":memory:");
    let connection = connection::in_memory().map_err(|error| explain(path, &error))?;
    bring_up_to_date(&connection, path, incarnation)?;
    Ok(connection)
}

/// Whether there is something in this file of logs; not if it is none, or damaged. Where a change was cut short, only who
/// may write could tell, so there may be.
pub(in crate::sqlite) fn holds_lines(path: &Path) -> bool {
    match inspect::our_logs(path) {
        Ok(connection) => reads::tasks(&connection, None, 1).is_ok_and(|tasks| !tasks.is_empty()),
        Err(OpenError::HalfChanged(_)) => true,
        Err(_) => false,
    }
}

/// All in one transaction, so that a crash on the way leaves the file as it was.
fn bring_up_to_date(
    connection: &Connection,
    path: &Path,
    incarnation: &[u8; 16],
) -> Result<(), OpenError> {
    let broken = |error: rusqlite::Error| explain(path, &error);
    let tx = connection.unchecked_transaction().map_err(broken)?;
    if open::tables(&tx, "true").map_err(broken)? == 0 {
        create(&tx, incarnation).map_err(broken)?;
    }
    let meta = check_ours(&tx, path)?;
    for missing in migration::missing(&MIGRATIONS, meta.schema, meta.min_compatible) {
        let done = tx.execute_batch(missing.statements);
        done.map_err(broken)?;
        let values = params![missing.number, missing.min_compatible];
        tx.execute(sql::META_UPDATE, values).map_err(broken)?;
    }
    tx.commit().map_err(broken)
}

/// What the file says of itself, if it holds logs and this program can work on it.
pub(in crate::sqlite) fn check_ours(
    connection: &Connection,
    path: &Path,
) -> Result<Meta, OpenError> {
    // The last is what there was before the one before it.
    let names = "name in ('meta', 'log_run', 'log_chunk', 'log_line')";
    let ours = open::tables(connection, names);
    if ours.map_err(|error| explain(path, &error))? != 3 {
        return Err(OpenError::ForeignLogs(path.to_owned()));
    }
    open::meta(connection, path, SCHEMA)
}

fn create(tx: &Connection, incarnation: &[u8; 16]) -> Read<()> {
    let first = MIGRATIONS[0];
    tx.execute_batch(first.statements)?;
    let values = params![first.number, first.min_compatible, incarnation];
    tx.execute(sql::META_INSERT, values).map(drop)
}
