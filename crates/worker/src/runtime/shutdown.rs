//! How a worker is told to stop: once to finish what it has, twice to hurry.

use tokio::sync::watch;

/// The side that tells. Dropping it tells nothing.
#[derive(Debug)]
pub struct Shutdown(watch::Sender<u32>);

/// The side that is told.
#[derive(Clone, Debug)]
pub struct ShutdownSignal(watch::Receiver<u32>);

/// A worker's end that nobody has asked for yet.
pub fn shutdown_signal() -> (Shutdown, ShutdownSignal) {
    let (sender, receiver) = watch::channel(0);
    (Shutdown(sender), ShutdownSignal(receiver))
}

impl Shutdown {
    /// The first call makes the worker drain: it takes nothing new and ends when its runs have. The second ends the
    /// runs and hands their tasks back. Further ones change nothing.
    pub fn request(&self) {
        self.0
            .send_modify(|requests| *requests = requests.saturating_add(1));
    }
}

impl ShutdownSignal {
    /// Waits for the next request and answers how many there were.
    pub(super) async fn requested(&mut self) -> u32 {
        if self.0.changed().await.is_err() {
            // Nobody is left to ask for it.
            std::future::pending::<()>().await;
        }
        *self.0.borrow_and_update()
    }
}
