//! The routes of what runs print.

use taskyard_core::id::TaskId;

use super::error::Error;
use super::follow::Following;
use super::transport::{Call, Client};
use crate::logs::{AppendLogs, AppendedLogs, LogLine, LogsQuery};
use crate::page::Page;

impl Client {
    /// Hands in lines of a run. With a `first_seq` it can be repeated safely.
    pub async fn append_logs(
        &self,
        task: TaskId,
        append: &AppendLogs,
    ) -> Result<AppendedLogs, Error> {
        let call = Call::post(logs_of(task)).json(append)?;
        self.call(call.repeatable_if(append.first_seq.is_some()))
            .await
    }

    /// One page of a task's log, oldest first.
    pub async fn logs(&self, task: TaskId, query: &LogsQuery) -> Result<Page<LogLine>, Error> {
        let query = LogsQuery {
            follow: None,
            ..query.clone()
        };
        self.call(Call::get(logs_of(task)).query(&query)?).await
    }

    /// A task's log from its beginning, or behind the query's cursor, as it grows, until the task has ended. Nothing is
    /// repeated: where the stream breaks off, the caller asks again with the cursor of the last line.
    pub async fn follow_logs(&self, task: TaskId, query: &LogsQuery) -> Result<Following, Error> {
        let query = LogsQuery {
            follow: Some(true),
            limit: None,
            ..query.clone()
        };
        let opened = self.open(Call::get(logs_of(task)).query(&query)?).await?;
        Ok(Following::new(opened))
    }
}

fn logs_of(task: TaskId) -> String {
    format!("/api/v1/tasks/{task}/logs")
}
