//! The files that a database consists of, and files on their way to become one of them.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::backup::BackupError;
use super::open::{self, OpenError};
use super::{inspect, logs};

/// What SQLite keeps beside a file while it is written, and where that was cut short. Nothing but the name ties it to its
/// file: whatever stands there when it is opened next gets it.
pub(super) const JOURNAL: &str = "-journal";
pub(super) const LOG: &str = "-wal";
/// An index of the log, which it makes anew.
pub(super) const INDEX: &str = "-shm";
/// What is on its way to the name before it, with the number of its process behind it.
pub(super) const PARTIAL: &str = ".partial-";
/// For nobody but its owner: inputs and outputs may be anything.
const PRIVATE: u32 = 0o600;

taskyard_core::with_all! {
    /// A file of the database's, each a database of SQLite's own that is whole by itself.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) enum Part {
        Tasks,
        /// Of runs; they stand beside the tasks.
        Logs,
    }
}

impl Part {
    /// Of the database in this file.
    pub(super) fn of(self, database: &Path) -> PathBuf {
        match self {
            Self::Tasks => database.to_owned(),
            Self::Logs => logs::open::of(database),
        }
    }

    /// A connection that changes nothing, if this is one of ours.
    pub(super) fn look(self, path: &Path) -> Result<Connection, OpenError> {
        match self {
            Self::Tasks => inspect::ours(path),
            Self::Logs => inspect::our_logs(path),
        }
    }

    pub(super) fn check_ours(self, connection: &Connection, path: &Path) -> Result<(), OpenError> {
        match self {
            Self::Tasks => {
                open::check_ours(connection, path)?;
                open::meta(connection, path, open::SCHEMA).map(drop)
            }
            Self::Logs => logs::open::check_ours(connection, path).map(drop),
        }
    }
}

/// A database that is not there yet is made for its owner alone, as are the files that SQLite puts beside it. Where that
/// fails, whoever opens it says why.
pub(super) fn made_private(path: &Path) -> &Path {
    let mut options = OpenOptions::new();
    let _ = options
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(path);
    path
}

/// A file on its way to become another, in the same folder. Removed unless it does, or is kept.
pub(super) struct Partial {
    path: PathBuf,
    stays: Cell<bool>,
}

impl Partial {
    /// Under a name of this process's own.
    pub(super) fn beside(to: &Path) -> Result<Self, BackupError> {
        Self::under(named(to, &format!("{PARTIAL}{}", std::process::id())))
    }

    pub(super) fn under(path: PathBuf) -> Result<Self, BackupError> {
        // Of a process that broke off.
        let _ = fs::remove_file(&path);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(PRIVATE)
            .open(&path)
            .map_err(write(&path))?;
        Ok(Self {
            path,
            stays: Cell::new(false),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whoever could read and write the file that it takes the place of can do so further on.
    pub(super) fn belong_like(&self, replaced: &Path) -> Result<(), BackupError> {
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

    pub(super) fn sync(&self) -> Result<(), BackupError> {
        let file = File::open(&self.path).map_err(write(&self.path))?;
        file.sync_all().map_err(write(&self.path))
    }

    /// Somebody else sees to it from here on.
    pub(super) fn keep(&self) {
        self.stays.set(true);
    }

    /// On the disk under that name when it returns; how many bytes it has. What SQLite kept beside a file that it
    /// replaces goes with that.
    pub(super) fn become_file(self, to: &Path, replace: bool) -> Result<u64, BackupError> {
        self.sync()?;
        let bytes = self.path.metadata().map_err(write(&self.path))?.len();
        match left_for(to) {
            Some(left) if !replace => return Err(BackupError::Exists(left)),
            Some(_) => clear(to)?,
            None => {}
        }
        if replace {
            fs::rename(&self.path, to).map_err(write(to))?;
        } else {
            rename_to_new(&self.path, to)?;
        }
        self.keep();
        sync_folder_of(to)?;
        Ok(bytes)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.stays.get() {
            let _ = fs::remove_file(&self.path);
        }
        // What SQLite keeps beside a file that it writes.
        let _ = fs::remove_file(named(&self.path, JOURNAL));
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

/// What keeps a new file from this name: another one, or what SQLite would bring into it.
pub(super) fn in_the_way_of(path: &Path) -> Option<PathBuf> {
    let file = path.symlink_metadata().ok().map(|_| path.to_owned());
    file.or_else(|| left_for(path))
}

/// What SQLite would bring into whatever has this name.
fn left_for(path: &Path) -> Option<PathBuf> {
    let holds_something = |path: &PathBuf| path.metadata().is_ok_and(|left| left.len() > 0);
    let beside = [JOURNAL, LOG].map(|suffix| named(path, suffix));
    beside.into_iter().find(holds_something)
}

/// Removes the file, and what SQLite keeps beside it only then: without that, it may be torn.
pub(super) fn clear(path: &Path) -> Result<(), BackupError> {
    remove(path)?;
    sync_folder_of(path)?;
    for suffix in [JOURNAL, LOG, INDEX] {
        remove(&named(path, suffix))?;
    }
    sync_folder_of(path)
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), BackupError> {
    unless_missing(fs::rename(from, to), from)
}

pub(super) fn remove(path: &Path) -> Result<(), BackupError> {
    unless_missing(fs::remove_file(path), path)
}

fn unless_missing(done: std::io::Result<()>, path: &Path) -> Result<(), BackupError> {
    match done {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(write(path)(error)),
        _ => Ok(()),
    }
}

pub(super) fn sync_folder_of(path: &Path) -> Result<(), BackupError> {
    File::open(folder_of(path))
        .and_then(|folder| folder.sync_all())
        .map_err(write(path))
}

pub(super) fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|path| !path.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

pub(super) fn write(path: &Path) -> impl Fn(std::io::Error) -> BackupError {
    move |source| BackupError::Write {
        path: path.to_owned(),
        source,
    }
}

pub(super) fn named(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What stands beside the file stands beside the file itself, not beside a link to it.
pub fn behind_links(path: &Path) -> PathBuf {
    let whole = path.canonicalize();
    // A link may lead to a file that is to be made, or whose restore was cut short.
    let target = || fs::read_link(path).map(|target| folder_of(path).join(target));
    whole
        .or_else(|_| target())
        .unwrap_or_else(|_| path.to_owned())
}
