//! A server to be measured, and how it is filled before.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use nix::unistd::Pid;
use serde_json::{Value, json};
use taskyard_api::stats::Stats;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::Run;
use super::database::Database;
use super::http::Connection;
use super::load;
use super::mark::{Mark, extend};
use super::peer::Peer;
use crate::process::{Process, Server};

/// How many tasks one batch holds, and over how many connections batches are sent.
pub(super) const BATCH: usize = 1000;
pub(super) const BATCH_CONNECTIONS: usize = 4;
/// As many internal workers as a server has where nothing else is said.
pub(super) const INTERNAL_WORKERS: usize = 3;

/// Why a server that was named is left alone.
const NAMED: &str = "the server is not this program's own";
pub(super) struct Yard {
    pub(super) peer: Peer,
    pub(super) mark: Mark,
    /// How many worker processes were started.
    workers: Cell<usize>,
    place: Place,
}

/// Another server over a yard's database. Stopped or dropped before the yard is.
pub(super) struct Beside {
    pub(super) peer: Peer,
    server: Server,
}

/// A worker process and what it logs to.
pub(super) struct Worker {
    process: Process,
    log: PathBuf,
}

/// What goes with the yard; the server before what it writes to.
enum Place {
    Own(Box<Server>, Database),
    /// A directory for what worker processes log.
    Named(TempDir),
}

impl Yard {
    /// A server of this program over a fresh database, without workers in it; or the one that was named.
    pub(super) async fn start(run: &Run<'_>) -> anyhow::Result<Self> {
        if let Some(peer) = run.server {
            return Ok(Self {
                peer: peer.clone(),
                mark: Mark::new(),
                workers: Cell::default(),
                place: Place::Named(TempDir::with_prefix("taskyard-bench-")?),
            });
        }
        Self::over(run.databases.fresh().await?).await
    }

    /// The same over a database that may hold something already.
    pub(super) async fn over(database: Database) -> anyhow::Result<Self> {
        Self::serve(database, 0).await
    }

    /// A server as it is by default, with workers in it, over a database that may hold something already.
    pub(super) async fn with_workers(database: Database) -> anyhow::Result<Self> {
        Self::serve(database, INTERNAL_WORKERS).await
    }

    async fn serve(database: Database, internal_workers: usize) -> anyhow::Result<Self> {
        let server = serve(&database, internal_workers, "server.log").await?;
        Ok(Self {
            peer: Peer::own(&server.url),
            mark: Mark::none(),
            workers: Cell::default(),
            place: Place::Own(Box::new(server), database),
        })
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        if let Place::Own(server, database) = self.place {
            server.process.stop().await?;
            database.remove().await?;
        }
        Ok(())
    }

    /// Stops the server alone; what its database holds is there for the next one.
    pub(super) async fn close(self) -> anyhow::Result<Database> {
        let Place::Own(server, database) = self.place else {
            anyhow::bail!(NAMED);
        };
        server.process.stop().await?;
        Ok(database)
    }

    /// Another server without workers in it over the same database, which must be one that several can share.
    pub(super) async fn beside(&self) -> anyhow::Result<Beside> {
        let Place::Own(_, database) = &self.place else {
            anyhow::bail!(NAMED);
        };
        let server = serve(database, 0, "beside.log").await?;
        Ok(Beside {
            peer: Peer::own(&server.url),
            server,
        })
    }

    /// Where its database is.
    pub(super) fn database(&self) -> anyhow::Result<&str> {
        let Place::Own(_, database) = &self.place else {
            anyhow::bail!(NAMED);
        };
        Ok(&database.url)
    }

    /// The server's process.
    pub(super) fn process(&self) -> anyhow::Result<Pid> {
        let Place::Own(server, _) = &self.place else {
            anyhow::bail!(NAMED);
        };
        server.process.id().context("the server has ended")
    }

