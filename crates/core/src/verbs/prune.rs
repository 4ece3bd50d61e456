//! Prune: idempotency keys that are too old to be asked for again go.

use crate::command::Env;
use crate::needs::{Due, Needs};
use crate::refused::Refused;
use crate::view::View;

#[derive(Clone, Copy, Debug)]
pub struct Prune {
    /// At most so many rows.
    pub limit: usize,
    /// Passes over so many of the oldest: they were found to be bad.
    pub skip: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pruned {
    /// As many as the limit: there may be more.
    pub count: usize,
}

impl Prune {
    pub(crate) fn needs(&self, needs: &mut Needs, env: &Env<'_>) {
        needs.old_keys = Some(Due {
            until: env.now - env.policy.key_life,
            rows: self.limit,
            skip: self.skip,
        });
    }

    #[expect(clippy::unused_self, reason = "every verb has one")]
    pub(crate) fn more(&self, _view: &View, _needs: &mut Needs, _env: &Env<'_>) {}

    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "every verb answers alike"
    )]
    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Pruned, Refused> {
        let old = view.old_keys().to_vec();
        let mut count = 0;
        for key in old {
            let row = view.idempotency.get(&key);
            // A submit of this batch may have put the key to use again.
            if row.is_some_and(|row| row.created_at + env.policy.key_life <= env.now) {
                view.idempotency.remove(&key);
                count += 1;
            }
        }
        Ok(Pruned { count })
    }
}
