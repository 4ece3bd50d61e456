//! A worker that is killed with more in its hands than one command takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use taskyard_core::command::Command;
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::policy::Policy;
use taskyard_core::status::Status;
use taskyard_core::store::{self, Ran, Store};
use taskyard_engine::engine::ClaimCall;
use taskyard_engine::services::STEP_ROWS_MAX;
use taskyard_store::model::Model;

use super::front::{Front, Fronted};
use super::yard::{Yard, claim_call, claimed, model};

/// Looks at what kills are made of.
struct Watched {
    model: Model,
    kills: AtomicUsize,
    runs_max: AtomicUsize,
}

#[async_trait]
impl Front for Watched {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, store::Error> {
        for command in &batch {
            if let Command::Kill(kill) = command {
                self.kills.fetch_add(1, Ordering::SeqCst);
                self.runs_max.fetch_max(kill.runs.len(), Ordering::SeqCst);
            }
        }
        self.model.run(batch, policy).await
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_a_killed_worker_holds_no_command_takes_more_than_a_step() {
    for (held, kills) in [
        (0, 1),
        (STEP_ROWS_MAX, 1),
        (STEP_ROWS_MAX + 1, 2),
        (2 * STEP_ROWS_MAX + 1, 3),
    ] {
        let watched = Arc::new(Fronted(Watched {
            model: model(),
            kills: AtomicUsize::new(0),
            runs_max: AtomicUsize::new(0),
        }));
        let yard = Yard::around(Arc::clone(&watched) as _);
        yard.worker("w", "work").await;
        let tasks = all_held(&yard, held).await;

        let killed = yard.engine.kill(Name::plain("w").unwrap()).await.unwrap();

        assert_eq!(killed.tasks, tasks);
        for task in tasks {
            assert_eq!(yard.status(task).await, Status::Pending);
        }
        assert_eq!(watched.kills.load(Ordering::SeqCst), kills, "{held}");
        assert!(watched.runs_max.load(Ordering::SeqCst) <= STEP_ROWS_MAX);
    }
}

/// So many tasks, which this worker has.
async fn all_held(yard: &Yard, count: usize) -> Vec<TaskId> {
    if count == 0 {
        return Vec::new();
    }
    let mut tasks = yard.submit_many("work", count).await;
    let call = ClaimCall {
        limit: count,
        ..claim_call("w", Duration::ZERO)
    };
    let hand = claimed(&yard.engine, call).await.unwrap();
    assert_eq!(hand.runs.len(), count);
    tasks.sort_unstable();
    tasks
}
