//! Which database an address names, and opening it.

use std::path::PathBuf;
use std::sync::Arc;

use taskyard_core::store::Store;
use taskyard_store::postgres::{self, PostgresStore};
use taskyard_store::sqlite::{self, SqliteStore};

use crate::clock;
use crate::failure::Failure;
use crate::randomness::Unguessable;

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
            if !path.is_empty() {
                return Ok(Self::Sqlite(PathBuf::from(path)));
            }
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
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

    /// Only one server can have it open.
    pub(crate) fn is_for_one_server(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }
}

pub(crate) async fn open(address: &Address) -> Result<Arc<dyn Store>, Failure> {
    let random = Box::new(Unguessable::new());
    match address {
        Address::Sqlite(path) => {
            let path = path.clone();
            let options = sqlite::Options {
                clock: clock::steady(),
                random,
            };
            let opened =
                tokio::task::spawn_blocking(move || SqliteStore::open(&path, options)).await;
            let store = opened.map_err(|error| Failure::new(error.to_string()))?;
            Ok(Arc::new(
                store.map_err(|error| Failure::new(error.to_string()))?,
            ))
        }
        Address::Postgres(url) => {
            let options = postgres::Options {
                clock: None,
                random,
            };
            let store = PostgresStore::connect(url, options).await;
            Ok(Arc::new(
                store.map_err(|error| Failure::new(error.to_string()))?,
            ))
        }
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
    }
}
