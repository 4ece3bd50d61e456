//! Taking everything away. The loop does it between two batches, with none under way; what it knew of before goes with
//! it, and whoever waited is told what there is now: nothing.

use taskyard_core::refused::Refused;
use taskyard_core::store;
use tokio::sync::oneshot;

use super::main_loop::{Loop, Message};
use super::{Engine, Shared};
use crate::error::Error;
use crate::gathered::Gathered;

pub(super) type Asked = oneshot::Sender<Result<Result<(), Refused>, store::Error>>;

impl Engine {
    /// Empties the database. Claims that wait are refused, as of a worker that is unknown, and their workers register
    /// again; who waits for a task hears that there is none. Done also if whoever asked has gone.
    pub async fn reset(&self) -> Result<(), Error> {
        // What is written down now, or waits to be, is of before.
        let _no_tally = self.0.tallying.lock().await;
        let (asked, done) = oneshot::channel();
        self.send(Message::Reset(asked))?;
        done.await.map_err(|_| Error::Stopping)???;
        Ok(())
    }

    /// Held by whoever writes down what happened.
    pub(crate) async fn turn_to_tally(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.tallying.lock().await
    }
}

impl Loop {
    /// Only while no batch is under way.
    pub(super) async fn reset(&mut self, asked: Asked) {
        let done = self.shared.store.reset().await;
        // What broke off may have happened, and what is forgotten can be read again.
        if !matches!(done, Ok(Err(_))) {
            self.forget_all();
        }
        // Nobody may wait for it any more.
        let _ = asked.send(done);
    }
}

impl Shared {
    pub(super) fn forget_all(&self) {
        self.directory.lock().clear();
        self.waits.lock().all_ended();
        self.next_due.forget();
        *self.gathered.lock() = Gathered::default();
    }
}
