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
        let told = |claimed: &Claimed<Payload>| {
            Ok(Claimed {
                tasks: owned(&claimed.tasks)?,
                drain: claimed.drain,
                lease_ms: claimed.lease_ms,
                heartbeat_ms: claimed.heartbeat_ms,
            })
        };
        let claimed = v1::workers::claim(&self.app, worker_id, claim, told);
        let claimed = logged(&self.app, claimed).await;
        claimed.map_err(Error::Problem)
    }

    async fn report(&self, worker_id: &str, report: &Report) -> Result<Reported, Error> {
        let told = |reported: &Reported<Payload>| {
            Ok(Reported {
                results: reported.results.clone(),
                tasks: reported.tasks.as_deref().map(owned).transpose()?,
                drain: reported.drain,
                lease_ms: reported.lease_ms,
                heartbeat_ms: reported.heartbeat_ms,
            })
        };
        let reported = v1::workers::report(&self.app, worker_id, report, told);
        let reported = logged(&self.app, reported).await;
        reported.map_err(Error::Problem)
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

/// Runs with payloads of their own, as executors take them.
fn owned(runs: &[Run<Payload>]) -> serde_json::Result<Vec<Run>> {
    let raw = |payload: &Payload| RawValue::from_string(payload.0.as_str().to_owned());
    let owned = |run: &Run<Payload>| {
        Ok(Run {
            id: run.id,
            kind: run.kind.clone(),
            queue: run.queue.clone(),
            input: raw(&run.input)?,
            attempt: run.attempt,
            lease_token: run.lease_token.clone(),
            lease_expires_at: run.lease_expires_at,
            timeout_ms: run.timeout_ms,
            exclusive: run.exclusive,
            checkpoint: run.checkpoint.as_ref().map(raw).transpose()?,
        })
    };
    runs.iter().map(owned).collect()
}
