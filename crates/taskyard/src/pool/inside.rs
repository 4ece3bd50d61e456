//! How a worker inside of a server speaks to it: as one outside does, without HTTP in between.

use async_trait::async_trait;
use serde_json::value::RawValue;
use taskyard_api::client::Error;
use taskyard_api::logs::{AppendLogs, AppendedLogs};
use taskyard_api::payload::Payload;
use taskyard_api::report::{Report, Reported};
use taskyard_api::run::{Start, Started};
use taskyard_api::worker::{Claim, Claimed, Heard, Heartbeat, Register, Registered, Run};
use taskyard_core::id::{ServerNumber, TaskId};
use taskyard_server::app::App;
use taskyard_server::logged;
use taskyard_server::v1;
use taskyard_worker::transport::Transport;

/// The way to the engine of the same process.
pub(super) struct Inside {
    pub(super) app: App,
    pub(super) server: ServerNumber,
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
        let claimed = claimed.map_err(Error::Problem)?;
        Ok(Claimed {
            tasks: claimed.tasks.into_iter().map(owned).collect(),
            drain: claimed.drain,
            lease_ms: claimed.lease_ms,
            heartbeat_ms: claimed.heartbeat_ms,
        })
    }

    async fn report(&self, worker_id: &str, report: &Report) -> Result<Reported, Error> {
        let reported = v1::workers::report(&self.app, worker_id, report);
        let reported = logged(&self.app, reported).await;
        let reported = reported.map_err(Error::Problem)?;
        let tasks = reported.tasks;
        Ok(Reported {
            results: reported.results,
            tasks: tasks.map(|tasks| tasks.into_iter().map(owned).collect()),
            drain: reported.drain,
            lease_ms: reported.lease_ms,
            heartbeat_ms: reported.heartbeat_ms,
        })
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

    async fn append_logs(&self, task: TaskId, append: &AppendLogs) -> Result<AppendedLogs, Error> {
        let appended = logged(&self.app, v1::tasks::logs::print(&self.app, task, append)).await;
        appended.map_err(Error::Problem)
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
        exclusive: run.exclusive,
        checkpoint: run.checkpoint.map(raw),
        cancel: run.cancel,
    }
}
