//! What is asked about operations.

use taskyard_core::filter::Filter;
use taskyard_core::id::OperationId;
use taskyard_core::operation::Operation;
use taskyard_core::query::{List, Query};
use taskyard_core::refused::Refused;
use taskyard_core::verbs::cancel_operation::{CancelOperation, OperationCancelled};
use taskyard_core::verbs::operate::{Operate, Operated};

use super::Engine;
use crate::error::Error;

/// How many pages a count reads at most.
const COUNT_PAGES_MAX: usize = 100;
/// Tasks of one page of a count.
const COUNT_PAGE: usize = 1000;

/// How many tasks a filter lets through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Matching {
    pub count: usize,
    /// It was counted no further; there may be more.
    pub at_least: bool,
}

impl Engine {
    pub async fn operate(&self, operate: Operate) -> Result<Operated, Error> {
        // The id was made before: an operation that was begun after all is found, and none is begun twice.
        let begun = self.call_and_again(operate.clone(), operate).await;
        self.0.operated.notify_one();
        begun
    }

    pub async fn cancel_operation(&self, operation: OperationId) -> Result<Operation, Error> {
        let OperationCancelled(cancelled) = self.call(CancelOperation { operation }).await?;
        Ok(cancelled)
    }

    pub async fn operation(&self, id: OperationId) -> Result<Operation, Error> {
        let operation = self.read(Query::Operation(id)).await?.operation();
        Ok(*operation.ok_or(Refused::NoSuchOperation)?)
    }

    /// Counts up to `most`, and no further than a bounded number of pages reaches. Each page is read while what `turn` came
    /// to is held.
    pub async fn count_matching<T, F: Future<Output = T>>(
        &self,
        filter: Filter,
        most: usize,
        look_at_max: usize,
        turn: impl Fn() -> F,
    ) -> Result<Matching, Error> {
        let mut list = List {
            filter,
            limit: COUNT_PAGE,
            look_at_max,
            ..List::default()
        };
        let mut count = 0;
        for _ in 0..COUNT_PAGES_MAX {
            let _turn = turn().await;
            let listed = self.read(Query::Tasks(list.clone())).await?.tasks();
            count += listed.items.len();
            list.after = listed.next;
            if count > most || list.after.is_none() {
                break;
            }
        }
        Ok(Matching {
            count: count.min(most),
            at_least: count > most || list.after.is_some(),
        })
    }

    /// An operation was begun here, and has not been looked for since.
    pub(crate) async fn was_operated(&self) {
        self.0.operated.notified().await;
    }
}
