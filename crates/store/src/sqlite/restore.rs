//! Putting a backup in the database's place.
//!
//! The copy is made, looked through and put on the disk beside the database first. What is left are several renames, and
//! the power may be cut between any two of them. So a note is written before the first, which says what is to be done,
//! and goes when all is done. Whoever opens the database, or puts another backup in its place, finds the note and brings
//! it to its end ([`finish`]); whoever only looks is told of it. Every step of it may be done again.
//!
//! A restored database gets a new incarnation, so that no lease, and no number of a run, of before is taken for one that
//! it gives itself.

use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use taskyard_core::random::Random;

use super::backup::{BackupError, LogsCopied, copy_logs, copy_whole};
use super::file::{self, INDEX, JOURNAL, LOG, Part, Partial, named, sync_folder_of, write};
use super::inspect::Missing;
use super::open::{explain, in_use, tell_of_missing_log};
use super::{family, inspect, lock, sql};
use crate::incarnation;

/// What is to take the database's place, under its name with this behind it.
pub(super) const NEW: &str = ".restored";
pub(super) const NOTE: &str = ".restoring";
/// How a note begins, before the name under which is kept what is replaced: with logs to be put in place, and without.
const WITH_LOGS: &[u8] = b"with logs\n";
const WITHOUT_LOGS: &[u8] = b"without logs\n";

/// What was done to the disk last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Copied,
    Noted,
    /// The journal, but not yet its file.
    MovedJournal(Part),
    /// The file, but not yet its log.
    Moved(Part),
    PutAside(Part),
    InPlace(Part),
    /// That the new file has no log to be missed.
    Said,
}

/// Told of each step; what it answers with stops the restore there, as a power cut would.
pub(super) type Steps<'a> = &'a mut dyn FnMut(Step) -> Result<(), BackupError>;

/// Puts a backup in the database's place, with its logs. What stood there is kept under the name `aside`, in the folder of the
/// file itself; without a database there, nothing is. Refused while a server has it open.
pub fn restore(
    from: &Path,
    database: &Path,
    aside: &Path,
    random: &mut dyn Random,
) -> Result<LogsCopied, BackupError> {
    restore_by_steps(from, database, aside, random, &mut |_| Ok(()))
}

pub(super) fn restore_by_steps(
    from: &Path,
    database: &Path,
    aside: &Path,
    random: &mut dyn Random,
    steps: Steps<'_>,
) -> Result<LogsCopied, BackupError> {
    let (from, database) = (&file::behind_links(from), &file::behind_links(database));
    let new = named(database, NEW);
    if let Some(shared) = family::shared(from, database) {
        return Err(BackupError::OfBoth(shared));
    }
    // Beside a link to the database it might be on another disk.
    let aside = aside.file_name().unwrap_or(aside.as_os_str());
    let aside = &file::folder_of(database).join(aside);
    let mut lock = Held::take(database)?;
    let tasks = Partial::under(Part::Tasks.of(&new))?;
    copy_whole(Part::Tasks, from, &tasks, |copied| {
        renew_in(copied, random).map_err(|error| explain(from, &error).into())
    })?;
    let beside = Partial::under(Part::Logs.of(&new))?;
    let (beside, logs) = copy_logs(from, beside)?;
    for part in Part::ALL {
        if let Some(there) = file::in_the_way_of(&part.of(aside)) {
            return Err(BackupError::Exists(there));
        }
    }
    tasks.belong_like(database)?;
    if let Some(beside) = &beside {
        beside.belong_like(database)?;
    }
    steps(Step::Copied)?;

    let note = Note {
        database,
        aside: aside.to_owned(),
        has_logs: beside.is_some(),
    };
    let noted = note.write();
    if is_cut_short(database) {
        tasks.keep();
        beside.iter().for_each(Partial::keep);
    }
    noted?;
    steps(Step::Noted)?;
    note.carry_out(&mut lock.0, steps)?;
    lock.free(database)?;
    Ok(logs)
}

/// Gives the database a new incarnation, as a restore does: for one that was put back by other means. Refused while a
/// server has it open.
pub fn renew(database: &Path, random: &mut dyn Random) -> Result<(), BackupError> {
    let database = &file::behind_links(database);
    let log = Missing::look(database);
    // Looked at before anything is taken hold of, so that nothing is left beside what is no database of ours.
    drop(inspect::ours(database)?);
    let lock = Held::take(database)?;
    let connection = Connection::open(database).map_err(|error| explain(database, &error))?;
    renew_in(&connection, random).map_err(|error| explain(database, &error))?;
    drop(connection);
    if log.is_missing() {
        tell_of_missing_log(database);
    }
    lock.give_back(database)
}

fn renew_in(connection: &Connection, random: &mut dyn Random) -> rusqlite::Result<()> {
    connection.execute(sql::META_RENEW, params![incarnation(random)])?;
    Ok(())
}

/// Brings a restore to its end that was cut short, if there was one.
pub(super) fn finish(database: &Path, lock: &mut lock::Lock) -> Result<(), BackupError> {
    finish_by_steps(database, lock, &mut |_| Ok(()))
}

