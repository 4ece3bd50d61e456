//! The pruner: forgets idempotency keys that are too old.

use taskyard_core::verbs::prune::{Prune, Pruned};

use super::STEP_ROWS_MAX;
use crate::engine::Engine;
use crate::error::Error;

/// Answers how many it forgot.
pub async fn run_once(engine: &Engine) -> Result<usize, Error> {
    let mut count = 0;
    loop {
        let step: Pruned = engine
            .call(Prune {
                limit: STEP_ROWS_MAX,
            })
            .await?;
        count += step.count;
        // A full step says that there may be more, which must not wait: keys may come faster than a step a turn.
        if step.count < STEP_ROWS_MAX {
            return Ok(count);
        }
    }
}
