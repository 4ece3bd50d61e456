//! Opening a database: is it ours, is it whole, does it fit this program; and bringing it up to date.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, params};
use taskyard_core::random::Random;
use taskyard_core::shell::quoted;
use uuid::Uuid;

use super::connection::{self, all, one};
use super::error::{is_of_a_row, needs_rollback, why_unreadable};
use super::fields::{Fields, Read};
use super::file::Part;
use super::lock::{self, Holder, Lock};
use super::migrations::MIGRATIONS;
use super::starting::Starting;
use super::{inspect, log, logs, restore, sql};
use crate::incarnation;
use crate::migration;

/// What stands in the place of a path where there is no file.
const IN_MEMORY: &str = ":memory:";
/// What is said where the last server ended without stopping and there is no log.
pub(super) const LOG_IS_GONE: &str = "the last server did not stop in order, and the log that stands beside the database \
     then (-wal) is gone: if somebody removed it, what was acknowledged last is lost";
/// Earlier ones can damage a file when its log starts over while two connections write or checkpoint.
const SQLITE_MIN: i32 = 3_051_003;

pub(super) const SCHEMA: i32 = MIGRATIONS[MIGRATIONS.len() - 1].number;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{path} is in use by another server{by}; stop that one first, or name another file")]
    InUse { path: PathBuf, by: Holder },
    #[error(
        "{0} is a database of some other program; nothing in it was changed. Name another file"
    )]
    Foreign(PathBuf),
    #[error(
        "{0} is a database of some other program and no file of logs; nothing in it was changed"
    )]
    ForeignLogs(PathBuf),
    #[error(
        "{path} needs a newer version of Taskyard (its schema {found} is open to programs that know schema \
         {needs}, this one knows {knows})"
    )]
    TooNew {
        path: PathBuf,
        found: i32,
        needs: i32,
        knows: i32,
    },
    #[error(
        "{path} is of schema {found}, and only schema {SCHEMA} can be looked through; `taskyard db migrate` brings it \
         up to date"
    )]
    Older { path: PathBuf, found: i32 },
    #[error(
        "{path} is damaged or no SQLite database ({reason}). Keep a copy of it and of the files beside it, then put \
         a backup in its place, or save what can be read with: sqlite3 {} .recover",
        typed(.path)
    )]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "{path} cannot keep a write-ahead log, as on a network file system; put it on a local disk"
    )]
    NoLog { path: PathBuf },
    #[error(
        "{path} is missing or empty, but {log} holds what belongs into it. Put the database's file back beside its \
         log, or, to begin with an empty one, move the log away"
    )]
    LogAlone { path: PathBuf, log: PathBuf },
    #[error(
        "{path} is missing or empty, but {logs} holds what runs of its tasks have printed, which would be taken away from \
         an empty database. Put the database's file back (`taskyard db restore` does that with a backup), or, to begin \
         with an empty one, move {logs} away"
    )]
    LogsAlone { path: PathBuf, logs: PathBuf },
    #[error("{0} is empty: nothing was stored yet; a start makes it Taskyard's")]
    Empty(PathBuf),
    #[error(
        "a backup was being put in the place of {0} when that was cut short; a server that starts on it brings it to its \
         end, and so does `taskyard db migrate`"
    )]
    HalfRestored(PathBuf),
    #[error(
        "a backup was being put in the place of {path} when that was cut short, and it cannot be brought to its end: \
         {reason}"
    )]
    NotRestored { path: PathBuf, reason: String },
    #[error(
        "a change of {0} was cut short, and {0}-journal has what was there before; the next server to start on the database \
         puts that back, and so does `taskyard db migrate`"
    )]
    HalfChanged(PathBuf),
    #[error(
        "{path} has {names} names (hard links), and SQLite would keep a log for each, which damages the file; leave \
         it one"
    )]
    SeveralNames { path: PathBuf, names: u64 },
    #[error("SQLite {0} has a fault that can damage files; this program needs 3.51.3 or newer")]
    OldSqlite(&'static str),
    #[error("{path} cannot be opened: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{path} holds what cannot be read: {reason}. `taskyard db check` names all of it; put a backup in its place, or \
         correct it with sqlite3"
    )]
    Unreadable { path: PathBuf, reason: String },
    #[error(
        "{path} has Taskyard's tables, but not all that belongs to them: {missing} is not there; put a backup in its place"
    )]
    Incomplete { path: PathBuf, missing: String },
    #[error("{path} cannot be opened: {reason}")]
    Unusable { path: PathBuf, reason: String },
}

pub(super) struct Opened {
    pub(super) connection: Connection,
    /// Made with the database, and part of every lease's token: tokens of a database that this one took the place
    /// of mean nothing here.
    pub(super) incarnation: [u8; 16],
}

