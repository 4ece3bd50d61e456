//! A start that may yet fail: then its lock says again what it said before.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use super::lock::Lock;
use super::open;

/// To be made before the first connection, and so dropped behind all of them: the last one that closes moves the log into
/// the database.
pub(super) struct Starting<'a> {
    path: &'a Path,
    /// None once the store has it.
    lock: Option<Lock>,
    had_log: bool,
    /// What stands in the lock's file is this start's word.
    has_said: bool,
}

impl<'a> Starting<'a> {
    pub(super) fn with(lock: Lock, path: &'a Path) -> Self {
        Self {
            path,
            lock: Some(lock),
            had_log: open::has_log(path),
            has_said: false,
        }
    }

    /// As [`Lock::hold`].
    pub(super) fn hold(&mut self, listens_on: Option<SocketAddr>) -> io::Result<bool> {
        if let Some(lock) = &mut self.lock {
            self.has_said = lock.hold(self.path, listens_on)?;
        }
        Ok(self.has_said)
    }

    /// There was a log, which is gone.
    pub(super) fn misses_log(&self) -> bool {
        !self.had_log && self.lock.as_ref().is_some_and(|lock| lock.expects_log)
    }

    pub(super) fn after_unclean_stop(&self) -> bool {
        let lock = self.lock.as_ref();
        lock.is_some_and(|lock| lock.after_unclean_stop)
    }

    /// Everything is there. From here on something may be acknowledged that stands in the log alone: also where there is no
    /// log yet because the disk is full, for it is made as soon as there is room.
    pub(super) fn has_begun(&mut self) -> io::Result<Option<Lock>> {
        if let Some(lock) = &mut self.lock {
            lock.has_log()?;
        }
        Ok(self.lock.take())
    }
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        let Some(lock) = self.lock.take() else {
            return;
        };
        if !self.has_said {
            return;
        }
        let moved_log = self.had_log && !open::has_log(self.path);
        // Nothing was written that a next start would have to look through.
        if let Err(error) = lock.did_not_begin(moved_log) {
            tracing::warn!(%error, "it could not be noted that this start failed; the next one checks the database");
        }
    }
}
