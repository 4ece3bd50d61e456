//! The pruner: forgets idempotency keys that are too old.

use taskyard_core::verbs::prune::{Prune, Pruned};

use super::Steps;
use crate::engine::Engine;
use crate::error::Error;

/// Answers how many it forgot.
pub async fn run_once(engine: &Engine) -> Result<usize, Error> {
    let mut steps = Steps::default();
    let mut round = steps.round("idempotency");
    loop {
        let (limit, skip) = round.step();
        let step = engine.call_of_ours(Prune { limit, skip }).await;
        if let Some(count) = round.took(step.map(|step: Pruned| step.count))? {
            return Ok(count);
        }
    }
}
