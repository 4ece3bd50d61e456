//! How a worker speaks to its servers: six calls, whatever carries them.
//!
//! Over HTTP it is the API's client; a worker inside a server's process calls the engine. A transport says one thing
//! once and answers it: to wait, to repeat and to give up are the [runtime](crate::runtime)'s.

use taskyard_api::client::{Client, Error};
use taskyard_api::logs::{AppendLogs, AppendedLogs};
use taskyard_api::report::{Report, Reported};
use taskyard_api::run::{Start, Started};
use taskyard_api::worker::{Claim, Claimed, Heard, Heartbeat, Register, Registered};
use taskyard_core::id::TaskId;

/// Carries a worker's calls. A call whose future is dropped may have been received or not.
#[async_trait::async_trait]
pub trait Transport: Send + Sync {
    /// Makes this process the one that bears the worker's name.
    async fn register(&self, worker: &Register) -> Result<Registered, Error>;

    /// Takes tasks, waiting for the first one as long as the claim says. Sent again with its `seq`, it is answered
    /// with the same leases.
    async fn claim(&self, worker_id: &str, claim: &Claim) -> Result<Claimed, Error>;

    /// Reports results, and then takes tasks if the report holds a claim. Safe to repeat.
    async fn report(&self, worker_id: &str, report: &Report) -> Result<Reported, Error>;

    /// Renews the listed leases, and learns which of them are lost or cancelled.
    async fn heartbeat(&self, worker_id: &str, heartbeat: &Heartbeat) -> Result<Heard, Error>;

    /// Says that a run began.
    async fn start(&self, task: TaskId, start: &Start) -> Result<Started, Error>;

    /// Hands in lines of a run's log. With the number of the first one it is safe to repeat.
    async fn append_logs(&self, task: TaskId, append: &AppendLogs) -> Result<AppendedLogs, Error>;
}

#[async_trait::async_trait]
impl Transport for Client {
    async fn register(&self, worker: &Register) -> Result<Registered, Error> {
        self.register(worker).await
    }

    async fn claim(&self, worker_id: &str, claim: &Claim) -> Result<Claimed, Error> {
        self.claim(worker_id, claim).await
    }

    async fn report(&self, worker_id: &str, report: &Report) -> Result<Reported, Error> {
        self.report(worker_id, report).await
    }

    async fn heartbeat(&self, worker_id: &str, heartbeat: &Heartbeat) -> Result<Heard, Error> {
        self.heartbeat(worker_id, heartbeat).await
    }

    async fn start(&self, task: TaskId, start: &Start) -> Result<Started, Error> {
        self.start(task, start).await
    }

    async fn append_logs(&self, task: TaskId, append: &AppendLogs) -> Result<AppendedLogs, Error> {
        self.append_logs(task, append).await
    }
}
