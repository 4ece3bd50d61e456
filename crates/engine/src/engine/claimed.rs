//! What a claim got, on its way to its worker.

use taskyard_core::id::TaskId;
use taskyard_core::refused::Refused;
use taskyard_core::verbs::claim::Hand;
use taskyard_core::verbs::report::{Report, ReportedBack};

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

    /// Which arrival of a claim it is of.
    pub(super) fn sending(&self) -> &Sending {
        &self.sending
    }

    /// For whoever tells the worker now.
    pub fn tell(mut self) -> Hand {
        std::mem::take(&mut self.hand)
    }

    /// Tells its worker what `write` makes of it. Where that fails something in it is damaged: that is taken out and fails,
    /// and the worker is told of the rest.
    ///
    /// # Errors
    /// What `write` says, where nothing of it is damaged.
    pub async fn tell_as<A, E>(
        mut self,
        mut write: impl FnMut(&Hand) -> Result<A, E>,
    ) -> Result<Told<A>, E> {
        let unwritten = match write(&self.hand) {
            Ok(answer) => {
                self.tell();
                return Ok(Told::Heard(answer));
            }
            Err(unwritten) => unwritten,
        };
        let Some(damaged) = self.hand.take_damaged() else {
            return Err(unwritten);
        };
        let failed = self.fail(damaged).await;
        if self.hand.runs.is_empty() {
            return Ok(match failed {
                Ok(()) => Told::AllEnded(self),
                Err(error) => Told::NotEnded(error),
            });
        }
        let answer = write(&self.hand)?;
        self.tell();
        Ok(Told::Heard(answer))
    }

    /// Ends the damaged tasks. Where it fails their leases end at their time.
    async fn fail(&self, damaged: Report) -> Result<(), Error> {
        let results = damaged.results.iter();
        let tasks: Vec<TaskId> = results.map(|result| result.token.slot.task).collect();
        // The room for their claim was given back when it was answered.
        let ended: ReportedBack = match self.engine.call_of_ours(damaged).await {
            Ok(ended) => ended,
            Err(error) => {
                tasks.iter().for_each(|task| log_not_ended(*task, &error));
                return Err(error);
            }
        };
        let mut left = None;
        for (task, ended) in tasks.into_iter().zip(ended.results) {
            match ended {
                Err(refused @ Refused::Broken) => {
                    let error = refused.into();
                    log_not_ended(task, &error);
                    left = Some(error);
                }
                // Where the lease was taken away meanwhile, or another sending of the claim has said the same.
                Ok(_) | Err(_) => tracing::error!(
                    task.id = %task,
                    "what the database holds of a task is damaged and no JSON any more; it has failed, and was handed to nobody"
                ),
            }
        }
        left.map_or(Ok(()), Err)
    }
}

fn log_not_ended(task: TaskId, error: &Error) {
    tracing::error!(
        task.id = %task,
        %error,
        "what the database holds of a task is damaged and no JSON any more; it could not be ended, and is tried again when its \
         lease ends"
    );
}

/// What became of what a claim got.
pub enum Told<A> {
    Heard(A),
    /// All of it was damaged, and has failed; see [`Engine::claim_instead`].
    AllEnded(Claimed),
    /// All of it was damaged, and for this it could not be ended: it comes back when its leases end.
    NotEnded(Error),
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let report = release([&self.hand]);
        self.engine.give_back(&self.sending, report);
    }
}
