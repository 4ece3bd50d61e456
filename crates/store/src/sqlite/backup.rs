//! Backups: a copy of the database as it stands at one moment. Putting one in its place stands in [`super::restore`].
//!
//! A backup is taken by SQLite's own means over a connection that reads, in one step, so it is one snapshot whatever is
//! written meanwhile, and holds everything that was acknowledged before it began. It keeps no server away and is kept
//! away by none; the log of a server that works meanwhile grows until it is done.
//!
//! The logs of runs are copied behind the tasks: the copy has every line that the tasks in it had printed by then, and
//! some of after, of tasks that are not in it, which are swept once it is put back, or of runs that it does not know,
//! which give way to those that have their numbers then. Whatever is wrong with the logs, the tasks are copied.
//!
//! Whatever is written goes to a file beside the one it is to become, is looked through and put on the disk, and only
//! then takes that name: there is never half a file under it, and never the logs of another backup beside it.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::connection::all;
use super::error::is_of_writing;
use super::family;
use super::file::{self, Part, Partial};
use super::inspect::Missing;
use super::lock::Replaced;
use super::open::{self, OpenError, explain, in_use};
use super::restore::is_cut_short;

/// All pages in one step, so that it is one snapshot.
const WHOLE: i32 = -1;

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{0} exists already; name another file, or say --force to replace it")]
    Exists(PathBuf),
    #[error("{0} belongs to the database itself; name another file")]
    Itself(PathBuf),
    #[error(
        "{0} belongs to the backup and to the database whose place it is to take; name another file"
    )]
    OfBoth(PathBuf),
    #[error("{path} cannot be written: {source}")]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the copy is not whole ({0}), so it was thrown away; nothing else was changed")]
    NotWhole(String),
    #[error("the tasks are gone, but not the logs of their runs: {0}")]
    LogsStay(Box<BackupError>),
}

/// What became of the logs beside the tasks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogsCopied {
    Whole,
    /// There are none.
    Missing,
    /// Why they could not be had.
    Left(String),
}

/// A backup that was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Of all its files.
    pub bytes: u64,
    pub logs: LogsCopied,
}

/// Copies the database as it stands to a new file, or in place of an old one where that is asked for, and the logs of its
/// runs to one beside that. A server may work on the database meanwhile.
pub fn backup(database: &Path, to: &Path, replace: bool) -> Result<Taken, BackupError> {
    let database = &file::behind_links(database);
    if let Some(shared) = family::shared(to, database) {
        return Err(BackupError::Itself(shared));
    }
    let files = Part::ALL.map(|part| part.of(to));
    if let Some(there) = files.iter().find_map(|file| file::in_the_way_of(file))
        && !replace
    {
        return Err(BackupError::Exists(there));
    }
    if is_cut_short(to) {
        return Err(OpenError::HalfRestored(to.to_owned()).into());
    }
    let held = Replaced::hold(to, &files).map_err(file::write(to))?;
    let held = held.ok_or_else(|| in_use(&file::behind_links(to)))?;
    let tasks = Partial::beside(to)?;
    let log = Missing::look(database);
    let copied = copy_whole(Part::Tasks, database, &tasks, |_| Ok(()));
    if log.is_missing() {
        open::tell_of_missing_log(database);
    }
    copied?;
    let beside = Partial::beside(&Part::Logs.of(to))?;
    let (beside, logs) = copy_logs(database, beside)?;

    // What is replaced loses its logs first: none ever stand beside another's tasks.
    let logs_there = Part::Logs.of(to);
    if replace {
        file::clear(&logs_there)?;
    } else if let Some(there) = file::in_the_way_of(&logs_there) {
        return Err(BackupError::Exists(there));
    }
    let mut bytes = tasks.become_file(to, replace)?;
    if let Some(beside) = beside {
        bytes += beside.become_file(&logs_there, replace)?;
    }
    held.give_up().map_err(file::write(to))?;
    Ok(Taken { bytes, logs })
}

/// The copy of the logs, where there is one.
pub(super) fn copy_logs(
    database: &Path,
    copy: Partial,
) -> Result<(Option<Partial>, LogsCopied), BackupError> {
    let from = Part::Logs.of(database);
    if !from.is_file() {
        return Ok((None, LogsCopied::Missing));
    }
    match copy_whole(Part::Logs, &from, &copy, |_| Ok(())) {
        Ok(()) => Ok((Some(copy), LogsCopied::Whole)),
        // There is no room for the copy, or no right to make it.
        Err(error @ BackupError::Write { .. }) => Err(error),
        Err(error) => Ok((None, LogsCopied::Left(error.to_string()))),
    }
}

/// Copies, has the copy changed, looks through it, and puts it on the disk.
pub(super) fn copy_whole(
    part: Part,
    from: &Path,
    copy: &Partial,
    change: impl FnOnce(&Connection) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let source = part.look(from)?;
    let at = |error: rusqlite::Error| explain(copy.path(), &error);
    let mut target = Connection::open(copy.path()).map_err(at)?;
    let backup = Backup::new(&source, &mut target).map_err(at)?;
    let broke = |error: rusqlite::Error| {
        if is_of_writing(&error) {
            let source = std::io::Error::other(error.to_string());
            return file::write(copy.path())(source);
        }
        explain(from, &error).into()
    };
    while let StepResult::Busy | StepResult::Locked = backup.step(WHOLE).map_err(broke)? {
        std::thread::yield_now();
    }
    drop(backup);
    // One file, whole by itself; a server has it keep a log again.
    target
        .execute_batch("pragma journal_mode = delete; pragma synchronous = full;")
        .map_err(at)?;
    change(&target)?;
    let said: Vec<String> =
        all(&target, "pragma quick_check(1)", [], |fields| fields.take()).map_err(at)?;
    if said != ["ok"] {
        return Err(BackupError::NotWhole(said.join("; ")));
    }
    part.check_ours(&target, copy.path())?;
    drop(target);
    copy.sync()
}
