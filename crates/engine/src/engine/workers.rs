//! What those ask for who look after the workers.

use taskyard_core::name::Name;
use taskyard_core::query::{Answer, AtWork, Query};
use taskyard_core::refused::Refused;
use taskyard_core::verbs::drain::{Drain, Drained};
use taskyard_core::verbs::forget::{Forget, Forgotten};
use taskyard_core::verbs::kill::{Kill, Killed};

use super::Engine;
use crate::error::Error;

impl Engine {
    pub async fn drain(&self, worker: Name) -> Result<Drained, Error> {
        self.call(Drain { worker }).await
    }

    pub async fn kill(&self, worker: Name) -> Result<Killed, Error> {
        let killed = self.call(Kill { worker }).await?;
        // Another server may have given it something while it was killed here: the sweep finds what that is.
        self.0.replaced.notify_one();
        Ok(killed)
    }

    /// An offline worker stands in no list any more.
    pub async fn forget(&self, worker: Name) -> Result<(), Error> {
        let forget = Forget {
            workers: vec![worker],
            is_asked_for: true,
        };
        let _: Forgotten = self.call(forget).await?;
        Ok(())
    }

    /// The worker, with the first runs that it holds, at most so many.
    pub async fn at_work(&self, worker: Name, limit: usize) -> Result<AtWork, Error> {
        match self.read(Query::AtWork { worker, limit }).await? {
            Answer::AtWork(Some(at_work)) => Ok(*at_work),
            _ => Err(Refused::NoSuchWorker.into()),
        }
    }
}
