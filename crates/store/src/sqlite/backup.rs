//! Backups: a copy of the database as it stands at one moment, and putting one in its place.
//!
//! A backup is taken by SQLite's own means over a connection that reads, in one step, so it is one snapshot whatever is
//! written meanwhile, and holds everything that was acknowledged before it began. It keeps no server away and is kept
//! away by none; the log of a server that works meanwhile grows until it is done.
//!
//! Whatever is written goes to a file beside the one it is to become, is looked through and put on the disk, and only
//! then takes that name: there is never half a file under it. A restored database gets a new incarnation, so that no
//! lease, and no number of a run, of before is taken for one that it gives itself.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, params};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use taskyard_core::random::Random;

use super::connection::all;
use super::open::{self, OpenError, explain};
use super::{inspect, lock, sql};

/// What belongs to a database besides its file, under its name with this behind it, and is copied and put back with it:
/// nothing yet. Each is a database of SQLite's own that is whole by itself.
const BESIDE: [&str; 0] = [];
/// What SQLite keeps beside a file while it is open, and after an unclean stop: the log, and an index of it, which it
/// makes anew.
const LOG: &str = "-wal";
const INDEX: &str = "-shm";
/// For nobody but its owner: inputs and outputs may be anything.
const PRIVATE: u32 = 0o600;
/// All pages in one step, so that it is one snapshot.
const WHOLE: i32 = -1;

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{0} exists already; name another file, or say --force to replace it")]
    Exists(PathBuf),
    #[error("{0} is the database itself; name another file")]
    Itself(PathBuf),
    #[error("{path} cannot be written: {source}")]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the copy is not whole ({0}), so it was thrown away; nothing else was changed")]
    NotWhole(String),
}

fn write(path: &Path) -> impl Fn(std::io::Error) -> BackupError {
    move |source| BackupError::Write {
        path: path.to_owned(),
        source,
    }
}

/// Copies the database as it stands to a new file, or in place of an old one where that is asked for; how many bytes it
/// has. A server may work on the database meanwhile.
pub fn backup(database: &Path, to: &Path, replace: bool) -> Result<u64, BackupError> {
    if is_same(database, to) {
        return Err(BackupError::Itself(to.to_owned()));
    }
    if !replace && to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let mut bytes = 0;
    for suffix in [""].into_iter().chain(BESIDE) {
        let from = named(database, suffix);
        if !suffix.is_empty() && !from.is_file() {
            continue;
        }
        let to = named(to, suffix);
        let copy = Partial::beside(&to)?;
        copy_whole(&from, &copy, |_| Ok(()))?;
        bytes += copy.become_file(&to, replace)?;
    }
    Ok(bytes)
}

/// Puts a backup in the database's place. What stood there is kept under the name `aside`; without a database there,
/// nothing is. Refused while a server has it open.
pub fn restore(
    from: &Path,
    database: &Path,
    aside: &Path,
    random: &mut dyn Random,
) -> Result<(), BackupError> {
    if is_same(from, database) {
        return Err(BackupError::Itself(from.to_owned()));
    }
    let lock = Held::take(database)?;
    for suffix in [""].into_iter().chain(BESIDE) {
        let (from, to) = (named(from, suffix), named(database, suffix));
        if !suffix.is_empty() && !from.is_file() {
            continue;
        }
        let copy = Partial::beside(&to)?;
        copy_whole(&from, &copy, |copied| {
            if suffix.is_empty() {
                renew_in(copied, random).map_err(|error| explain(&from, &error))?;
            }
            Ok(())
        })?;
        copy.belong_like(&to)?;
        put_aside(&to, &named(aside, suffix))?;
        copy.become_file(&to, true)?;
    }
    lock.free(database)
}

/// Gives the database a new incarnation, as a restore does: for one that was put back by other means. Refused while a
/// server has it open.
pub fn renew(database: &Path, random: &mut dyn Random) -> Result<(), BackupError> {
    // Looked at before anything is taken hold of, so that nothing is left beside what is no database of ours.
    drop(inspect::ours(database)?);
    let lock = Held::take(database)?;
    let connection = Connection::open(database).map_err(|error| explain(database, &error))?;
    renew_in(&connection, random).map_err(|error| explain(database, &error))?;
    drop(connection);
    lock.free(database)
}

fn renew_in(connection: &Connection, random: &mut dyn Random) -> rusqlite::Result<()> {
    let bits = (u128::from(random.bits()) << 64) | u128::from(random.bits());
    connection.execute(sql::META_RENEW, params![bits.to_be_bytes()])?;
    Ok(())
}