    /// What stands beside each figure of this yard.
    pub(super) fn settings(&self, more: Value) -> Value {
        let store = match &self.place {
            Place::Own(_, database) => database.kind,
            Place::Named(_) => "named server",
        };
        let mut settings = json!({ "store": store });
        extend(&mut settings, more);
        settings
    }

    fn directory(&self) -> &Path {
        match &self.place {
            Place::Own(_, database) => database.directory(),
            Place::Named(directory) => directory.path(),
        }
    }

    /// A worker process for `noop`.
    pub(super) fn worker(&self, concurrency: usize) -> anyhow::Result<Worker> {
        self.worker_at(&self.peer, concurrency)
    }

    /// The same at this server; one at each.
    pub(super) fn worker_at(&self, peer: &Peer, concurrency: usize) -> anyhow::Result<Worker> {
        let concurrency = concurrency.to_string();
        let arguments = [
            "worker",
            "--server",
            &peer.url,
            "--kinds",
            "noop",
            "--concurrency",
            &concurrency,
            "--log",
            "warn",
        ];
        let mut arguments = arguments.map(str::to_owned).to_vec();
        arguments.extend(self.mark.flags());
        let token = peer.token.as_deref();
        let token = token.map(|token| ("TASKYARD_TOKEN", token));
        let number = self.workers.replace(self.workers.get() + 1);
        let log = self.directory().join(format!("worker-{number}.log"));
        let process = Process::start_with(&arguments, token.as_slice(), &log)?;
        Ok(Worker { process, log })
    }

    pub(super) async fn connection(&self) -> anyhow::Result<Connection> {
        Connection::open(&self.peer).await
    }

    pub(super) async fn connect(&self, count: usize) -> anyhow::Result<Vec<Connection>> {
        load::connect(&self.peer, count).await
    }

    pub(super) async fn stats(&self) -> anyhow::Result<Stats> {
        self.connection().await?.get("/api/v1/tasks/stats").await
    }

    /// Submits so many tasks, as fast as batches go; `more` says what stands in each besides kind and input.
    pub(super) async fn fill(
        &self,
        count: usize,
        more: impl Fn(usize) -> Value,
    ) -> anyhow::Result<()> {
        let numbers: Vec<usize> = (0..count).collect();
        let bodies: Vec<Bytes> = numbers
            .chunks(BATCH)
            .map(|chunk| self.mark.batch(chunk.iter().map(|number| more(*number))))
            .collect();
        let mut senders = JoinSet::new();
        for sender in 0..BATCH_CONNECTIONS {
            let bodies: Vec<Bytes> = bodies
                .iter()
                .skip(sender)
                .step_by(BATCH_CONNECTIONS)
                .cloned()
                .collect();
            let mut connection = self.connection().await?;
            senders.spawn(async move {
                for body in bodies {
                    connection.post("/api/v1/tasks/batch", body).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(sent) = senders.join_next().await {
            sent??;
        }
        Ok(())
    }
}

impl Beside {
    pub(super) async fn connect(&self, count: usize) -> anyhow::Result<Vec<Connection>> {
        load::connect(&self.peer, count).await
    }

    pub(super) fn process(&self) -> anyhow::Result<Pid> {
        self.server.process.id().context("the server has ended")
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.server.process.stop().await
    }
}

impl Worker {
    /// Refuses to wait for a worker process that is there no more.
    pub(super) fn goes_on(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.process.ended()? else {
            return Ok(());
        };
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        anyhow::bail!("the worker has ended with {status}:\n{}", said.trim());
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.process.stop().await
    }
}

async fn serve(database: &Database, internal_workers: usize, log: &str) -> anyhow::Result<Server> {
    let arguments = [
        "--internal-workers",
        &internal_workers.to_string(),
        "--log",
        "warn",
        "--database",
        &database.url,
    ];
    let log = database.directory().join(log);
    Server::start(&arguments.map(str::to_owned), &log).await
}
