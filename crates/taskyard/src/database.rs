//! Which database an address names, and opening it.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use taskyard_core::rows::Server;
use taskyard_core::shell::quoted;
use taskyard_core::store::{self, Store};
use taskyard_engine::engine::Engine;
use taskyard_engine::error::Error;
use taskyard_store::postgres::{self, OpenError, PostgresStore};
use taskyard_store::sqlite::{self, SqliteStore};
use tokio::time::Instant;

use crate::clock;
use crate::failure::Failure;
use crate::logs;
use crate::randomness::Unguessable;
use crate::settings::units::duration_text;

/// How long to wait before a database that is away is looked for again, and how often that is said.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const SAY_EVERY: Duration = Duration::from_secs(5);
/// What a file must be for a server.
const NEEDS: &str = "A server needs room there and the right to write, also beside the file; --database names another.";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Sqlite(PathBuf),
    /// As it was given: it may hold a password, and is never printed.
    Postgres(String),
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            // Both spellings of an absolute path are about.
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.contains("://") {
                return Err(Failure::usage(
                    "--database: sqlite: stands before another address; leave it out, or name a file behind it",
                ));
            }
            if !path.is_empty() {
                return file(path).map(Self::Sqlite);
            }
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            postgres::check_address(text)
                .map_err(|error| Failure::usage(format!("--database: {error}")))?;
            return Ok(Self::Postgres(text.to_owned()));
        }
        Err(Failure::usage(
            "--database names no database: expected sqlite:FILE, such as sqlite:taskyard.db, or \
             postgres://USER:PASSWORD@HOST/NAME",
        ))
    }

    /// `sqlite` or `postgres`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    /// It takes a core of those that a server has.
    pub(crate) fn is_on_this_machine(&self) -> bool {
        match self {
            Self::Sqlite(_) => true,
            Self::Postgres(url) => postgres::is_on_this_machine(url),
        }
    }

    /// Only one server can have it open.
    pub(crate) fn is_for_one_server(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Why a server cannot work on this database, which it had opened, and what to do about it.
    pub(crate) fn explain(&self, error: &Error) -> Failure {
        let step = match (self, error) {
            (Self::Sqlite(_), Error::Store(store::Error::Full | store::Error::Unavailable(_))) => {
                NEEDS.to_owned()
            }
            (Self::Sqlite(path), Error::Store(store::Error::Damaged(_))) => format!(
                "Keep a copy of it and of the files beside it, then put a backup in its place, or save what can be read \
                 with: sqlite3 {} .recover",
                quoted(&whole(path).to_string_lossy())
            ),
            (Self::Postgres(_), Error::Store(store::Error::Full)) => "Make room there.".to_owned(),
            _ => "`taskyard db check` looks whether the database is well.".to_owned(),
        };
        Failure::new(format!("no server can work on {self}: {error}\n  {step}"))
    }
}

/// As messages name it: a file with its whole path, a server without its password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => whole(path).display().fmt(f),
            Self::Postgres(url) => without_password(url).fmt(f),
        }
    }
}

/// Refuses what other programs mean something else by than a file of that name.
fn file(path: &str) -> Result<PathBuf, Failure> {
    let why = if path == ":memory:" {
        "tasks are kept in a file, not in memory"
    } else if path.contains('?') {
        "options behind a ? are not known here"
    } else {
        match Path::new(path).metadata() {
            Ok(there) if there.is_dir() => "this is a directory",
            // Whatever opens one as a database leaves files beside it, in /dev say.
            Ok(there) if !there.is_file() => "this is a device, a pipe or a socket",
            // One that is not there yet is made.
            Ok(_) | Err(_) => return Ok(PathBuf::from(path)),
        }
    };
    Err(Failure::usage(format!(
        "--database sqlite:{path}: {why}; name a file, such as sqlite:taskyard.db"
    )))
}

pub(crate) fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The address without what only the database should see.
pub(crate) fn without_password(address: &str) -> String {
    let file = address.strip_prefix("sqlite:");
    if file.is_some_and(|file| !file.contains("://")) || !address.contains([':', '@', '=']) {
        address.to_owned()
    } else {
        postgres::without_password(address)
    }
}

/// How a PostgreSQL server is dealt with. By default without patience: whoever opens it for a moment looks by himself.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// How long one that takes no writes yet is waited for at the start.
    pub(crate) wait: Duration,
    /// How long it may take over a batch.
    pub(crate) within: Duration,
    /// By way of a pooler that gives each transaction another connection.
    pub(crate) pooled: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            wait: Duration::ZERO,
            within: postgres::WITHIN,
            pooled: false,
        }
    }
}

/// Opens the database; one on a server that cannot be reached yet is waited for. Whoever finds a file in use is
/// told where this process listens.
pub(crate) async fn open(
    address: &Address,
    manner: Manner,
    listens_on: Option<SocketAddr>,
) -> Result<Arc<dyn Store>, Failure> {
    match address {
        Address::Sqlite(path) => Ok(Arc::new(open_file(path, listens_on).await?)),
        Address::Postgres(url) => Ok(Arc::new(open_server(url, manner).await?)),
    }
}

