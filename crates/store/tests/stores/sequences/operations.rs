//! One act on every task that a filter lets through, piece by piece.

use std::sync::Arc;

use taskyard_core::command::Command;
use taskyard_core::filter::Filter;
use taskyard_core::operation::Act;
use taskyard_core::query::{List, Query};
use taskyard_core::rows::{Digest, IdempotencyKey};
use taskyard_core::verbs::operate::Operate;
use taskyard_core::verbs::proceed::Proceed;

use super::Sequence;

impl Sequence {
    pub(super) fn operate(&mut self) -> Command {
        let act = [Act::Cancel, Act::Retry][self.below(2)];
        let id = self.yard.task().id.into();
        self.operations.push(id);
        let once = self.one_in(3).then(|| {
            let (scope, key) = ("operate".into(), ["x", "y"][self.below(2)].into());
            (IdempotencyKey { scope, key }, Digest::of(b"request"))
        });
        let mut filter = self.list().filter;
        filter.statuses.clear();
        let filter = act.narrow(filter).expect("no status is named");
        Command::Operate(Operate {
            id,
            act,
            filter: Arc::new(filter),
            once,
        })
    }

    /// A piece of one that is under way; it may be sent again.
    pub(super) async fn proceed(&mut self) -> Option<Command> {
        let open = Query::OpenOperations { limit: 10 };
        let open = self.yard.store.read(open).await.unwrap().operations();
        let operation = open.get(self.below(open.len().max(1)))?;
        let list = List {
            filter: Filter::clone(&operation.filter),
            after: operation.cursor,
            limit: 1 + self.below(3),
            payload: true,
            ..List::default()
        };
        let found = self.yard.list(list).await;
        let piece = Proceed::of(operation, found, self.yard.now(), || self.yard.task().id);
        Some(piece.into())
    }
}
