//! What a claim got, on its way to its worker.

use taskyard_core::id::TaskId;
use taskyard_core::verbs::claim::Hand;
use taskyard_core::verbs::report::ReportedBack;

use super::Engine;
use crate::desk::release;
use crate::directory::Sending;
use crate::error::Error;

/// What a claim got, until its worker is told. Dropped before that, it goes back at once.
pub struct Claimed {
    hand: Hand,
    sending: Sending,
    engine: Engine,
}

impl Claimed {
    pub(super) fn of(hand: Hand, sending: Sending, engine: Engine) -> Self {
        Self {
            hand,
            sending,
            engine,
        }
    }

    /// To make an answer of.
    pub fn hand(&self) -> &Hand {
        &self.hand
    }

    /// For whoever tells the worker now.
    pub fn tell(mut self) -> Hand {
        std::mem::take(&mut self.hand)
    }

    /// For whoever could make no answer of it: the runs of damaged tasks are taken out and end, and the others stay. How
    /// many were. Where it fails their leases do so at their time, and the others stay all the same.
    pub async fn fail_damaged(&mut self) -> Result<usize, Error> {
        let Some(report) = self.hand.take_damaged() else {
            return Ok(0);
        };
        let damaged: Vec<TaskId> = report
            .results
            .iter()
            .map(|result| result.token.slot.task)
            .collect();
        // The room for their claim was given back when it was answered.
        let ended: Result<ReportedBack, Error> = self.engine.call_of_ours(report).await;
        for task in &damaged {
            match &ended {
                Ok(_) => tracing::error!(
                    task.id = %task,
                    "what the database holds of a task is damaged and no JSON any more; it has failed, and was handed to nobody"
                ),
                Err(error) => tracing::error!(
                    task.id = %task,
                    %error,
                    "what the database holds of a task is damaged and no JSON any more; it could not be ended, and is tried \
                     again when its lease ends"
                ),
            }
        }
        ended.map(|_| damaged.len())
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let report = release([&self.hand]);
        self.engine.give_back(&self.sending, report);
    }
}
