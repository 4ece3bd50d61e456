//! What is said twice: a command of whose commit nobody knows what became is said once more, in words by which what was
//! done is found and nothing is done twice: submits and operations by the ids that were made before, claims by their `seq`,
//! reports by their fences. What stays unknown is told to the caller, who can say it again in the same way.

use taskyard_core::command::{Command, Done};
use taskyard_core::store;

use super::Engine;
use crate::error::Error;

impl Engine {
    pub(super) async fn call_and_again<D: TryFrom<Done>>(
        &self,
        command: impl Into<Command>,
        again: impl Into<Command>,
    ) -> Result<D, Error> {
        match self.call(command).await {
            Err(unknown) if is_unknown(&unknown) => settled(unknown, self.call(again).await),
            answer => answer,
        }
    }
}

pub(super) fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::Store(store::Error::Unknown(_)))
}

/// What came of saying it again, unless that says nothing of the first time.
pub(super) fn settled<T>(unknown: Error, again: Result<T, Error>) -> Result<T, Error> {
    match again {
        Err(Error::Busy | Error::Stopping | Error::Store(_)) => Err(unknown),
        answer => answer,
    }
}
