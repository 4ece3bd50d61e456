//! A server to be measured, and how it is filled before.

use anyhow::Context as _;
use bytes::Bytes;
use nix::unistd::Pid;
use serde_json::{Value, json};
use taskyard_api::stats::Stats;
use tokio::task::JoinSet;

use super::Run;
use super::database::Database;
use super::http::Connection;
use crate::process::{Process, Server};

/// How many tasks one batch holds, and over how many connections batches are sent.
pub(super) const BATCH: usize = 1000;
pub(super) const BATCH_CONNECTIONS: usize = 4;
/// As many internal workers as a server has where nothing else is said.
pub(super) const INTERNAL_WORKERS: usize = 3;
/// About what a task's input usually weighs, in bytes.
const INPUT_BYTES: usize = 200;

/// Why a server that was named is left alone.
const NAMED: &str = "the server is not this program's own";

pub(super) struct Yard {
    pub(super) url: String,
    kind: &'static str,
    own: Option<(Server, Database)>,
}

impl Yard {
    /// A server of this program over a fresh database, without workers in it; or the one that was named.
    pub(super) async fn start(run: &Run<'_>) -> anyhow::Result<Self> {
        if let Some(url) = run.server {
            return Ok(Self {
                url: url.to_owned(),
                kind: "named server",
                own: None,
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
        let arguments = [
            "--internal-workers",
            &internal_workers.to_string(),
            "--log",
            "warn",
            "--database",
            &database.url,
        ];
        let log = database.directory().join("server.log");
        let server = Server::start(&arguments.map(str::to_owned), &log).await?;
        Ok(Self {
            url: server.url.clone(),
            kind: database.kind,
            own: Some((server, database)),
        })
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        if let Some((server, database)) = self.own {
            server.process.stop().await?;
            database.remove().await?;
        }
        Ok(())
    }

    /// Stops the server alone; what its database holds is there for the next one.
    pub(super) async fn close(self) -> anyhow::Result<Database> {
        let (server, database) = self.own.context(NAMED)?;
        server.process.stop().await?;
        Ok(database)
    }

    /// The server's process.
    pub(super) fn process(&self) -> anyhow::Result<Pid> {
        let (server, _) = self.own.as_ref().context(NAMED)?;
        server.process.id().context("the server has ended")
    }

    /// What stands beside each figure of this yard.
    pub(super) fn settings(&self, more: Value) -> Value {
        let mut settings = json!({ "store": self.kind });
        if let (Value::Object(settings), Value::Object(more)) = (&mut settings, more) {
            settings.extend(more);
        }
        settings
    }

    /// A worker process for `noop`.
    pub(super) fn worker(&self, concurrency: usize) -> anyhow::Result<Process> {
        let concurrency = concurrency.to_string();
        let arguments = [
            "worker",
            "--server",
            &self.url,
            "--kinds",
            "noop",
            "--concurrency",
            &concurrency,
            "--log",
            "warn",
        ];
        let directory = self
            .own
            .as_ref()
            .map_or_else(std::env::temp_dir, |(_, database)| {
                database.directory().to_owned()
            });
        Process::start(&arguments.map(str::to_owned), &directory.join("worker.log"))
    }

    pub(super) async fn stats(&self) -> anyhow::Result<Stats> {
        Connection::open(&self.url)
            .await?
            .get("/api/v1/tasks/stats")
            .await
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
            .map(|chunk| batch(chunk.iter().map(|number| more(*number))))
            .collect();
        let mut senders = JoinSet::new();
        for sender in 0..BATCH_CONNECTIONS {
            let bodies: Vec<Bytes> = bodies
                .iter()
                .skip(sender)
                .step_by(BATCH_CONNECTIONS)
                .cloned()
                .collect();
            let mut connection = Connection::open(&self.url).await?;
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

/// One `noop` task as it is submitted.
pub(super) fn task(more: Value) -> Value {
    let mut task = json!({ "kind": "noop", "input": { "pad": "x".repeat(INPUT_BYTES - 10) } });
    if let (Value::Object(task), Value::Object(more)) = (&mut task, more) {
        task.extend(more);
    }
    task
}

pub(super) fn batch(more: impl Iterator<Item = Value>) -> Bytes {
    Value::Array(more.map(task).collect()).to_string().into()
}
