//! Clear: operations that ended long ago go. The service brings candidates; each is judged here again, under its lock.

use crate::command::{Env, halves};
use crate::id::OperationId;
use crate::needs::Needs;
use crate::operation::Operation;
use crate::policy::Policy;
use crate::refused::Refused;
use crate::time::Timestamp;
use crate::view::View;

#[derive(Clone, Debug)]
pub struct Clear {
    pub operations: Vec<OperationId>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cleared {
    pub count: usize,
}

/// Those that had ended by then may go.
pub fn ended_before(policy: &Policy, now: Timestamp) -> Timestamp {
    now - policy.operation_life
}

impl Clear {
    pub(crate) fn halves(&self) -> Option<[Self; 2]> {
        Some(halves(&self.operations)?.map(|operations| Self { operations }))
    }

    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        needs.operations.extend(&self.operations);
    }

    #[expect(clippy::unused_self, reason = "every verb has one")]
    pub(crate) fn more(&self, _view: &View, _needs: &mut Needs, _env: &Env<'_>) {}

    #[expect(clippy::unnecessary_wraps, reason = "every verb answers alike")]
    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Cleared, Refused> {
        let by = ended_before(env.policy, env.now);
        let is_old = |row: &Operation| row.ended_at().is_some_and(|ended| ended <= by);
        let mut count = 0;
        for id in &self.operations {
            if view.operations.get(id).is_some_and(is_old) {
                view.operations.remove(id);
                count += 1;
            }
        }
        Ok(Cleared { count })
    }
}
