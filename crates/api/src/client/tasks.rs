//! The routes of those who submit and look.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStream;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use taskyard_core::id::TaskId;

use super::error::Error;
use super::transport::{Call, Client};
use crate::attempt::Attempts;
use crate::change::Patch;
use crate::explain::Explanation;
use crate::health::{Health, Readiness};
use crate::page::{TaskPage, TaskQuery, TasksQuery};
use crate::stats::Stats;
use crate::submit::{Submit, Submitted, SubmittedBatch};
use crate::task::{Standing, Task};

/// How long a streamed batch may take altogether.
const STREAM_WITHIN: Duration = Duration::from_hours(1);

impl Client {
    /// Submits one task. With an `id` it can be repeated safely.
    pub async fn submit<P: Serialize>(&self, task: &Submit<P>) -> Result<Submitted, Error> {
        let call = Call::post("/api/v1/tasks").json(task)?;
        let call = match task.id {
            Some(_) => call.repeatable(),
            None => self.once(call, None)?,
        };
        self.call(call).await
    }

    /// Submits up to 10,000 tasks, all or none. With a key it can be repeated safely for a day.
    pub async fn submit_batch<P: Serialize>(
        &self,
        tasks: &[Submit<P>],
        idempotency_key: Option<&str>,
    ) -> Result<SubmittedBatch, Error> {
        let call = Call::post("/api/v1/tasks/batch").json(&tasks)?;
        self.call(self.once(call, idempotency_key)?).await
    }

    /// Submits any number of tasks, each a line of JSON, as they come out of `lines`. Cut anywhere: the pieces need not
    /// be lines.
    pub async fn submit_ndjson<S>(
        &self,
        lines: S,
        idempotency_key: Option<&str>,
    ) -> Result<SubmittedBatch, Error>
    where
        S: TryStream<Ok = Bytes, Error = io::Error> + Send + 'static,
    {
        let mut call = Call::post("/api/v1/tasks/batch").idempotency_key(idempotency_key)?;
        let kind = HeaderValue::from_static("application/x-ndjson");
        call.headers.insert(CONTENT_TYPE, kind);
        self.stream(call, reqwest::Body::wrap_stream(lines), STREAM_WITHIN)
            .await
    }

    /// One page of tasks, newest first.
    pub async fn list(&self, query: &TasksQuery) -> Result<TaskPage, Error> {
        let labels: Vec<_> = query.labels.iter().map(|pair| ("label", pair)).collect();
        let call = Call::get("/api/v1/tasks").query(query)?.query(&labels)?;
        self.call(call).await
    }

    /// One task; with `wait`, as soon as it has ended, or as it stands when the time is up.
    pub async fn task(&self, id: TaskId, wait: Option<Duration>) -> Result<Task, Error> {
        let query = TaskQuery {
            wait_ms: wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        };
        let call = Call::get(format!("/api/v1/tasks/{id}"))
            .query(&query)?
            .waiting(wait.unwrap_or_default());
        self.call(call).await
    }

    /// Cancels a task, wherever it stands. Refused once it has ended.
    pub async fn cancel(&self, id: TaskId) -> Result<Standing, Error> {
        let path = format!("/api/v1/tasks/{id}/cancel");
        self.call(Call::post(path)).await
    }

    /// Runs an ended task again, as a new one. With a key it can be repeated safely for a day.
    pub async fn retry(
        &self,
        id: TaskId,
        idempotency_key: Option<&str>,
    ) -> Result<Submitted, Error> {
        let path = format!("/api/v1/tasks/{id}/retry");
        let call = self.once(Call::post(path), idempotency_key)?;
        self.call(call).await
    }

    /// Changes a task that waits. Refused once a worker has it.
    pub async fn patch(&self, id: TaskId, patch: &Patch) -> Result<Task, Error> {
        let path = format!("/api/v1/tasks/{id}");
        self.call(Call::patch(path).json(patch)?.repeatable()).await
    }

    /// Why it is not running, or is.
    pub async fn explain(&self, id: TaskId) -> Result<Explanation, Error> {
        let path = format!("/api/v1/tasks/{id}/explain");
        self.call(Call::get(path)).await
    }

    pub async fn attempts(&self, id: TaskId) -> Result<Attempts, Error> {
        let path = format!("/api/v1/tasks/{id}/attempts");
        self.call(Call::get(path)).await
    }

    pub async fn stats(&self) -> Result<Stats, Error> {
        self.call(Call::get("/api/v1/tasks/stats")).await
    }

    /// How the server is, also where that is not well.
    pub async fn health(&self) -> Result<Health, Error> {
        self.call(Call::get("/health")).await
    }

    /// Whether the server takes requests.
    pub async fn ready(&self) -> Result<Readiness, Error> {
        self.call(Call::get("/ready")).await
    }
}
