//! Whether the database's file is still the one that its path leads to.
//!
//! SQLite goes on with a file that was moved away, deleted or replaced, and so would this store: what it acknowledged
//! would be gone with the process. A look costs a microsecond, so there is one before each batch.

use std::io;
use std::path::{Path, PathBuf};

use taskyard_core::store::Error;

/// The device and the number of a file, which tell it from every other one.
type Identity = (u64, u64);

pub(super) struct Home {
    path: PathBuf,
    opened: Identity,
}

impl Home {
    /// The file that stands here now.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            opened: identity(path)?,
        })
    }

    /// The file may come back: then all is as it was.
    pub(super) fn is_there(&self) -> Result<(), Error> {
        if identity(&self.path).is_ok_and(|found| found == self.opened) {
            return Ok(());
        }
        Err(Error::Unavailable(format!(
            "{} was moved, deleted or replaced while the server has it open, so nothing more is written; put the file \
             back, or stop the server and start it on the right one",
            self.path.display()
        )))
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    let found = path.metadata()?;
    Ok((found.dev(), found.ino()))
}

/// Where files cannot be told apart so, an open one can be neither moved nor deleted.
#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<Identity> {
    path.metadata().map(|_| (0, 0))
}
