//! Whether the database's files are still those that their paths lead to.
//!
//! SQLite goes on with a file that was moved away, deleted or replaced, and so would this store: what it acknowledged
//! would be gone with the process. A look costs some microseconds, so there is one before each batch; what is under
//! way at that moment is still answered.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use taskyard_core::store::{Cause, Error};

use super::log;

/// The device, in two parts, and the number of a file, which tell it from every other one.
type Identity = (u32, u32, u64);

pub(super) struct Home {
    /// The database and its log, which stays the same file as long as the database is open.
    files: [(PathBuf, Identity); 2],
}

impl Home {
    /// The files of an open database, which stand where they should now.
    pub(super) fn of(database: &Path) -> io::Result<Self> {
        let file = |path: PathBuf| identity(&path).map(|identity| (path, identity));
        Ok(Self {
            files: [file(database.to_owned())?, file(log::of(database))?],
        })
    }

    pub(super) fn database(&self) -> &Path {
        let [(database, _), _] = &self.files;
        database
    }

    /// The files may come back: then all is as it was.
    pub(super) fn is_there(&self) -> Result<(), Error> {
        let is_gone = |(path, opened): &&(PathBuf, Identity)| {
            identity(path).map_or(true, |found| found != *opened)
        };
        let Some((path, _)) = self.files.iter().find(is_gone) else {
            return Ok(());
        };
        let why = format!(
            "{} was moved, deleted or replaced while the server has it open, so nothing more is written; put the file \
             back, or stop the server and start it on the right one",
            path.display()
        );
        Err(Error::Unavailable(Cause::Moved.with(why)))
    }
}

/// Asks for nothing else: Linux gives a file whose times were asked for a new one at each write, and some file systems
/// sync that with the data, which makes a sync of the log half as long again.
fn identity(path: &Path) -> io::Result<Identity> {
    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::INO)?;
    Ok((found.stx_dev_major, found.stx_dev_minor, found.stx_ino))
}
