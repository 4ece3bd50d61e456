//! Forgets workers that have been gone for long: in the store, and what this server remembers of them.

use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::forget::{Forget, Forgotten, expired_before};

use super::STEP_ROWS_MAX;
use crate::engine::Engine;
use crate::error::Error;

/// Answers how many it forgot in the store.
pub async fn run_once(engine: &Engine) -> Result<usize, Error> {
    engine.drop_silent_workers();
    let mut count = 0;
    loop {
        let now = engine.store().now();
        let gone = engine.read(look_for_gone(engine.policy(), now)).await?;
        let Some(forget) = forget(gone) else {
            return Ok(count);
        };
        let candidates = forget.workers.len();
        let step: Forgotten = engine.call_of_ours(forget).await?;
        count += step.count;
        if step.ahead > 0 {
            tracing::warn!(
                workers = step.ahead,
                "workers were heard last by a clock that was ahead: they count as heard now"
            );
        }
        // Where other servers are at it as well, theirs are left to them.
        if step.count + step.ahead < candidates || candidates < STEP_ROWS_MAX {
            return Ok(count);
        }
    }
}

/// What the service asks for.
pub fn look_for_gone(policy: &Policy, now: Timestamp) -> Query {
    Query::Gone {
        expired: expired_before(policy, now),
        ahead: policy.worker_believed_until(now),
        limit: STEP_ROWS_MAX,
    }
}

/// What the service sends for the answer, if it found anybody.
pub fn forget(gone: Answer) -> Option<Forget> {
    let workers = gone.gone();
    (!workers.is_empty()).then_some(Forget {
        workers,
        is_asked_for: false,
    })
}
