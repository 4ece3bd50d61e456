//! Sweeps that join a batch which has not begun, and what is lost of workers' words meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use taskyard_core::command::Command;
use taskyard_core::id::TaskId;
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::status::Status;
use taskyard_core::store::{Close, Error, Ran, Store};
use taskyard_core::verbs::expire::Sight;
use taskyard_core::verbs::submit::Submit;
use taskyard_engine::services::sweep::{self, Swept};
use taskyard_store::model::Model;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use super::front::{Front, Fronted};
use super::yard::{Yard, model_whose_time_passes, settle};

/// A store before which batches wait, one of which fails, and that keeps what a sweep looked for to itself.
struct Trouble {
    model: Model,
    begin: Semaphore,
    fails: AtomicBool,
    fail: Notify,
    keeps: AtomicBool,
    let_go: Notify,
}

#[async_trait]
impl Front for Trouble {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run_open(&self, close: Close, policy: &Policy) -> Result<Ran, Error> {
        self.begin.acquire().await.unwrap().forget();
        let batch: Vec<Command> = close();
        if self.fails.swap(false, Ordering::SeqCst) {
            self.fail.notified().await;
            return Err(Error::Unavailable("the cable".into()));
        }
        self.model.run(batch, policy).await
    }

    async fn read(&self, query: Query) -> Result<Answer, Error> {
        let is_kept = matches!(query, Query::Lost { .. }) && self.keeps.load(Ordering::SeqCst);
        let answer = self.model.read(query).await;
        if is_kept {
            self.let_go.notified().await;
        }
        answer
    }

    fn batches_max(&self) -> usize {
        2
    }
}

/// With the run of a worker that fell silent, and a batch that begins no more.
async fn silent() -> (Yard, Arc<Fronted<Trouble>>, TaskId) {
    let store = Arc::new(Fronted(Trouble {
        model: model_whose_time_passes(),
        begin: Semaphore::new(1_000),
        fails: AtomicBool::new(false),
        fail: Notify::new(),
        keeps: AtomicBool::new(false),
        let_go: Notify::new(),
    }));
    let yard = Yard::around(store.clone());
    yard.worker("w", "work").await;
    let task = yard.submit("work").await.unwrap();
    yard.claim_one("w").await;
    settle().await;
    tokio::time::advance(yard.engine.policy().heartbeat_ttl).await;
    (yard, store, task)
}

fn submitting(yard: &Yard) -> JoinHandle<bool> {
    let (engine, task) = (yard.engine.clone(), yard.task("other"));
    let submit = Submit::of(vec![task]);
    tokio::spawn(async move { engine.submit(submit).await.is_ok() })
}

fn sweeping(yard: &Yard) -> JoinHandle<Swept> {
    let engine = yard.engine.clone();
    let sight = Sight::clear(engine.store().now());
    tokio::spawn(async move { sweep::run_once(&engine, sight).await.unwrap() })
}

/// Whether it took the run away.
async fn took(yard: &Yard, swept: JoinHandle<Swept>, task: TaskId) -> bool {
    let expired = swept.await.unwrap().expired;
    let is_pending = yard.status(task).await == Status::Pending;
    assert_eq!(expired == 1, is_pending);
    is_pending
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_joins_a_batch_spares_the_silent_if_something_was_lost_since_it_looked() {
    for is_lost in [false, true] {
        let (yard, store, task) = silent().await;
        store.keeps.store(true, Ordering::SeqCst);
        let swept = sweeping(&yard);
        settle().await;
        store.fails.store(is_lost, Ordering::SeqCst);
        let fails = submitting(&yard);
        settle().await;
        store.fail.notify_one();
        assert_eq!(fails.await.unwrap(), !is_lost);

        store.begin.forget_permits(usize::MAX);
        let opens = submitting(&yard);
        settle().await;
        store.let_go.notify_one();
        settle().await;
        store.begin.add_permits(1);

        assert!(opens.await.unwrap());
        assert_eq!(took(&yard, swept, task).await, !is_lost);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_in_a_batch_that_waits_spares_the_silent_if_something_is_lost_meanwhile() {
    for is_lost in [false, true] {
        let (yard, store, task) = silent().await;
        store.fails.store(is_lost, Ordering::SeqCst);
        let fails = submitting(&yard);
        settle().await;
        store.begin.forget_permits(usize::MAX);

        let swept = sweeping(&yard);
        settle().await;
        store.fail.notify_one();
        assert_eq!(fails.await.unwrap(), !is_lost);
        settle().await;
        store.begin.add_permits(1);

        assert_eq!(took(&yard, swept, task).await, !is_lost);
    }
}
