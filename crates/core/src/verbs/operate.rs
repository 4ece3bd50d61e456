//! Operate: begins to do one thing to every task that a filter lets through. The pieces are [`super::proceed`]'s.

use std::sync::Arc;

use crate::command::Env;
use crate::filter::Filter;
use crate::id::OperationId;
use crate::needs::Needs;
use crate::operation::{Act, Operation, State};
use crate::refused::Refused;
use crate::rows::{Digest, IdempotencyKey};
use crate::verbs::once;
use crate::view::View;

#[derive(Clone, Debug)]
pub struct Operate {
    /// Made before, so that one whose fate is unknown can be sent again.
    pub id: OperationId,
    pub act: Act,
    /// As [`Act::narrow`] leaves it.
    pub filter: Arc<Filter>,
    /// The caller's key for this request, and the request's digest.
    pub once: Option<(IdempotencyKey, Digest)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Operated {
    pub id: OperationId,
    /// As it is now; none where an earlier sending of this request began it, and it has been forgotten since.
    pub operation: Option<Operation>,
    /// An earlier sending of this request began it.
    pub existed: bool,
}

impl Operate {
    pub(crate) fn needs(&self, needs: &mut Needs, env: &Env<'_>) {
        needs
            .idempotency
            .extend(self.once.iter().map(|(key, _)| key.clone()));
        needs.operations.push(self.id);
        needs.open_operations = Some(env.policy.operations_max);
    }

    /// What the key stands for already.
    pub(crate) fn more(&self, view: &View, needs: &mut Needs, env: &Env<'_>) {
        let known = self.known(view, env).ok().flatten();
        needs
            .operations
            .extend(known.filter(|id| !view.operations.knows(id)));
    }

    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Operated, Refused> {
        let sent_before = view.operations.get(&self.id).map(|row| row.id);
        if let Some(id) = self.known(view, env)?.or(sent_before) {
            return Ok(Operated {
                id,
                // Of one that this batch began it is known.
                operation: view.operations.peek(&id).cloned(),
                existed: true,
            });
        }
        if !view.take_room_for_operation(env.policy.operations_max) {
            return Err(Refused::TooManyOperations(env.policy.operations_max));
        }
        let operation = Operation {
            id: self.id,
            act: self.act,
            filter: Arc::clone(&self.filter),
            cursor: None,
            done: 0,
            skipped: 0,
            created_at: env.now,
            state: State::Running,
        };
        view.operations.insert(self.id, operation.clone());
        once::keep(self.once.as_ref(), [self.id.into()].into(), view, env);
        Ok(Operated {
            id: self.id,
            operation: Some(operation),
            existed: false,
        })
    }

    /// The operation that an earlier sending of this request began.
    fn known(&self, view: &View, env: &Env<'_>) -> Result<Option<OperationId>, Refused> {
        let known = once::known(self.once.as_ref(), view, env)?;
        Ok(known.and_then(|made| made.first().copied().map(Into::into)))
    }
}
