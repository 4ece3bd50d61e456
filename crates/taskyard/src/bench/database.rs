//! Fresh databases, one for each run.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use taskyard_store::postgres;
use tempfile::TempDir;

use crate::failure::Failure;

/// Where fresh databases are made.
pub(super) struct Databases {
    /// Beside the SQLite files, or for PostgreSQL the present directory: where the disk is timed.
    directory: PathBuf,
    postgres: Option<String>,
    made: Cell<u32>,
}

/// One database, gone with this value where it can be removed without asking anybody.
pub(super) struct Database {
    pub(super) url: String,
    pub(super) kind: &'static str,
    directory: TempDir,
}

impl Databases {
    pub(super) fn at(url: &str) -> Result<Self, Failure> {
        let (directory, postgres) = match url.strip_prefix("sqlite:") {
            Some(directory) => (PathBuf::from(directory), None),
            None if url.starts_with("postgres") => (PathBuf::from("."), Some(url.to_owned())),
            None => {
                return Err(Failure::usage(
                    "--database is sqlite:DIRECTORY or postgres://…",
                ));
            }
        };
        if !directory.is_dir() {
            return Err(Failure::usage(format!(
                "{} is no directory",
                directory.display()
            )));
        }
        Ok(Self {
            directory,
            postgres,
            made: Cell::new(0),
        })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) async fn fresh(&self) -> anyhow::Result<Database> {
        let directory = TempDir::with_prefix_in("taskyard-bench-", &self.directory)?;
        let Some(server) = &self.postgres else {
            let url = format!("sqlite:{}", directory.path().join("bench.db").display());
            return Ok(Database {
                url,
                kind: "sqlite",
                directory,
            });
        };
        self.made.set(self.made.get() + 1);
        let name = format!("taskyard_bench_{}_{}", std::process::id(), self.made.get());
        let url = postgres::scratch::create(server, &name)
            .await
            .context("a database for this run")?;
        Ok(Database {
            url,
            kind: "postgres",
            directory,
        })
    }
}

impl Database {
    /// Where the processes of this run write their logs.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(super) async fn remove(self) -> anyhow::Result<()> {
        if self.kind == "postgres" {
            postgres::scratch::remove(&self.url)
                .await
                .context("this run's database")?;
        }
        Ok(())
    }
}
