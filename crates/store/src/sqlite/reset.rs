//! Taking everything away: all of it or nothing, in one transaction. What stays is told by `all_delete.sql`.

use std::path::Path;

use rusqlite::{Connection, params};
use taskyard_core::random::Random;

use super::backup::BackupError;
use super::fields::Read;
use super::file::{self, Part};
use super::open::{self, OpenError, explain};
use super::restore::Held;
use super::{inspect, sql};
use crate::incarnation;

/// Empties the database in this file, and gives the room back that it took. Refused while a server has it open. Broken off
/// before the tasks are gone, it has done nothing; after, what may be left are logs of tasks that are gone, which go when
/// it is done again, or are swept by the next server.
pub fn reset(database: &Path, random: &mut dyn Random) -> Result<(), BackupError> {
    let database = &file::behind_links(database);
    // Looked at before anything is taken hold of, so that nothing is left beside what is no database of ours.
    let looking = inspect::ours(database)?;
    open::meta(&looking, database, open::SCHEMA)?.is_of_today(database)?;
    drop(looking);
    let lock = Held::take(database)?;
    let broken = |error: rusqlite::Error| explain(database, &error);
    let connection = Connection::open(database).map_err(broken)?;
    let tx = connection.unchecked_transaction().map_err(broken)?;
    empty(&tx, &incarnation(random)).map_err(broken)?;
    tx.commit().map_err(broken)?;
    connection.execute_batch("vacuum").map_err(broken)?;
    drop(connection);
    empty_logs(database).map_err(|error| BackupError::LogsStay(Box::new(error)))?;
    lock.free(database)
}

/// Within a transaction of the caller's.
pub(super) fn empty(connection: &Connection, incarnation: &[u8; 16]) -> Read<()> {
    connection.execute(sql::META_RESET, params![incarnation])?;
    connection.execute_batch(sql::ALL_DELETE)
}

fn empty_logs(database: &Path) -> Result<(), BackupError> {
    let path = Part::Logs.of(database);
    if !path.is_file() {
        return Ok(());
    }
    match Part::Logs.look(&path) {
        Err(OpenError::Empty(_)) => return Ok(()),
        looking => drop(looking?),
    }
    let broken = |error: rusqlite::Error| explain(&path, &error);
    let connection = Connection::open(&path).map_err(broken)?;
    let tx = connection.unchecked_transaction().map_err(broken)?;
    tx.execute_batch(sql::LOG_DELETE).map_err(broken)?;
    tx.commit().map_err(broken)?;
    connection.execute_batch("vacuum").map_err(broken)?;
    Ok(())
}
