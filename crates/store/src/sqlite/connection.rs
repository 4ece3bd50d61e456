//! Connections: the settings that the store relies on, and statements that are parsed once.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row};

use super::fields::{Fields, Read};
use super::{file, log};

/// How many parsed statements a connection keeps: more than there are.
const STATEMENTS_KEPT: usize = 128;
/// What the log of the file of logs is cut to when it starts over.
const LOGS_WAL_BYTES_MAX: u32 = 64 << 20;
/// Only another program that looks into the file makes us wait.
const BUSY: Duration = Duration::from_secs(5);

/// The log is synced by [`super::log`] and moved into the database by [`super::checkpoint`].
pub(super) fn writing(path: &Path, log_bytes_max: u64) -> Read<Connection> {
    let connection = Connection::open(file::made_private(path))?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(&format!(
        "pragma journal_mode = wal; pragma synchronous = normal; pragma wal_autocheckpoint = 0; \
         pragma journal_size_limit = {log_bytes_max};"
    ))?;
    settle(connection)
}

/// For a look before anything is changed: nothing of it stays, neither in the file nor beside it. The index of a log is
/// made in memory, for which it keeps all others away; where somebody has the file open, it is busy at once.
pub(super) fn looking_alone(path: &Path) -> Read<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::ZERO)?;
    // A log that is there stays as it is. One that SQLite makes, to find nothing in it, goes again.
    let has_log = log::of(path).exists();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
    connection.execute_batch("pragma locking_mode = exclusive; pragma query_only = on;")?;
    Ok(connection)
}

/// The file alone, as if nothing stood beside it and nobody ever wrote to it: whatever that is, a look at it changes nothing.
/// A change that was cut short is still in it.
pub(super) fn as_it_stands(path: &Path) -> Read<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let bytes = path.as_os_str().as_bytes().iter();
    let path: String = bytes.map(|byte| format!("%{byte:02x}")).collect();
    Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)
}

/// Writes what stands there already, so that there is a log. SQLite does not write a row that is set to what it is.
pub(super) fn begin_log(connection: &Connection) -> Read<()> {
    connection.execute_batch("pragma user_version = 0;")
}

/// For a file of which the power may take the last moments: nothing waits for the disk but what moves its log.
pub(super) fn logging(path: &Path) -> Read<Connection> {
    let connection = Connection::open(file::made_private(path))?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(&format!(
        "pragma journal_mode = wal; pragma synchronous = normal; pragma wal_autocheckpoint = 4096; \
         pragma journal_size_limit = {LOGS_WAL_BYTES_MAX};"
    ))?;
    settle(connection)
}

/// Moves the log into the database beside the writer, and writes nothing else.
pub(super) fn checkpointing(path: &Path) -> Read<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch("pragma synchronous = normal; pragma wal_autocheckpoint = 0;")?;
    Ok(connection)
}

pub(super) fn in_memory() -> Read<Connection> {
    settle(Connection::open_in_memory()?)
}

/// For questions: whatever happens, it changes nothing.
pub(super) fn reading(path: &Path) -> Read<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch("pragma query_only = on;")?;
    settle(connection)
}

fn settle(connection: Connection) -> Read<Connection> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // Plans are chosen from the statement alone; otherwise the pick is parsed again in each batch.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(
        "pragma cache_size = -16384; pragma temp_store = memory; pragma mmap_size = 0; \
         pragma cell_size_check = on;",
    )?;
    Ok(connection)
}

pub(super) fn one<T>(
    connection: &Connection,
    statement: &str,
    params: impl Params,
    read: impl FnOnce(&mut Fields<'_>) -> Read<T>,
) -> Read<Option<T>> {
    connection
        .prepare_cached(statement)?
        .query_row(params, |row| read(&mut Fields::of(row)))
        .optional()
}

pub(super) fn all<T>(
    connection: &Connection,
    statement: &str,
    params: impl Params,
    read: impl Fn(&mut Fields<'_>) -> Read<T>,
) -> Read<Vec<T>> {
    connection
        .prepare_cached(statement)?
        .query_map(params, |row: &Row<'_>| read(&mut Fields::of(row)))?
        .collect()
}
