//! The write-ahead log's way to the disk.
//!
//! A commit only writes the log (`synchronous = normal`); this store syncs it itself, on a descriptor of its own, so
//! that the next batch runs meanwhile. What makes that as durable as `full`: the log is replayed as a prefix, so a
//! sync that began after a commit covers that commit and all before it; SQLite syncs the log before a checkpoint
//! moves a page of it into the database, and the log's new header when it starts over; and the file stays the same
//! one as long as any connection is open, also when it is cut to its limit. No lock of SQLite's lies on the log, so
//! closing this descriptor drops none.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The log of the database in this file.
pub(super) fn of(database: &Path) -> PathBuf {
    let mut path = OsString::from(database);
    path.push("-wal");
    path.into()
}

/// Puts what was written to a file on the disk.
pub(super) type SyncFile = Box<dyn Fn(&File) -> io::Result<()> + Send + Sync>;

/// What tests put something else in the place of.
pub(super) struct Hooks {
    /// Default: [`File::sync_data`].
    pub(super) sync: SyncFile,
    pub(super) give_up: GiveUp,
    /// How often the checkpoint thread looks. Default 100 ms: at full speed some 25 MB of log.
    pub(super) checkpoint_every: Duration,
    /// From this length on the writer moves the log into the database itself, and cuts it to this when it starts
    /// over. Only somebody who reads for long lets it grow further. Default 64 MiB.
    pub(super) log_bytes_max: u64,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            sync: Box::new(File::sync_data),
            give_up: GiveUp::default(),
            checkpoint_every: Duration::from_millis(100),
            log_bytes_max: 64 << 20,
        }
    }
}

/// What follows a failed sync: the end of the process.
///
/// Nobody knows then what is on the disk: the system may have dropped the pages and forgotten the error, so a second
/// sync that succeeds proves nothing. What was answered is on the disk; the next start finds it in the log.
#[derive(Clone)]
pub(super) struct GiveUp(pub(super) Arc<dyn Fn() + Send + Sync>);

impl Default for GiveUp {
    fn default() -> Self {
        Self(Arc::new(|| std::process::abort()))
    }
}

impl GiveUp {
    /// The same, but first this: whoever writes the log may not have come to it yet.
    pub(super) fn behind(self, last_words: fn()) -> Self {
        Self(Arc::new(move || {
            last_words();
            (self.0)();
        }))
    }

    pub(super) fn after(&self, step: &str, file: Option<&Path>, error: &dyn Display) {
        let file = file.map(|file| tracing::field::display(file.display()));
        tracing::error!(
            step,
            file,
            %error,
            "the database could not be put on the disk, so what the disk holds of it is no longer known: the server ends \
             now. What was acknowledged is stored; mend the disk, and start the server again"
        );
        (self.0)();
    }
}

pub(super) struct Log {
    path: PathBuf,
    file: File,
    sync: SyncFile,
    give_up: GiveUp,
    failed: AtomicBool,
}

impl Log {
    /// The log of an open database, synced with what opening the database wrote, and with the names of both files.
    pub(super) fn beside(database: &Path, hooks: Hooks) -> io::Result<Self> {
        let path = of(database);
        let file = File::open(&path)?;
        file.sync_data()?;
        let folder = database
            .parent()
            .filter(|path| !path.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(Self {
            path,
            file,
            sync: hooks.sync,
            give_up: hooks.give_up,
            failed: AtomicBool::new(false),
        })
    }

    /// Puts every commit made so far on the disk. False, where the process outlives it, after the first failure.
    pub(super) fn sync(&self) -> bool {
        if self.failed.load(Ordering::SeqCst) {
            return false;
        }
        let synced = (self.sync)(&self.file);
        if let Err(error) = &synced {
            self.failed.store(true, Ordering::SeqCst);
            let step = "syncing the log";
            self.give_up.after(step, Some(&self.path), error);
        }
        synced.is_ok()
    }

    /// How long the file is; after it started over, longer than what it holds. Asked without its times, as in
    /// [`super::home`].
    pub(super) fn len(&self) -> io::Result<u64> {
        (&self.file).seek(SeekFrom::End(0))
    }
}
