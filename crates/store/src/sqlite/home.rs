//! Whether the database's files are still those that their paths lead to.
//!
//! SQLite goes on with a file that was moved away, deleted or replaced, and so would this store: what it acknowledged
//! would be gone with the process. A look costs some microseconds, so there is one before each batch.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use taskyard_core::store::Error;

use super::log;

/// The device and the number of a file, which tell it from every other one.
type Identity = (u64, u64);

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

    /// The files may come back: then all is as it was.
    pub(super) fn is_there(&self) -> Result<(), Error> {
        let is_gone = |(path, opened): &&(PathBuf, Identity)| {
            identity(path).map_or(true, |found| found != *opened)
        };
        let Some((path, _)) = self.files.iter().find(is_gone) else {
            return Ok(());
        };
        Err(Error::Unavailable(format!(
            "{} was moved, deleted or replaced while the server has it open, so nothing more is written; put the file \
             back, or stop the server and start it on the right one",
            path.display()
        )))
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let found = path.metadata()?;
    Ok((found.dev(), found.ino()))
}
