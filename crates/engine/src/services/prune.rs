//! The pruner: forgets idempotency keys that are too old.

use taskyard_core::verbs::prune::{Prune, Pruned};

use super::STEP_ROWS_MAX;
use crate::engine::Engine;
use crate::error::Error;

/// Answers how many it forgot.
pub async fn run_once(engine: &Engine) -> Result<usize, Error> {
    let pruned: Pruned = engine
        .call(Prune {
            limit: STEP_ROWS_MAX,
        })
        .await?;
    Ok(pruned.count)
}
