//! Looking into a database without touching it, also while a server works on it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use taskyard_core::lane::Lane;
use taskyard_core::status::Status;

use super::connection::{self, all};
use super::fields::{Fields, Read};
use super::open::{self, OpenError};
use super::sql;
use crate::columns::BadColumn;
use crate::stats::Stats;

/// How many findings of one sort are named.
const FINDINGS_MAX: i64 = 100;

/// What must not be, and how it is said.
const BROKEN: [(&str, &str); 4] = [
    (sql::CHECK_TWO_PLACES, "stands in two places"),
    (sql::CHECK_NO_PLACE, "stands nowhere and has not ended"),
    (
        sql::CHECK_PLACE_AND_OUTCOME,
        "has ended and still stands somewhere",
    ),
    (
        sql::CHECK_NO_TASK,
        "has a place or an end, but is not there",
    ),
];

/// Looks through the whole file, then at what the rows promise; names what is wrong, at most a hundred of each sort.
/// Empty: all is well. It reads one snapshot, and the log of a server that works meanwhile grows until it is done.
pub fn check(path: &Path) -> Result<Vec<String>, OpenError> {
    let connection = ours(path)?;
    findings(&connection).map_err(|error| open::explain(path, &error))
}

/// Its version, and how much it holds.
pub fn stats(path: &Path) -> Result<Stats, OpenError> {
    let connection = ours(path)?;
    let meta = open::meta(&connection, path)?;
    let counted = |fields: &mut Fields<'_>| Ok((fields.take()?, fields.take()?));
    let tables = all(&connection, sql::TABLE_COUNTS, [], counted);
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    Ok(Stats {
        schema: meta.schema,
        min_compatible: meta.min_compatible,
        incarnation: meta.incarnation,
        bytes: length(path)? + length(&PathBuf::from(log))?,
        tables: tables.map_err(|error| open::explain(path, &error))?,
    })
}

/// A connection to a database that is there, is ours, and is not too new.
fn ours(path: &Path) -> Result<Connection, OpenError> {
    if let Err(source) = path.metadata() {
        let path = path.to_owned();
        return Err(OpenError::Io { path, source });
    }
    let connection = connection::reading(path).map_err(|error| open::explain(path, &error))?;
    open::check_ours(&connection, path)?;
    open::meta(&connection, path)?;
    Ok(connection)
}

fn findings(connection: &Connection) -> Read<Vec<String>> {
    let snapshot = connection.unchecked_transaction()?;
    let said: Vec<String> = all(&snapshot, "pragma integrity_check(100)", [], |fields| {
        fields.take()
    })?;
    let mut found: Vec<String> = said.into_iter().filter(|line| line != "ok").collect();
    for (statement, what) in BROKEN {
        let tasks = all(&snapshot, statement, [FINDINGS_MAX], |fields| fields.task())?;
        found.extend(tasks.into_iter().map(|task| format!("task {task} {what}")));
    }
    found.extend(all(
        &snapshot,
        sql::CHECK_COUNTERS,
        [FINDINGS_MAX],
        miscounted,
    )?);
    snapshot.finish()?;
    Ok(found)
}

fn miscounted(fields: &mut Fields<'_>) -> Read<String> {
    let lane = Lane(fields.take()?);
    let status = fields.decode(|code| {
        Status::from_code(code).ok_or_else(|| BadColumn::new("counter.status", code))
    })?;
    let over: i64 = fields.take()?;
    let (by, way) = (over.unsigned_abs(), if over > 0 { "many" } else { "few" });
    Ok(format!(
        "the counter of {lane:?} says {by} too {way} are {status}"
    ))
}

/// 0 for a file that is not there: a database that nobody has open has no log.
fn length(path: &Path) -> Result<u64, OpenError> {
    match path.metadata() {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(source) => Err(OpenError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}
