//! The routes of acts on all tasks that a filter lets through.

use taskyard_core::id::OperationId;

use super::error::Error;
use super::transport::{Call, Client};
use crate::operation::{Act, Matching, Operate, Operation, TasksFilter};
use crate::page::{Page, PageQuery};

impl Client {
    /// Begins to do it to every task that the filter lets through. `all`: an empty filter is meant so. With a key it can
    /// be repeated safely for a day.
    pub async fn operate(
        &self,
        act: Act,
        filter: TasksFilter,
        all: bool,
        idempotency_key: Option<&str>,
    ) -> Result<Operation, Error> {
        let asked = Operate {
            filter,
            all,
            dry_run: false,
        };
        let call = Call::post(path(act)).json(&asked)?;
        self.call(self.once(call, idempotency_key)?).await
    }

    /// How many tasks that would be done to, as far as they are counted. Changes nothing.
    pub async fn count_matching(&self, act: Act, filter: TasksFilter) -> Result<Matching, Error> {
        let asked = Operate {
            filter,
            all: true,
            dry_run: true,
        };
        self.call(Call::post(path(act)).json(&asked)?.repeatable())
            .await
    }

    /// One page of operations, newest first.
    pub async fn operations(&self, query: &PageQuery) -> Result<Page<Operation>, Error> {
        self.call(Call::get("/api/v1/operations").query(query)?)
            .await
    }

    pub async fn operation(&self, id: OperationId) -> Result<Operation, Error> {
        let path = format!("/api/v1/operations/{id}");
        self.call(Call::get(path)).await
    }

    /// Stops it where it is; what it did stays. Refused once it has ended.
    pub async fn cancel_operation(&self, id: OperationId) -> Result<Operation, Error> {
        let path = format!("/api/v1/operations/{id}/cancel");
        self.call(Call::post(path)).await
    }
}

fn path(act: Act) -> &'static str {
    match act {
        Act::Cancel => "/api/v1/tasks/cancel",
        Act::Retry => "/api/v1/tasks/retry",
    }
}
