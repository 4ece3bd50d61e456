//! The workers inside of a server: the same runtime as outside, speaking to the engine without HTTP in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

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
use taskyard_worker::runtime::{self, Settings, Shutdown, ShutdownSignal, Worker, shutdown_signal};
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
    /// server, so that those of a start before are replaced; where a living worker outside has one, the next is taken.
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
        let first = (server.0 - 1) * SIZE_MAX + 1;
        let names = Arc::new(Names {
            next: AtomicI32::new(first),
            last: first + SIZE_MAX - 1,
        });
        let (mut workers, mut shutdowns) = (JoinSet::new(), Vec::new());
        for _ in 0..size {
            let (shutdown, asked) = shutdown_signal();
            let one = One {
                like: like.clone(),
                executors: executors.clone(),
                transport: Arc::clone(&transport) as Arc<dyn Transport>,
                names: Arc::clone(&names),
            };
            workers.spawn(one.work(names.take(), asked));
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

/// The names that this server's workers can have.
struct Names {
    next: AtomicI32,
    last: i32,
}

impl Names {
    fn take(&self) -> Option<String> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number <= self.last).then(|| format!("worker-{number}"))
    }
}

/// One worker, whatever its name comes to be.
struct One {
    like: Settings,
    executors: Executors,
    transport: Arc<dyn Transport>,
    names: Arc<Names>,
}

impl One {
    async fn work(self, mut name: Option<String>, asked: ShutdownSignal) {
        while let Some(taken) = name {
            let worker = self.named(&taken);
            match worker.run(asked.clone()).await {
                Err(runtime::Error::Refused(error)) if is_borne_outside(&error) => {
                    tracing::warn!(
                        worker = taken,
                        "a worker outside has the name of one inside, which takes another"
                    );
                    name = self.names.take();
                }
                Err(error) => {
                    tracing::error!(%error, "a worker inside of the server has stopped");
                    return;
                }
                Ok(_) => return,
            }
        }
        tracing::error!(
            "a worker inside of the server has not started: workers outside have all of the names worker-1 to \
             worker-{SIZE_MAX}, and so on for further servers; give those other names"
        );
    }

    fn named(&self, name: &str) -> Worker {
        Worker {
            settings: Settings {
                name: name.to_owned(),
                concurrency: 1,
                ..self.like.clone()
            },
            executors: self.executors.clone(),
            transport: Arc::clone(&self.transport),
            clock: Arc::new(clock::now),
            random: Box::new(Unguessable::new()),
        }
    }
}

fn is_borne_outside(error: &Error) -> bool {
    matches!(error, Error::Problem(problem) if problem.code == "worker_is_external")
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
