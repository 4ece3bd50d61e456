//! What is left when the loop or a service of a running server breaks down.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use taskyard_core::command::Command;
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::store::{self, Ran, Store};
use taskyard_engine::error::Error;
use taskyard_engine::upkeep::{Ended, Upkeep};
use taskyard_store::model::Model;
use tokio::time::timeout;

use super::front::{Front, Fronted};
use super::upkeep::keep_up;
use super::yard::{Yard, model};

/// Longer than anything here takes.
const MINUTE: Duration = Duration::from_mins(1);

/// A store with a bug that is met when something is cancelled, or when the sweep looks.
struct Buggy(Model);

#[async_trait]
impl Front for Buggy {
    fn model(&self) -> &Model {
        &self.0
    }

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, store::Error> {
        let cancels = |command: &Command| matches!(command, Command::Cancel(_));
        assert!(!batch.iter().any(cancels), "a bug");
        self.0.run(batch, policy).await
    }

    async fn read(&self, query: Query) -> Result<Answer, store::Error> {
        assert!(!matches!(query, Query::Lost { .. }), "a bug");
        self.0.read(query).await
    }
}

fn yard() -> Yard {
    Yard::around(Arc::new(Fronted(Buggy(model()))))
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_breaks_down_has_ended_and_lets_nobody_wait() {
    let yard = yard();

    let met_it = yard.engine.cancel(yard.engine.new_task()).await;

    assert!(matches!(met_it, Err(Error::Stopping)));
    let ended = timeout(MINUTE, yard.engine.ended()).await;
    ended.expect("whoever watches it hears of it");
    assert!(yard.engine.has_broken_down());
    assert!(matches!(yard.submit("work").await, Err(Error::Stopping)));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_breaks_down_is_named_and_the_others_go_on() {
    let yard = yard();
    let mut services = keep_up(&yard, Upkeep::default()).await;

    let ended = timeout(MINUTE, services.next_ended()).await;

    let sweep = Ended {
        service: "the sweep",
        broke_down: true,
    };
    assert_eq!(ended, Ok(Some(sweep)));
    let next = timeout(MINUTE, services.next_ended()).await;
    assert!(next.is_err(), "{next:?} ended too");
    yard.submit("work").await.unwrap();
}
