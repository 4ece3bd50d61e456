//! The file beside the database: its lock keeps a second server away, its content tells an unclean stop.
//!
//! SQLite's own locks are held only while it reads or writes. This one lasts as long as the store, and the system
//! drops it with the process, however that ends. The file itself stays, for a lock on a file that others may delete
//! and make again protects nothing.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

const RUNNING: &[u8] = b"running\n";

pub(super) struct Lock {
    file: File,
    /// The last server on this database ended without saying so.
    pub(super) after_unclean_stop: bool,
}

/// `None`: somebody else holds it.
pub(super) fn take(database: &Path) -> io::Result<Option<Lock>> {
    let mut path = OsString::from(database);
    path.push(".lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(PathBuf::from(path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut said = Vec::new();
    file.read_to_end(&mut said)?;
    file.rewind()?;
    file.write_all(RUNNING)?;
    file.sync_all()?;
    Ok(Some(Lock {
        file,
        after_unclean_stop: !said.is_empty(),
    }))
}

impl Lock {
    /// Everything is written and closed; gives the lock away.
    pub(super) fn stopped_clean(self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.sync_all()
    }
}
