//! The routes of workers, and of those who watch them.

use std::time::Duration;

use serde::Serialize;
use taskyard_core::id::TaskId;

use super::error::Error;
use super::transport::{Call, Client};
use crate::page::{Page, PageQuery};
use crate::pool::{Pool, Scale};
use crate::report::{Report, Reported};
use crate::run::{Complete, Fail, Release, Renewed, ReportProgress, Snooze, Start, Started};
use crate::task::Standing;
use crate::worker::{Claim, Claimed, Heard, Heartbeat, Register, Registered, Worker};

/// Workers are asked for so many at a time.
const PAGE: u32 = 1_000;

impl Client {
    /// One page of the workers that are remembered, by name.
    pub async fn workers(&self, query: &PageQuery) -> Result<Page<Worker>, Error> {
        self.call(Call::get("/api/v1/workers").query(query)?).await
    }

    /// Every worker that is remembered, by name.
    pub async fn all_workers(&self) -> Result<Vec<Worker>, Error> {
        let mut all = Vec::new();
        let mut query = PageQuery {
            limit: Some(PAGE),
            cursor: None,
        };
        loop {
            let page = self.workers(&query).await?;
            all.extend(page.items);
            if page.next_cursor.is_none() {
                return Ok(all);
            }
            query.cursor = page.next_cursor;
        }
    }

    /// One worker, with what it holds.
    pub async fn worker(&self, worker_id: &str) -> Result<Worker, Error> {
        self.call(Call::get(worker(worker_id))).await
    }

    /// It gets nothing more, finishes what it holds and leaves.
    pub async fn drain_worker(&self, worker_id: &str) -> Result<Worker, Error> {
        self.call(Call::post(of_worker(worker_id, "drain")).repeatable())
            .await
    }

    /// It ends at once, and what it held runs elsewhere.
    pub async fn kill_worker(&self, worker_id: &str) -> Result<Worker, Error> {
        self.call(Call::post(of_worker(worker_id, "kill"))).await
    }

    /// Lists no longer show it; only an offline one can be deleted.
    pub async fn delete_worker(&self, worker_id: &str) -> Result<(), Error> {
        self.call(Call::delete(worker(worker_id))).await
    }

    /// The workers inside of the server that answers.
    pub async fn pool(&self) -> Result<Pool, Error> {
        self.call(Call::get(of_pool("status"))).await
    }

    pub async fn scale_pool(&self, count: i64) -> Result<Pool, Error> {
        let call = Call::post(of_pool("scale")).json(&Scale { count })?;
        self.call(call).await
    }

    pub async fn start_pool(&self) -> Result<Pool, Error> {
        self.call(Call::post(of_pool("start"))).await
    }

    /// They finish what they hold and leave; how many there should be is kept.
    pub async fn stop_pool(&self) -> Result<Pool, Error> {
        self.call(Call::post(of_pool("stop"))).await
    }

    /// Makes this process the one that bears the worker's name.
    pub async fn register(&self, worker: &Register) -> Result<Registered, Error> {
        let call = Call::post("/api/v1/workers/register").json(worker)?;
        self.call(call.repeatable()).await
    }

    /// Renews the listed leases, and learns which of them are lost or cancelled. Where it is not waited for any longer, the
    /// next call goes to another server, if there are several.
    pub async fn heartbeat<P: Serialize>(
        &self,
        worker_id: &str,
        heartbeat: &Heartbeat<P>,
    ) -> Result<Heard, Error> {
        let call = Call::post(of_worker(worker_id, "heartbeat")).json(heartbeat)?;
        self.call(call.repeatable().urgent()).await
    }

    /// Takes tasks, waiting for the first one as long as the claim says.
    pub async fn claim(&self, worker_id: &str, claim: &Claim) -> Result<Claimed, Error> {
        let call = Call::post(of_worker(worker_id, "claim"))
            .json(claim)?
            .waiting(wait_of(claim))
            .repeatable_if(claim.seq.is_some())
            .again_if(claim.again);
        self.call(call).await
    }

    /// Reports results, and takes new tasks if the report holds a claim. Safe to repeat: a result that was taken is
    /// answered the same way again.
    pub async fn report<P: Serialize>(
        &self,
        worker_id: &str,
        report: &Report<P>,
    ) -> Result<Reported, Error> {
        let claim = report.claim.as_ref();
        let call = Call::post(of_worker(worker_id, "report"))
            .json(report)?
            .waiting(claim.map(wait_of).unwrap_or_default())
            .repeatable_if(claim.is_none_or(|claim| claim.seq.is_some()))
            .again_if(claim.is_some_and(|claim| claim.again));
        self.call(call).await
    }

    // What names a lease is fenced by it, so it can be said twice.

    pub async fn start(&self, task: TaskId, start: &Start) -> Result<Started, Error> {
        let call = Call::post(of_task(task, "start")).json(start)?;
        self.call(call.repeatable()).await
    }

    pub async fn progress<P: Serialize>(
        &self,
        task: TaskId,
        progress: &ReportProgress<P>,
    ) -> Result<Renewed, Error> {
        let call = Call::post(of_task(task, "progress")).json(progress)?;
        self.call(call.repeatable()).await
    }

    pub async fn complete<P: Serialize>(
        &self,
        task: TaskId,
        complete: &Complete<P>,
    ) -> Result<Standing, Error> {
        let call = Call::post(of_task(task, "complete")).json(complete)?;
        self.call(call.repeatable()).await
    }

    pub async fn fail<P: Serialize>(
        &self,
        task: TaskId,
        fail: &Fail<P>,
    ) -> Result<Standing, Error> {
        let call = Call::post(of_task(task, "fail")).json(fail)?;
        self.call(call.repeatable()).await
    }

    pub async fn snooze(&self, task: TaskId, snooze: &Snooze) -> Result<Standing, Error> {
        let call = Call::post(of_task(task, "snooze")).json(snooze)?;
        self.call(call.repeatable()).await
    }

    pub async fn release(&self, task: TaskId, release: &Release) -> Result<Standing, Error> {
        let call = Call::post(of_task(task, "release")).json(release)?;
        self.call(call.repeatable()).await
    }
}

fn of_task(task: TaskId, verb: &str) -> String {
    format!("/api/v1/tasks/{task}/{verb}")
}

/// The server refuses a name that needs escapes; escaped, it still reaches the right route to be refused there.
fn worker(worker_id: &str) -> String {
    let name: String = url::form_urlencoded::byte_serialize(worker_id.as_bytes()).collect();
    format!("/api/v1/workers/{}", name.replace('+', "%20"))
}

fn of_worker(worker_id: &str, verb: &str) -> String {
    format!("{}/{verb}", worker(worker_id))
}

fn of_pool(verb: &str) -> String {
    format!("/api/v1/workers/internal/{verb}")
}

fn wait_of(claim: &Claim) -> Duration {
    Duration::from_millis(claim.wait_ms.unwrap_or_default())
}
