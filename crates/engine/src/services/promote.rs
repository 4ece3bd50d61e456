//! The promoter: makes ready what is due.

use taskyard_core::query::Query;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::promote::{Promote, Promoted};

use super::Steps;
use crate::engine::Engine;
use crate::error::Error;

/// What was promoted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promotion {
    pub count: usize,
    /// When the next slot is due, if any is scheduled besides those that are passed over.
    pub next_due: Option<Timestamp>,
}

pub async fn run_once(engine: &Engine, steps: &mut Steps) -> Result<Promotion, Error> {
    let mut round = steps.round("scheduled");
    let count = loop {
        let (limit, skip) = round.step();
        let step = engine.call_of_ours(Promote { limit, skip }).await;
        if let Some(count) = round.took(step.map(|step: Promoted| step.count))? {
            break count;
        }
    };
    let skip = steps.passed_over();
    let next_due = engine.read(Query::NextDue { skip }).await?.next_due();
    Ok(Promotion { count, next_due })
}
