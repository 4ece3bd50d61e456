//! How a worker is told to stop: once to finish what it has, twice to hurry. Or to leave whenever it has finished.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The side that tells. Dropping it tells nothing.
#[derive(Debug)]
pub struct Shutdown(watch::Sender<Told>);

/// The side that is told.
#[derive(Clone, Debug)]
pub struct ShutdownSignal(watch::Receiver<Told>);

/// What it was told so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    pub(super) drain: bool,
    pub(super) kill: bool,
    /// How often it was told to stop.
    pub(super) stop: u32,
    /// How often it was told to ask what became of its runs.
    pub(super) ask: u64,
    /// How often it was told that its server serves again.
    pub(super) again: u64,
}

/// A worker's end that nobody has asked for yet.
pub fn shutdown_signal() -> (Shutdown, ShutdownSignal) {
    let (sender, receiver) = watch::channel(Told::default());
    (Shutdown(sender), ShutdownSignal(receiver))
}

/// A worker's end that people and service managers ask for: each SIGTERM, and each SIGINT, as Ctrl-C sends it, is a
/// [`Shutdown::request`]. To be called within a tokio runtime; from then on neither ends the process by itself.
///
/// # Errors
///
/// The system lets nobody listen to signals.
pub fn until_asked_to_stop() -> io::Result<ShutdownSignal> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (shutdown, asked) = shutdown_signal();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            shutdown.request();
        }
    });
    Ok(asked)
}

impl Shutdown {
    /// The first call makes the worker drain: it takes nothing new and ends when its runs have. The second ends the
    /// runs and hands their tasks back. Further ones change nothing.
    pub fn request(&self) {
        self.0
            .send_modify(|told| told.stop = told.stop.saturating_add(1));
    }

    /// The worker ends its runs at once and stops, as if its name were another's: nothing is said of them.
    pub fn kill(&self) {
        self.0.send_modify(|told| told.kill = true);
    }

    /// The worker asks at once whether its runs are to go on, which it would else do at its next heartbeat.
    pub fn ask(&self) {
        self.0
            .send_modify(|told| told.ask = told.ask.wrapping_add(1));
    }

    /// The server can serve again: what waits because it could not is tried at once.
    pub fn try_again(&self) {
        self.0
            .send_modify(|told| told.again = told.again.wrapping_add(1));
    }

    /// The worker takes nothing new and ends when its runs have, however long they take.
    pub fn drain(&self) {
        self.0.send_modify(|told| told.drain = true);
    }
}

impl ShutdownSignal {
    /// Waits for the next request and answers what they come to.
    pub(super) async fn requested(&mut self) -> Told {
        if self.0.changed().await.is_err() {
            // Nobody is left to ask for it.
            std::future::pending::<()>().await;
        }
        *self.0.borrow_and_update()
    }
}
