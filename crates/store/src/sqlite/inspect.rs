//! Looking into a database without touching it, also while a server works on it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::connection::{self, all};
use super::fields::{Fields, Read};
use super::open::{self, OpenError, SCHEMA};
use super::sql;
use crate::findings::{self, FINDINGS_MAX};
use crate::stats::Stats;

/// Looks through the whole file, then at what the rows promise; names what is wrong, at most a hundred of each sort.
/// Empty: all is well. It reads one snapshot, and the log of a server that works meanwhile grows until it is done.
pub fn check(path: &Path) -> Result<Vec<String>, OpenError> {
    let connection = ours(path)?;
    open::meta(&connection, path, SCHEMA)?.is_of_today(path)?;
    findings(&connection).map_err(|error| open::explain(path, &error))
}

/// Its version, and how much it holds.
pub fn stats(path: &Path) -> Result<Stats, OpenError> {
    let connection = ours(path)?;
    let meta = open::meta(&connection, path, SCHEMA)?;
    let counted = |fields: &mut Fields<'_>| Ok((fields.take()?, fields.take()?));
    let tables = all(&connection, sql::STATS_ROWS, [], counted);
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
    open::meta(&connection, path, SCHEMA)?;
    Ok(connection)
}

fn findings(connection: &Connection) -> Read<Vec<String>> {
    let snapshot = connection.unchecked_transaction()?;
    let said: Vec<String> = all(&snapshot, "pragma integrity_check(100)", [], |fields| {
        fields.take()
    })?;
    let mut found: Vec<String> = said.into_iter().filter(|line| line != "ok").collect();
    found.extend(all(&snapshot, findings::PLACES, [FINDINGS_MAX], place)?);
    found.extend(all(&snapshot, findings::COUNTERS, [FINDINGS_MAX], counter)?);
    for (statement, what) in findings::OF_TASKS {
        let line = |fields: &mut Fields<'_>| Ok(format!("task {} {what}", fields.task()?));
        found.extend(all(&snapshot, statement, [FINDINGS_MAX], line)?);
    }
    snapshot.finish()?;
    Ok(found)
}

fn place(fields: &mut Fields<'_>) -> Read<String> {
    let (id, known, places) = (fields.task()?, fields.take()?, fields.take()?);
    Ok(findings::place(id, known, places, fields.take()?))
}

fn counter(fields: &mut Fields<'_>) -> Read<String> {
    let (lane, status, counted) = (fields.take()?, fields.take()?, fields.take()?);
    Ok(findings::counter(lane, status, counted, fields.take()?))
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
