//! The workers inside of a server: the same runtime as outside, speaking to the engine without HTTP in between.

mod crew;
mod inside;
mod member;
mod names;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use taskyard_engine::pool::InternalPool;
use taskyard_server::app::App;
use taskyard_worker::executor::Executors;
use taskyard_worker::runtime::Settings;

use self::crew::{Crew, Handle};

/// For whoever runs the server: begins with it, and ends with it.
pub(crate) struct Pool(Arc<Crew>);

/// A worker has, which takes a bug.
#[derive(Debug)]
pub(crate) struct BrokeDown;

impl Pool {
    /// Of so many workers like this one, but one task at a time each; none works before [`begin`](Self::begin).
    pub(crate) fn new(size: u16, executors: &Executors, like: &Settings) -> Self {
        Self(Crew::new(size, executors, like))
    }

    /// For those who look after them.
    pub(crate) fn handle(&self) -> Arc<dyn InternalPool> {
        Arc::new(Handle(Arc::clone(&self.0)))
    }

    /// The server has joined by now, and can be worked for. The names of its workers are the same after every start of it,
    /// so that those of a start before are replaced; where a living worker outside has one, the next is taken.
    pub(crate) fn begin(&self, app: &App) {
        self.0.begin(app);
    }

    /// Resolves once all workers have ended that were told to leave, or as soon as one has broken down.
    pub(crate) async fn ended(&mut self) -> Result<(), BrokeDown> {
        let mut gone = self.0.gone();
        loop {
            gone.borrow_and_update();
            if let Some(ended) = self.0.has_ended() {
                return ended;
            }
            tokio::select! {
                _ = gone.changed() => {}
                () = self.0.leave.cancelled(), if !self.0.leave.is_cancelled() => {}
            }
        }
    }

    /// Lets the workers finish what they have, and hand back what takes too long.
    pub(crate) fn leave(&self) {
        self.0.leave();
    }

    /// The same, and waits until all are gone.
    pub(crate) async fn stop(self) {
        self.leave();
        let mut gone = self.0.gone();
        // What counts them lives as long as this.
        let _ = gone.wait_for(|_| !self.0.is_at_work()).await;
    }

    #[cfg(test)]
    pub(crate) fn of(work: impl Future<Output = ()> + Send + 'static) -> Self {
        let pool = Self::new(0, &Executors::default(), &Settings::named(""));
        pool.0.take_in(work);
        pool
    }

    /// Resolves when the workers are told to leave.
    #[cfg(test)]
    pub(crate) fn leaving(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.leave.clone().cancelled_owned()
    }
}

impl Drop for Pool {
    /// Whoever has not left by then is not waited for.
    fn drop(&mut self) {
        self.0.leave();
        self.0.abort();
    }
}