/// The first of the two is to outlive every connection.
pub(super) fn file<'a>(
    path: &'a Path,
    log_bytes_max: u64,
    listens_on: Option<SocketAddr>,
    random: &mut dyn Random,
) -> Result<(Starting<'a>, Opened), OpenError> {
    check_version()?;
    let broken = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let in_use = || in_use(path);
    let mut lock = lock::take(path).map_err(broken)?.ok_or_else(in_use)?;
    if let Err(refused) = look_first(path, &mut lock) {
        lock.was_for_nothing(path);
        return Err(refused);
    }
    let mut starting = Starting::with(lock, path);
    let connection =
        connection::writing(path, log_bytes_max).map_err(|error| explain(path, &error))?;
    if !starting.hold(listens_on).map_err(broken)? {
        return Err(in_use());
    }
    if starting.misses_log() {
        tell_of_missing_log(path);
    }
    let incarnation = begin(&connection, path, random)?;
    if !has_log(path) {
        // Where the disk is full there is none, and nothing to lose yet; the first batch says so.
        let _ = connection::begin_log(&connection);
    }
    let opened = Opened {
        connection,
        incarnation,
    };
    Ok((starting, opened))
}

/// No error: another program that had the file open meanwhile may have moved the log into it, and taken it away.
pub(super) fn tell_of_missing_log(path: &Path) {
    tracing::warn!(path = %path.display(), "{LOG_IS_GONE}");
}

/// What refuses a start before it has changed anything, or left anything beside the file.
fn look_first(path: &Path, lock: &mut Lock) -> Result<(), OpenError> {
    finish_restore(path, lock)?;
    check_files(path)?;
    check_logs(path)?;
    inspect::check_ours_first(Part::Tasks, path)
}

/// As a command names it that is to be typed.
fn typed(path: &Path) -> String {
    quoted(&path.to_string_lossy()).into_owned()
}

pub(super) fn in_use(path: &Path) -> OpenError {
    OpenError::InUse {
        path: path.to_owned(),
        by: lock::holder(path),
    }
}

fn begin(
    connection: &Connection,
    path: &Path,
    random: &mut dyn Random,
) -> Result<[u8; 16], OpenError> {
    let mode: String = connection
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .map_err(|error| explain(path, &error))?;
    if mode != "wal" {
        let path = path.to_owned();
        return Err(OpenError::NoLog { path });
    }
    bring_up_to_date(connection, path, random)
}

