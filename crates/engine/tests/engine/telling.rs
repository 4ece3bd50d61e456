//! What is left in the log of what an operator has to know.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use taskyard_engine::upkeep::Upkeep;
use tracing::Level;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use super::front::Fronted;
use super::trouble::Full;
use super::upkeep::keep_up;
use super::yard::{Yard, model_whose_time_passes, settle};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// The lines of this thread at level info and above.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .with_max_level(Level::INFO)
            .with_writer(log.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// Those since it was asked last.
    fn lines(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock());
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_has_one_line_when_it_refuses_and_one_when_it_takes_again() {
    let store = Arc::new(Fronted(Full {
        model: model_whose_time_passes(),
        is_full: AtomicBool::new(false),
    }));
    let yard = Yard::around(store.clone());
    let _services = keep_up(&yard, Upkeep::default()).await;
    yard.submit("work").await.unwrap();
    let (log, _guard) = Log::start();

    store.is_full.store(true, Ordering::SeqCst);
    tokio::time::sleep(10 * MINUTE).await;
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(
        lines[0].starts_with("ERROR the database takes no writes"),
        "{lines:?}"
    );
    assert!(
        lines[0].contains("the disk that holds the database is full"),
        "{lines:?}"
    );

    store.is_full.store(false, Ordering::SeqCst);
    tokio::time::sleep(10 * MINUTE).await;
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(
        lines[0].starts_with("INFO the database takes writes again"),
        "{lines:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_falls_silent_has_a_line_and_its_return_another() {
    let yard = Yard::around(Arc::new(model_whose_time_passes()));
    let _services = keep_up(&yard, Upkeep::default()).await;
    // Silence counts by now.
    tokio::time::sleep(MINUTE).await;
    let (log, _guard) = Log::start();
    yard.worker("w", "work").await;
    yard.submit("work").await.unwrap();
    let run = yard.begin_one("w").await;

    tokio::time::sleep(MINUTE).await;

    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let said =
        "WARN a worker gave no sign of life: its runs go to others worker=w silent_s=30 runs=1";
    assert_eq!(lines[0], said);

    yard.heartbeat("w", &run).await;
    yard.claim("w", SECOND).await.unwrap();
    settle().await;
    assert_eq!(
        log.lines(),
        ["INFO a worker is back that gave no sign of life worker=w"]
    );
}
