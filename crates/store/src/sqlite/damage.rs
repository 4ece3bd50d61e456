//! What was found damaged while the store ran, by whoever met it: told until the process ends, since a database that is
//! damaged in one place is not to be trusted in others.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use taskyard_core::shell::quoted;
use taskyard_core::store::Error;

pub(super) struct Damage {
    path: PathBuf,
    found: OnceLock<String>,
}

impl Damage {
    pub(super) fn none(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            found: OnceLock::new(),
        }
    }

    pub(super) fn found(&self) -> Option<&str> {
        self.found.get().map(String::as_str)
    }

    /// Keeps the damage that this error is about, if it is about any. The first one is kept, and said with what to do.
    pub(super) fn heed(&self, error: Option<&Error>) {
        let Some(Error::Damaged(damage)) = error else {
            return;
        };
        if self.found.set(damage.clone()).is_ok() {
            let path = self.path.display();
            tracing::error!(
                %path,
                %damage,
                "the database is damaged and takes no more writes: stop the server, keep a copy of the file and of those \
                 beside it, then put a backup in its place, or save what can be read with: sqlite3 {} .recover",
                quoted(&path.to_string())
            );
        }
    }
}