fn finish_restore(path: &Path, lock: &mut Lock) -> Result<(), OpenError> {
    restore::finish(path, lock).map_err(|error| OpenError::NotRestored {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

pub(super) fn in_memory(random: &mut dyn Random) -> Result<Opened, OpenError> {
    check_version()?;
    let path = Path::new(IN_MEMORY);
    let connection = connection::in_memory().map_err(|error| explain(path, &error))?;
    let incarnation = bring_up_to_date(&connection, path, random)?;
    Ok(Opened {
        connection,
        incarnation,
    })
}

/// What SQLite does not look at: it deletes a log whose database is empty, and it cannot know another name of the file.
pub(super) fn check_files(path: &Path) -> Result<(), OpenError> {
    let names = path.metadata().as_ref().map_or(1, MetadataExt::nlink);
    if names > 1 {
        let path = path.to_owned();
        return Err(OpenError::SeveralNames { path, names });
    }
    let log = log::of(path);
    if !holds_something(path) && holds_something(&log) {
        let path = path.to_owned();
        return Err(OpenError::LogAlone { path, log });
    }
    Ok(())
}

/// The logs of runs whose database is gone are the last that is left of it: in an empty one they would be those of tasks
/// that nobody knows, which are swept.
pub(super) fn check_logs(path: &Path) -> Result<(), OpenError> {
    if holds_something(path) {
        return Ok(());
    }
    no_logs(path)
}

pub(super) fn no_logs(path: &Path) -> Result<(), OpenError> {
    let logs = logs::open::of(path);
    if logs::open::holds_lines(&logs) {
        let path = path.to_owned();
        return Err(OpenError::LogsAlone { path, logs });
    }
    Ok(())
}

/// SQLite makes the log with the first connection, and takes it away with the last one that closes in order. Who only
/// looks leaves an empty one behind.
pub(super) fn has_log(path: &Path) -> bool {
    holds_something(&log::of(path))
}

pub(super) fn holds_something(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.len() > 0)
}

fn check_version() -> Result<(), OpenError> {
    if rusqlite::version_number() < SQLITE_MIN {
        return Err(OpenError::OldSqlite(rusqlite::version()));
    }
    Ok(())
}

/// All in one transaction, so that a crash on the way leaves the database as it was.
fn bring_up_to_date(
    connection: &Connection,
    path: &Path,
    random: &mut dyn Random,
) -> Result<[u8; 16], OpenError> {
    let broken = |error: rusqlite::Error| explain(path, &error);
    let tx = connection.unchecked_transaction().map_err(broken)?;
    let is_new = has_nothing(&tx).map_err(broken)?;
    if is_new {
        // What it held may have stood in its log alone, and that be gone.
        no_logs(path)?;
        create(&tx, random).map_err(broken)?;
    }
    check_ours(&tx, path)?;
    let meta = meta(&tx, path, SCHEMA)?;
    migrate(&tx, &meta).map_err(broken)?;
    if let Some(missing) = missing(&tx, &meta).map_err(broken)? {
        return Err(OpenError::Incomplete {
            path: path.to_owned(),
            missing,
        });
    }
    tx.commit().map_err(broken)?;
    let words = migration::words(&MIGRATIONS, meta.schema, meta.min_compatible);
    if is_new && path != Path::new(IN_MEMORY) {
        tracing::info!(path = %path.display(), "there was no database; a new one was made, with nothing in it");
    } else if let Some(words) = words.filter(|_| !is_new) {
        tracing::info!(path = %path.display(), "{words}");
    }
    Ok(meta.incarnation)
}

/// As a file that was just made, or a start leaves that was killed before it had made the tables.
pub(super) fn has_nothing(connection: &Connection) -> Read<bool> {
    Ok(tables(connection, "true")? == 0)
}

pub(super) fn tables(connection: &Connection, named: &str) -> Read<i64> {
    let statement = format!("select count(*) from sqlite_schema where {named}");
    connection.query_row(&statement, [], |row| row.get(0))
}

pub(super) fn check_ours(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    match tables(connection, "name in ('meta', 'task', 'lease')") {
        Ok(3) => Ok(()),
        Ok(_) => Err(OpenError::Foreign(path.to_owned())),
        Err(error) => Err(explain(path, &error)),
    }
}

/// A table or an index that the migrations make, and that somebody has taken away. What a newer program's migrations took
/// away is for that to know.
fn missing(tx: &Connection, found: &Meta) -> Read<Option<String>> {
    if found.schema > SCHEMA {
        return Ok(None);
    }
    let model = Connection::open_in_memory()?;
    MIGRATIONS
        .iter()
        .try_for_each(|migration| model.execute_batch(migration.statements))?;
    let names = |connection| {
        let statement = "select name from sqlite_schema order by name";
        all(connection, statement, [], |fields| fields.take::<String>())
    };
    let there = names(tx)?;
    let mut made = names(&model)?.into_iter();
    Ok(made.find(|name| there.binary_search(name).is_err()))
}

pub(super) struct Meta {
    pub(super) schema: i32,
    pub(super) min_compatible: i32,
    pub(super) incarnation: [u8; 16],
}

/// What the database says of itself, if a program that knows its schemas up to this one can work on it.
pub(super) fn meta(connection: &Connection, path: &Path, knows: i32) -> Result<Meta, OpenError> {
    let read = |fields: &mut Fields<'_>| {
        Ok(Meta {
            schema: fields.take()?,
            min_compatible: fields.take()?,
            incarnation: fields.take::<Uuid>()?.into_bytes(),
        })
    };
    let meta = one(connection, sql::META_LOAD, [], read)
        .map_err(|error| explain(path, &error))?
        .ok_or_else(|| OpenError::Foreign(path.to_owned()))?;
    if meta.min_compatible > knows {
        return Err(OpenError::TooNew {
            path: path.to_owned(),
            found: meta.schema,
            needs: meta.min_compatible,
            knows,
        });
    }
    Ok(meta)
}

impl Meta {
    /// What a check promises it promises of the tables of today.
    pub(super) fn is_of_today(&self, path: &Path) -> Result<(), OpenError> {
        if self.schema < SCHEMA {
            return Err(OpenError::Older {
                path: path.to_owned(),
                found: self.schema,
            });
        }
        Ok(())
    }
}

fn create(tx: &Connection, random: &mut dyn Random) -> Read<()> {
    let first = MIGRATIONS[0];
    tx.execute_batch(first.statements)?;
    let incarnation = incarnation(random);
    tx.execute(
        sql::META_INSERT,
        params![first.number, first.min_compatible, incarnation],
    )?;
    Ok(())
}

fn migrate(tx: &Connection, found: &Meta) -> Read<()> {
    for missing in migration::missing(&MIGRATIONS, found.schema, found.min_compatible) {
        tx.execute_batch(missing.statements)?;
        let values = params![missing.number, missing.min_compatible];
        tx.execute(sql::META_UPDATE, values)?;
    }
    Ok(())
}

pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> OpenError {
    let (path, reason) = (path.to_owned(), why_unreadable(error));
    if needs_rollback(error) {
        return OpenError::HalfChanged(path);
    }
    if is_of_a_row(error) {
        return OpenError::Unreadable { path, reason };
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenError::Damaged { path, reason }
        }
        _ => OpenError::Unusable { path, reason },
    }
}
