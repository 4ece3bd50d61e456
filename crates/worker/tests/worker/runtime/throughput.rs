//! What short tasks cost, counted in calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use taskyard_api::client;
use taskyard_api::logs::{AppendLogs, AppendedLogs};
use taskyard_api::report::{Report, Reported};
use taskyard_api::run::{Start, Started};
use taskyard_api::worker::{Claim, Claimed, Heard, Heartbeat, Register, Registered};
use taskyard_core::id::TaskId;
use taskyard_core::random::Seeded;
use taskyard_worker::executor::Executors;
use taskyard_worker::executors::Noop;
use taskyard_worker::runtime::{Settings, Shutdown, Worker, shutdown_signal};
use taskyard_worker::transport::Transport;

use super::post::{NOW, claimed, heard, noops, registered, taken};

const TASKS: u64 = 100_000;

/// Has so many tasks to do and stops the worker when it has the results.
struct Plenty {
    given: AtomicU64,
    reported: AtomicU64,
    calls: AtomicU64,
    stop: Shutdown,
}

impl Plenty {
    fn deal(&self, claim: &Claim) -> Vec<taskyard_api::worker::Run> {
        let from = self.given.load(Ordering::Relaxed);
        let to = TASKS.min(from + u64::from(claim.limit));
        self.given.store(to, Ordering::Relaxed);
        noops(from..to)
    }
}

#[async_trait::async_trait]
impl Transport for Plenty {
    async fn register(&self, _: &Register) -> Result<Registered, client::Error> {
        Ok(registered(1))
    }

    async fn claim(&self, _: &str, claim: &Claim) -> Result<Claimed, client::Error> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        Ok(claimed(self.deal(claim)))
    }

    async fn report(&self, _: &str, report: &Report) -> Result<Reported, client::Error> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        let tasks = report.claim.as_ref().map(|claim| self.deal(claim));
        let count = report.results.len() as u64;
        if self.reported.fetch_add(count, Ordering::Relaxed) + count == TASKS {
            self.stop.request();
        }
        Ok(taken(report, tasks.unwrap_or_default()))
    }

    async fn heartbeat(&self, _: &str, _: &Heartbeat) -> Result<Heard, client::Error> {
        Ok(heard())
    }

    async fn start(&self, _: TaskId, _: &Start) -> Result<Started, client::Error> {
        panic!("no run lasts long enough to be told of")
    }

    async fn append_logs(&self, _: TaskId, _: &AppendLogs) -> Result<AppendedLogs, client::Error> {
        panic!("no run prints anything")
    }
}

#[tokio::test]
async fn a_hundred_thousand_short_tasks_take_under_a_thousand_calls() {
    let (stop, signal) = shutdown_signal();
    let server = Arc::new(Plenty {
        given: AtomicU64::new(0),
        reported: AtomicU64::new(0),
        calls: AtomicU64::new(0),
        stop,
    });
    let worker = Worker {
        settings: Settings {
            concurrency: 500,
            ..Settings::named("w")
        },
        executors: Executors::default().with(Noop),
        transport: Arc::clone(&server) as _,
        clock: Arc::new(|| NOW),
        random: Box::new(Seeded::new(1)),
    };

    let summary = worker.run(signal).await.unwrap();

    assert_eq!(summary.completed, TASKS);
    let calls = server.calls.load(Ordering::Relaxed);
    assert!(calls < 1000, "{calls} calls");
}
