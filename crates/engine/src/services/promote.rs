//! The promoter: makes ready what is due.

use taskyard_core::query::{Answer, Query};
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::promote::{Promote, Promoted};

use super::STEP_ROWS_MAX;
use crate::engine::Engine;
use crate::error::Error;

/// What was promoted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promotion {
    pub count: usize,
    /// When the next slot is due, if any is scheduled.
    pub next_due: Option<Timestamp>,
}

pub async fn run_once(engine: &Engine) -> Result<Promotion, Error> {
    let mut count = 0;
    loop {
        let step: Promoted = engine
            .call(Promote {
                limit: STEP_ROWS_MAX,
            })
            .await?;
        count += step.count;
        if step.count < STEP_ROWS_MAX {
            break;
        }
    }
    let next_due = match engine.read(Query::NextDue).await? {
        Answer::NextDue(next) => next,
        _ => None,
    };
    Ok(Promotion { count, next_due })
}
