//! A database that somebody holds against the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use taskyard_core::command::Command;
use taskyard_core::policy::Policy;
use taskyard_core::store::{self, Cause, Ran, Store};
use taskyard_store::model::Model;

use super::front::{Front, Fronted};
use super::yard::{Yard, model};

/// A store that waits for a lock again and again: silence, as far as it can tell, until it has waited for long enough.
struct Locked {
    model: Model,
    waits: AtomicBool,
}

#[async_trait]
impl Front for Locked {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run(&self, _batch: Vec<Command>, _policy: &Policy) -> Result<Ran, store::Error> {
        Err(store::Error::Unavailable(Cause::Held.with("a lock")))
    }

    fn trouble(&self) -> Option<store::Error> {
        let waits = self.waits.load(Ordering::SeqCst);
        waits.then(|| store::Error::Unavailable(Cause::Silent.with("it waits")))
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_waited_for_once_more_is_told_of_as_a_lock() {
    let store = Arc::new(Fronted(Locked {
        model: model(),
        waits: AtomicBool::new(true),
    }));
    let yard = Yard::around(Arc::clone(&store) as Arc<dyn Store>);
    let cause = || match yard.engine.trouble() {
        Some(store::Error::Unavailable(away)) => Some(away.cause),
        _ => None,
    };
    assert_eq!(cause(), Some(Cause::Silent), "nobody knows yet");

    yard.submit("work").await.unwrap_err();

    assert_eq!(cause(), Some(Cause::Held));
    store.waits.store(false, Ordering::SeqCst);
    assert_eq!(cause(), Some(Cause::Held));
}
