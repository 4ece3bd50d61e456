//! CancelOperation: an operation stops where it is. What it did stays.

use crate::command::Env;
use crate::id::OperationId;
use crate::needs::Needs;
use crate::operation::{Operation, State};
use crate::refused::Refused;
use crate::view::View;

#[derive(Clone, Copy, Debug)]
pub struct CancelOperation {
    pub operation: OperationId,
}

/// As it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationCancelled(pub Operation);

impl CancelOperation {
    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        needs.operations.push(self.operation);
    }

    #[expect(clippy::unused_self, reason = "every verb has one")]
    pub(crate) fn more(&self, _view: &View, _needs: &mut Needs, _env: &Env<'_>) {}

    pub(crate) fn decide(
        &self,
        view: &mut View,
        env: &mut Env<'_>,
    ) -> Result<OperationCancelled, Refused> {
        let Some(operation) = view.operations.get(&self.operation) else {
            return Err(Refused::NoSuchOperation);
        };
        if !operation.is_running() {
            return Err(Refused::OperationEnded);
        }
        let state = State::Cancelled(env.now);
        let cancelled = Operation {
            state,
            ..operation.clone()
        };
        view.operations
            .update(&self.operation, |row| row.state = state);
        Ok(OperationCancelled(cancelled))
    }
}
