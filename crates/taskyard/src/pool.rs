//! The workers inside of a server: the same runtime as outside, speaking to the engine without HTTP in between.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::value::RawValue;
use taskyard_api::client::Error;
use taskyard_api::payload::Payload;
use taskyard_api::report::{Report, Reported};
use taskyard_api::run::{Start, Started};
use taskyard_api::worker::{Claim, Claimed, Heard, Heartbeat, Register, Registered, Run};
use taskyard_core::id::{ServerNumber, TaskId};
use taskyard_server::app::App;
use taskyard_server::logged;
use taskyard_server::v1;
use taskyard_worker::executor::Executors;
use taskyard_worker::runtime::{Settings, Shutdown, Worker, shutdown_signal};
use taskyard_worker::transport::Transport;
use tokio::task::JoinSet;

use crate::clock;
use crate::randomness::Unguessable;

/// How many workers a server can have inside; their names leave room for as many.
const SIZE_MAX: i32 = 50;

pub(crate) struct Pool {
    workers: JoinSet<()>,
    shutdowns: Vec<Shutdown>,
}

impl Pool {
    /// So many workers like this one, but one task at a time each. Their names are the same after every start of this
    /// server, so that those of a start before are replaced.
    pub(crate) fn start(
        app: &App,
        server: ServerNumber,
        size: u16,
        executors: &Executors,
        like: &Settings,
    ) -> Self {
        let transport = Arc::new(Inside {
            app: app.clone(),
            server,
        });
        let (mut workers, mut shutdowns) = (JoinSet::new(), Vec::new());
        for number in 1..=i32::from(size) {
            let settings = Settings {
                name: format!("worker-{}", (server.0 - 1) * SIZE_MAX + number),
                concurrency: 1,
                ..like.clone()
            };
            let (shutdown, asked) = shutdown_signal();
            let transport = Arc::clone(&transport) as Arc<dyn Transport>;
            let worker = Worker {
                settings,
                executors: executors.clone(),
                transport,
                clock: Arc::new(clock::now),
                random: Box::new(Unguessable::new()),
            };
            workers.spawn(async move {
                if let Err(error) = worker.run(asked).await {
                    tracing::error!(%error, "a worker inside of the server has stopped");
                }
            });
            shutdowns.push(shutdown);
        }
        Self { workers, shutdowns }
    }

    /// Lets the workers finish what they have, hands back what takes too long, and waits until all are gone.
    pub(crate) async fn stop(mut self) {
        self.shutdowns.iter().for_each(Shutdown::request);
        while self.workers.join_next().await.is_some() {}
    }
}

/// The way to the engine of the same process.
struct Inside {
    app: App,
    server: ServerNumber,
}

#[async_trait]
impl Transport for Inside {
    async fn register(&self, worker: &Register) -> Result<Registered, Error> {
        let registered = v1::workers::register(&self.app, worker, Some(self.server));
        let registered = logged(&self.app, registered).await;
        registered.map_err(Error::Problem)
    }

    async fn claim(&self, worker_id: &str, claim: &Claim) -> Result<Claimed, Error> {
        let claimed = logged(&self.app, v1::workers::claim(&self.app, worker_id, claim)).await;
        let tasks = claimed.map_err(Error::Problem)?.tasks;
        Ok(Claimed {
            tasks: tasks.into_iter().map(owned).collect(),
        })
    }

    async fn report(&self, worker_id: &str, report: &Report) -> Result<Reported, Error> {
        let reported = v1::workers::report(&self.app, worker_id, report);
        let reported = logged(&self.app, reported).await;
        let Reported { results, tasks } = reported.map_err(Error::Problem)?;
        let tasks = tasks.map(|tasks| tasks.into_iter().map(owned).collect());
        Ok(Reported { results, tasks })
    }

    async fn heartbeat(&self, worker_id: &str, heartbeat: &Heartbeat) -> Result<Heard, Error> {
        let heard = v1::workers::heartbeat(&self.app, worker_id, heartbeat);
        let heard = logged(&self.app, heard).await;
        heard.map_err(Error::Problem)
    }

    async fn start(&self, task: TaskId, start: &Start) -> Result<Started, Error> {
        let started = logged(&self.app, v1::tasks::runs::begin(&self.app, task, start)).await;
        started.map_err(Error::Problem)
    }
}

/// A run with payloads of its own, as executors take them.
fn owned(run: Run<Payload>) -> Run {
    let raw = |payload: Payload| {
        let text = payload.0.as_str().to_owned();
        RawValue::from_string(text).expect("it was checked when it came in")
    };
    Run {
        id: run.id,
        kind: run.kind,
        queue: run.queue,
        input: raw(run.input),
        attempt: run.attempt,
        lease_token: run.lease_token,
        lease_expires_at: run.lease_expires_at,
        timeout_ms: run.timeout_ms,
        checkpoint: run.checkpoint.map(raw),
        cancel: run.cancel,
    }
}
