//! Work within this process on a runtime as a server has it, apart from the load's own of one thread.

use std::future::Future;
use std::thread::{self, JoinHandle};

use anyhow::Context as _;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::commands::{self, Cores};

/// Whoever waits for the work and is dropped ends it, and goes when all that it began is gone: its files may be removed
/// then.
struct Apart {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // Of a panic the log has told.
            let _ = thread.join();
        }
    }
}

pub(super) async fn apart<T, W, F>(work: W) -> anyhow::Result<T>
where
    T: Send + 'static,
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = anyhow::Result<T>>,
{
    let (tell, told) = oneshot::channel();
    let stop = CancellationToken::new();
    let asked = stop.clone();
    let thread = thread::Builder::new().name("bench".to_owned());
    let thread = thread.spawn(move || {
        let done = block_on(asked.run_until_cancelled(work()));
        // Nobody waits where it was dropped.
        let _ = tell.send(done);
    })?;
    let _apart = Apart {
        stop,
        thread: Some(thread),
    };
    let done = told.await.context("the work has broken down")??;
    done.context("the work was stopped")?
}

/// With the runtime goes what the work began there and left.
fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    Ok(commands::runtime(Cores::BesideDatabase)?.block_on(work))
}