async fn open_file(path: &Path, listens_on: Option<SocketAddr>) -> Result<SqliteStore, Failure> {
    let path = whole(path);
    check_writable(&path)?;
    let options = sqlite::Options {
        clock: clock::steady(),
        random: Box::new(Unguessable::new()),
        listens_on,
        last_words: logs::last_words,
    };
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&path, options)).await;
    opened
        .map_err(|error| Failure::new(error.to_string()))?
        .map_err(|error| match error {
            sqlite::OpenError::Io { .. } | sqlite::OpenError::Unusable { .. } => {
                Failure::new(format!("{error}\n  {NEEDS}"))
            }
            other => Failure::new(other.to_string()),
        })
}

/// SQLite opens a file that it may not write all the same, and fails at the first write.
fn check_writable(path: &Path) -> Result<(), Failure> {
    match access(path, AccessFlags::W_OK) {
        // It is to be made.
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(Failure::new(format!(
            "{} cannot be written: {}\n  {NEEDS}",
            path.display(),
            error.desc()
        ))),
    }
}

/// Waits for nothing but a server that is not there yet, or takes no writes yet: what else it refuses, it refuses later too.
async fn open_server(url: &str, manner: Manner) -> Result<PostgresStore, Failure> {
    let mut patience = Patience::new(manner.wait);
    loop {
        let options = postgres::Options {
            clock: None,
            hints: true,
            pooled: manner.pooled,
            random: Box::new(Unguessable::new()),
            within: manner.within,
        };
        let error = match PostgresStore::connect(url, options).await {
            Ok(store) => return Ok(store),
            Err(error) => error,
        };
        // A standby may be about to be promoted.
        let may_pass = matches!(
            error,
            OpenError::Unreachable { .. } | OpenError::ReadOnly { .. }
        );
        if !may_pass || !patience.waits(&error).await {
            return Err(Failure::new(error.to_string()));
        }
    }
}

/// Takes a number for this server. A PostgreSQL server that takes no writes at the moment is waited for: where servers and
/// standbys start together one may hold what the other waits for, until a standby is there that commits wait for.
pub(crate) async fn join(
    engine: &Engine,
    address: &Address,
    wait: Duration,
) -> Result<Server, Failure> {
    let mut patience = Patience::new(wait);
    loop {
        let error = match engine.join(None, address.is_for_one_server()).await {
            Ok(server) => return Ok(server),
            Err(error) => error,
        };
        // Of a number that it may have taken already it makes no use, and soon counts as gone by it.
        let may_pass = matches!(
            error,
            Error::Store(store::Error::Unavailable(_) | store::Error::Unknown(_))
        );
        let is_for_one = address.is_for_one_server();
        if is_for_one || !may_pass || !patience.waits(&error).await {
            return Err(address.explain(&error));
        }
    }
}

/// With a database at the start, which others look at as well.
struct Patience {
    begun: Instant,
    wait: Duration,
    said: Option<Instant>,
}

impl Patience {
    fn new(wait: Duration) -> Self {
        Self {
            begun: Instant::now(),
            wait,
            said: None,
        }
    }

    /// A moment, and says what for; or whether none is left.
    async fn waits(&mut self, error: &dyn fmt::Display) -> bool {
        let left = self.wait.saturating_sub(self.begun.elapsed());
        if left.is_zero() {
            return false;
        }
        if self.said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            self.said = Some(Instant::now());
            let within = duration_text(self.wait);
            tracing::warn!(%error, within, "the database is waited for");
        }
        tokio::time::sleep(LOOK_EVERY.min(left)).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_file_or_a_server() {
        let file = |path: &str| Address::Sqlite(path.into());
        for (text, address) in [
            ("sqlite:taskyard.db", file("taskyard.db")),
            ("sqlite:/var/lib/tasks.db", file("/var/lib/tasks.db")),
            ("sqlite:///var/lib/tasks.db", file("/var/lib/tasks.db")),
            (
                "postgres://host/db",
                Address::Postgres("postgres://host/db".to_owned()),
            ),
        ] {
            assert_eq!(Address::parse(text).ok(), Some(address), "{text}");
        }
        for text in ["", "sqlite:", "mysql://host/db", "taskyard.db"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
        for (text, why) in [
            ("sqlite:.", "a directory"),
            ("sqlite:/", "a directory"),
            ("sqlite:/dev/null", "a device"),
            ("sqlite::memory:", "not in memory"),
            ("sqlite:x.db?mode=ro", "behind a ?"),
        ] {
            let said = Address::parse(text).unwrap_err().message;
            assert!(said.contains(text) && said.contains(why), "{said}");
        }
    }

    #[test]
    fn messages_name_the_whole_path_and_never_the_password() {
        let file = Address::parse("sqlite:/var/lib/tasks.db").unwrap();
        let server = Address::parse("postgres://me:secret@host/db").unwrap();

        assert_eq!(file.to_string(), "/var/lib/tasks.db");
        assert_eq!(server.to_string(), "postgres://me:***@host/db");
        let full = file.explain(&Error::Store(store::Error::Full)).message;
        for said in ["/var/lib/tasks.db", "full", "--database"] {
            assert!(full.contains(said), "{full}");
        }
    }
}