/// Copies, has the copy changed, and looks through it.
fn copy_whole(
    from: &Path,
    copy: &Partial,
    change: impl FnOnce(&Connection) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let source = inspect::ours(from)?;
    let at = |error: rusqlite::Error| explain(&copy.path, &error);
    let mut target = Connection::open(&copy.path).map_err(at)?;
    let backup = Backup::new(&source, &mut target).map_err(at)?;
    while let StepResult::Busy | StepResult::Locked =
        backup.step(WHOLE).map_err(|error| explain(from, &error))?
    {
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
    open::check_ours(&target, &copy.path)?;
    open::meta(&target, &copy.path, open::SCHEMA)?;
    Ok(())
}

/// A file on its way to become another, in the same folder. Removed unless it does.
struct Partial {
    path: PathBuf,
    became: std::cell::Cell<bool>,
}

impl Partial {
    fn beside(to: &Path) -> Result<Self, BackupError> {
        let path = named(to, &format!(".partial-{}", std::process::id()));
        // Of a process that broke off and had the same number.
        let _ = fs::remove_file(&path);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(PRIVATE)
            .open(&path)
            .map_err(write(&path))?;
        Ok(Self {
            path,
            became: std::cell::Cell::new(false),
        })
    }

    /// Whoever could read and write the file that it takes the place of can do so further on.
    fn belong_like(&self, replaced: &Path) -> Result<(), BackupError> {
        let Ok(metadata) = replaced.metadata() else {
            return Ok(());
        };
        let mode = fs::Permissions::from_mode(metadata.mode() & 0o777);
        fs::set_permissions(&self.path, mode).map_err(write(&self.path))?;
        let own = self.path.metadata().map_err(write(&self.path))?;
        if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
            chown(&self.path, Some(metadata.uid()), Some(metadata.gid()))
                .map_err(write(&self.path))?;
        }
        Ok(())
    }

    /// On the disk under that name when it returns; how many bytes it has.
    fn become_file(self, to: &Path, replace: bool) -> Result<u64, BackupError> {
        let file = File::open(&self.path).map_err(write(&self.path))?;
        file.sync_all().map_err(write(&self.path))?;
        let bytes = file.metadata().map_err(write(&self.path))?.len();
        if replace {
            fs::rename(&self.path, to).map_err(write(to))?;
        } else {
            rename_to_new(&self.path, to)?;
        }
        self.became.set(true);
        sync_folder_of(to)?;
        Ok(bytes)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.became.get() {
            let _ = fs::remove_file(&self.path);
        }
        // What SQLite keeps beside a file that it writes.
        let _ = fs::remove_file(named(&self.path, "-journal"));
    }
}

/// Fails where something has taken the name meanwhile.
fn rename_to_new(from: &Path, to: &Path) -> Result<(), BackupError> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::EXIST) => Err(BackupError::Exists(to.to_owned())),
        // Some file systems cannot tell; it was looked a moment ago.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            fs::rename(from, to).map_err(write(to))
        }
        Err(error) => Err(write(to)(error.into())),
    }
}

/// The file first: as long as its log stands alone, no server takes the name for that of a new database.
fn put_aside(database: &Path, aside: &Path) -> Result<(), BackupError> {
    if aside.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(aside.to_owned()));
    }
    for suffix in ["", LOG] {
        let from = named(database, suffix);
        unless_missing(fs::rename(&from, named(aside, suffix)), &from)?;
    }
    let index = named(database, INDEX);
    unless_missing(fs::remove_file(&index), &index)?;
    sync_folder_of(database)
}

fn unless_missing(done: std::io::Result<()>, path: &Path) -> Result<(), BackupError> {
    match done {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(write(path)(error)),
        _ => Ok(()),
    }
}

/// The database, kept from servers.
struct Held(lock::Lock);

impl Held {
    fn take(database: &Path) -> Result<Self, BackupError> {
        let in_use = || OpenError::InUse(database.to_owned());
        let mut held = lock::take(database)
            .map_err(write(database))?
            .ok_or_else(in_use)?;
        if database.is_file() && !held.hold(database).map_err(write(database))? {
            return Err(in_use().into());
        }
        Ok(Self(held))
    }

    /// What stands there now was looked through.
    fn free(self, database: &Path) -> Result<(), BackupError> {
        self.0.stopped_clean().map_err(write(database))
    }
}

fn sync_folder_of(path: &Path) -> Result<(), BackupError> {
    let folder = path.parent().filter(|path| !path.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(write(folder))
}

fn named(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().ok();
    whole(one).is_some_and(|one| whole(other) == Some(one))
}
