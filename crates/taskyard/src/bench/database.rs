//! Fresh databases, one for each run.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Context as _;
use taskyard_store::postgres::scratch;
use tempfile::TempDir;
use tokio::sync::Mutex;
use url::Url;

use crate::database::Address;
use crate::failure::Failure;

/// Where fresh databases are made.
pub(super) struct Databases {
    /// Beside the SQLite files, or for PostgreSQL the present directory: where the disk is timed.
    directory: PathBuf,
    postgres: Option<Postgres>,
}

/// A server on which databases may be made and dropped.
struct Postgres {
    server: String,
    made: Cell<u32>,
    left: Rc<Left>,
}

/// What was made on it and is there still, or is being made.
#[derive(Default)]
struct Left {
    urls: RefCell<Vec<String>>,
    making: Arc<Mutex<()>>,
}

/// One database. Its files go with this value; one on a server is left until it is removed.
pub(super) struct Database {
    pub(super) url: String,
    pub(super) kind: &'static str,
    directory: TempDir,
    left: Option<Rc<Left>>,
}

impl Databases {
    pub(super) fn at(url: &str) -> Result<Self, Failure> {
        let (directory, postgres) = match url.strip_prefix("sqlite:") {
            Some(directory) => (PathBuf::from(directory), None),
            None if url.starts_with("postgres") => {
                Address::parse(url)?;
                let postgres = Postgres {
                    server: url.to_owned(),
                    made: Cell::new(0),
                    left: Rc::default(),
                };
                (PathBuf::from("."), Some(postgres))
            }
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
        })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) async fn fresh(&self) -> anyhow::Result<Database> {
        let directory = TempDir::with_prefix_in("taskyard-bench-", &self.directory)?;
        let Some(postgres) = &self.postgres else {
            let url = format!("sqlite:{}", directory.path().join("bench.db").display());
            return Ok(Database {
                url,
                kind: "sqlite",
                directory,
                left: None,
            });
        };
        let url = postgres.fresh().await.context("a database for this run")?;
        Ok(Database {
            url,
            kind: "postgres",
            directory,
            left: Some(Rc::clone(&postgres.left)),
        })
    }

    /// Drops what is left on a server, because what was measured in it was broken off.
    pub(super) async fn remove_left(&self) -> anyhow::Result<()> {
        let Some(Postgres { left, .. }) = &self.postgres else {
            return Ok(());
        };
        // One that is being made is there in a moment.
        let _made = left.making.lock().await;
        let urls = left.urls.take();
        for url in urls {
            let removed = scratch::remove(&url).await;
            removed.with_context(|| format!("a database of this run is left, {}", name(&url)))?;
        }
        Ok(())
    }
}

impl Postgres {
    async fn fresh(&self) -> anyhow::Result<String> {
        self.made.set(self.made.get() + 1);
        let name = format!("taskyard_bench_{}_{}", std::process::id(), self.made.get());
        let url = scratch::address(&self.server, &name)?;
        let making = Arc::clone(&self.left.making).lock_owned().await;
        self.left.urls.borrow_mut().push(url.clone());
        let server = self.server.clone();
        // Goes on where nobody waits for it any more: half-way it could be neither found nor dropped.
        let made = tokio::spawn(async move {
            let made = scratch::create(&server, &name).await;
            drop(making);
            made
        });
        if let Err(error) = made.await? {
            self.left.forget(&url);
            return Err(error.into());
        }
        Ok(url)
    }
}

/// Of a database; the rest of its address may hold a password.
fn name(url: &str) -> String {
    let url = Url::parse(url).ok();
    let path = url.map(|url| url.path().trim_start_matches('/').to_owned());
    path.unwrap_or_default()
}

impl Left {
    fn forget(&self, url: &str) {
        self.urls.borrow_mut().retain(|left| left != url);
    }
}

impl Database {
    /// Where the processes of this run write their logs.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(super) async fn remove(self) -> anyhow::Result<()> {
        if let Some(left) = &self.left {
            let removed = scratch::remove(&self.url).await;
            removed.context("this run's database")?;
            left.forget(&self.url);
        }
        Ok(())
    }
}
