//! Lists and counts take turns, so that what reads little does not stand behind them.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;
use futures_util::poll;
use serde_json::json;
use taskyard_core::command::Command;
use taskyard_core::lane::{Lane, Lanes};
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::store::{Error, Ran, Store};
use taskyard_core::time::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::wire::PATIENCE;
use crate::yard::{Clock, Yard, in_memory};

/// A store with a few readers, whose lists take as long as they are told.
struct Slow {
    store: Arc<dyn Store>,
    readers: Semaphore,
    lists: AtomicUsize,
    go_on: Semaphore,
}

#[async_trait]
impl Store for Slow {
    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, Error> {
        self.store.run(batch, policy).await
    }

    async fn read(&self, query: Query) -> Result<Answer, Error> {
        let _reader = self.readers.acquire().await.unwrap();
        if matches!(
            query,
            Query::Tasks(_) | Query::Attempts { .. } | Query::Sums { .. } | Query::Workers { .. }
        ) {
            self.lists.fetch_add(1, Ordering::SeqCst);
            self.go_on.acquire().await.unwrap().forget();
        }
        self.store.read(query).await
    }

    fn now(&self) -> Timestamp {
        self.store.now()
    }

    fn incarnation(&self) -> [u8; 16] {
        self.store.incarnation()
    }

    fn lanes(&self) -> Arc<Lanes> {
        self.store.lanes()
    }

    fn unsure(&self, lane: Option<Lane>) {
        self.store.unsure(lane);
    }
}

#[tokio::test]
async fn a_dry_run_lets_others_have_their_turn_between_its_pages() {
    let clock = Clock::new();
    let slow = Arc::new(Slow {
        store: in_memory(&clock),
        readers: Semaphore::new(4),
        lists: AtomicUsize::new(0),
        go_on: Semaphore::new(0),
    });
    let yard = Yard::around(Arc::clone(&slow) as _, clock, |settings| {
        settings.limits.lists_max = 1;
        settings.limits.list_look_at_max = 1;
    });
    for _ in 0..5 {
        yard.submit("echo").await;
    }
    let body = json!({"all": true, "dry_run": true});
    let mut dry_run = pin!(yard.post("/api/v1/tasks/cancel", &body));
    let mut stats = pin!(yard.get("/api/v1/tasks/stats"));
    while slow.lists.load(Ordering::SeqCst) < 1 {
        assert!(poll!(&mut dry_run).is_pending());
        tokio::task::yield_now().await;
    }
    // It comes as far as to wait for its turn.
    for _ in 0..20 {
        assert!(poll!(&mut stats).is_pending());
        tokio::task::yield_now().await;
    }

    // For the first page, and for the next one whose turn it is.
    slow.go_on.add_permits(2);
    let counted = async {
        tokio::select! {
            _ = &mut dry_run => panic!("it has more pages to read"),
            reply = &mut stats => reply.ok(),
        }
    };
    timeout(PATIENCE, counted).await.expect("it has its turn");

    slow.go_on.add_permits(16);
    let counted = dry_run.await.ok();
    assert_eq!(counted, json!({"matched": 5, "at_least": false}));
}

#[tokio::test]
async fn a_single_task_and_a_probe_are_answered_while_lists_are_read() {
    for (readers, lists_max) in [(2, 1), (4, 2), (4, 3)] {
        let clock = Clock::new();
        let slow = Arc::new(Slow {
            store: in_memory(&clock),
            readers: Semaphore::new(readers),
            lists: AtomicUsize::new(0),
            go_on: Semaphore::new(0),
        });
        let yard = Yard::around(Arc::clone(&slow) as _, clock, |settings| {
            settings.limits.lists_max = lists_max;
        });
        let id = yard.submit("echo").await;
        let attempts = format!("/api/v1/tasks/{id}/attempts");
        let (stats, workers) = ("/api/v1/tasks/stats", "/api/v1/workers");
        let paths = ["/api/v1/tasks", &attempts, stats, workers].repeat(4);
        let lists = join_all(paths.into_iter().map(|path| yard.get(path)));
        let mut lists = pin!(lists);

        let looks = async {
            // Whoever reads attempts looks at the task first.
            while slow.lists.load(Ordering::SeqCst) < lists_max {
                tokio::task::yield_now().await;
            }
            assert_eq!(yard.status(&id).await, "pending");
            yard.get("/health").await.ok();
        };
        let looked = async {
            tokio::select! {
                _ = &mut lists => panic!("nobody let them go on"),
                () = looks => {}
            }
        };
        timeout(PATIENCE, looked).await.expect("there is a reader");
        assert_eq!(slow.lists.load(Ordering::SeqCst), lists_max);

        slow.go_on.add_permits(16);
        for reply in lists.await {
            reply.ok();
        }
    }
}