pub(super) fn finish_by_steps(
    database: &Path,
    lock: &mut lock::Lock,
    steps: Steps<'_>,
) -> Result<(), BackupError> {
    let Some(note) = Note::of(database)? else {
        return Ok(());
    };
    note.carry_out(lock, steps)?;
    tracing::warn!(
        path = %database.display(),
        before = %note.aside.display(),
        "a restore that was cut short was brought to its end"
    );
    Ok(())
}

/// Whether a restore was cut short and is still to be brought to its end. There may be no file under the name then.
pub fn is_cut_short(database: &Path) -> bool {
    named(&file::behind_links(database), NOTE)
        .symlink_metadata()
        .is_ok()
}

/// What is to be done once the copy is whole.
struct Note<'a> {
    database: &'a Path,
    aside: PathBuf,
    /// There are logs to be put in place. Without any, those that stand there are put aside all the same.
    has_logs: bool,
}

impl<'a> Note<'a> {
    fn of(database: &'a Path) -> Result<Option<Self>, BackupError> {
        let path = named(database, NOTE);
        let said = match fs::read(&path) {
            Ok(said) => said,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(write(&path)(error)),
        };
        let with = said.strip_prefix(WITH_LOGS);
        let aside = with.or_else(|| said.strip_prefix(WITHOUT_LOGS));
        let aside = aside.filter(|aside| !aside.is_empty()).ok_or_else(|| {
            let why = "it is no note of a restore; look which of the files beside it is the database, and delete it";
            write(&path)(std::io::Error::new(ErrorKind::InvalidData, why))
        })?;
        Ok(Some(Self {
            database,
            aside: file::folder_of(database).join(OsStr::from_bytes(aside)),
            has_logs: with.is_some(),
        }))
    }

    /// On the disk, whole, when it returns.
    fn write(&self) -> Result<(), BackupError> {
        let path = named(self.database, NOTE);
        let aside = self.aside.strip_prefix(file::folder_of(self.database));
        let aside = aside.unwrap_or(&self.aside);
        let head = if self.has_logs {
            WITH_LOGS
        } else {
            WITHOUT_LOGS
        };
        let partial = Partial::beside(&path)?;
        let mut file = fs::File::create(partial.path()).map_err(write(partial.path()))?;
        file.write_all(&[head, aside.as_os_str().as_bytes()].concat())
            .map_err(write(partial.path()))?;
        partial.become_file(&path, true).map(drop)
    }

    fn carry_out(&self, lock: &mut lock::Lock, steps: Steps<'_>) -> Result<(), BackupError> {
        for part in Part::ALL {
            let new = part.of(&named(self.database, NEW));
            let is_new = new.symlink_metadata().is_ok();
            let is_in_place = !is_new && (part == Part::Tasks || self.has_logs);
            if !is_in_place {
                self.put_aside(part, steps)?;
            }
            if is_new {
                let to = part.of(self.database);
                fs::rename(&new, &to).map_err(write(&to))?;
                sync_folder_of(&to)?;
                steps(Step::InPlace(part))?;
            }
        }
        // The log that a killed server left went with its database, and is missed by nobody.
        lock.log_goes().map_err(write(self.database))?;
        steps(Step::Said)?;
        file::remove(&named(self.database, NOTE))?;
        sync_folder_of(self.database)
    }

    /// The journal first, so that it never stands under a name that its file has left; then the file, then its log. Each
    /// may be done already.
    fn put_aside(&self, part: Part, steps: Steps<'_>) -> Result<(), BackupError> {
        let (from, aside) = (part.of(self.database), part.of(&self.aside));
        let journal = named(&from, JOURNAL);
        let is_moved = aside.symlink_metadata().is_ok();
        if is_moved {
            // That of the file went before it.
            file::remove(&journal)?;
        } else {
            file::rename(&journal, &named(&aside, JOURNAL))?;
        }
        sync_folder_of(&from)?;
        steps(Step::MovedJournal(part))?;
        if !is_moved {
            file::rename(&from, &aside)?;
            sync_folder_of(&from)?;
        }
        steps(Step::Moved(part))?;
        file::rename(&named(&from, LOG), &named(&aside, LOG))?;
        file::remove(&named(&from, INDEX))?;
        sync_folder_of(&from)?;
        steps(Step::PutAside(part))
    }
}

/// The database, kept from servers.
pub(super) struct Held(lock::Lock);

impl Held {
    pub(super) fn take(database: &Path) -> Result<Self, BackupError> {
        let in_use = || in_use(database);
        let mut held = lock::take(database)
            .map_err(write(database))?
            .ok_or_else(in_use)?;
        finish(database, &mut held)?;
        if database.is_file() && !held.hold(database, None).map_err(write(database))? {
            return Err(in_use().into());
        }
        Ok(Self(held))
    }

    /// It was not looked through, and its log is in it now.
    fn give_back(self, database: &Path) -> Result<(), BackupError> {
        self.0.did_not_begin(true).map_err(write(database))
    }

    /// What stands there now was looked through.
    pub(super) fn free(self, database: &Path) -> Result<(), BackupError> {
        self.0.stopped_clean().map_err(write(database))
    }
}
