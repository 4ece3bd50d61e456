//! What those ask for who look after the workers.

use taskyard_core::id::{Epoch, RunKey};
use taskyard_core::name::Name;
use taskyard_core::query::{AtWork, Query};
use taskyard_core::refused::Refused;
use taskyard_core::verbs::drain::{Drain, Drained};
use taskyard_core::verbs::forget::{Forget, Forgotten};
use taskyard_core::verbs::kill::{Kill, Killed, Part};

use super::Engine;
use crate::error::Error;
use crate::services::STEP_ROWS_MAX;

impl Engine {
    pub async fn drain(&self, worker: Name) -> Result<Drained, Error> {
        self.call(Drain { worker }).await
    }

    /// It ends at once. What it holds goes back in pieces, the first of them with the kill itself; what this does not come to,
    /// and what another server gave it meanwhile, is found by the sweep.
    pub async fn kill(&self, worker: Name) -> Result<Killed, Error> {
        let kill = |runs, part| Kill {
            worker: worker.clone(),
            runs,
            part,
        };
        let mut runs = self.takeable(worker.clone(), None).await?;
        let mut killed: Killed = self.call(kill(runs.clone(), Part::First)).await?;
        let Some(epoch) = killed.epoch else {
            return Ok(killed);
        };
        loop {
            let left = self.takeable(worker.clone(), Some(epoch)).await?;
            // What cannot be taken is damaged, and would come again and again.
            if left.is_empty() || left == runs {
                break;
            }
            runs = left;
            let piece: Killed = self.call(kill(runs.clone(), Part::Since(epoch))).await?;
            killed.tasks.extend(piece.tasks);
        }
        self.0.replaced.notify_one();
        Ok(killed)
    }

    async fn takeable(&self, worker: Name, before: Option<Epoch>) -> Result<Vec<RunKey>, Error> {
        let query = Query::Takeable {
            worker,
            before,
            limit: STEP_ROWS_MAX,
        };
        Ok(self.read(query).await?.takeable())
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
        let at_work = self.read(Query::AtWork { worker, limit }).await?.at_work();
        Ok(*at_work.ok_or(Refused::NoSuchWorker)?)
    }
}
