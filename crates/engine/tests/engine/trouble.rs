//! Stores that fail, servers that stop, claims that are sent twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use taskyard_core::command::Command;
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, List, Query};
use taskyard_core::refused::Refused;
use taskyard_core::store::{self, Ran, Store};
use taskyard_engine::engine::ClaimCall;
use taskyard_engine::error::Error;
use taskyard_engine::services::{Steps, promote};
use taskyard_store::model::Model;

use super::front::{Front, Fronted};
use super::yard::{Yard, claim_call, model, settle};

/// A store whose next answer to a batch is lost after the commit.
struct LosesAnAnswer {
    model: Model,
    armed: AtomicBool,
}

#[async_trait]
impl Front for LosesAnAnswer {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, store::Error> {
        let ran = self.model.run(batch, policy).await?;
        if self.armed.swap(false, Ordering::SeqCst) {
            return Err(store::Error::Unknown("the connection broke".to_owned()));
        }
        Ok(ran)
    }
}

#[tokio::test(start_paused = true)]
async fn a_submit_whose_commit_is_unknown_is_found_and_stored_once() {
    let yard = Yard::around(Arc::new(Fronted(LosesAnAnswer {
        model: model(),
        armed: AtomicBool::new(true),
    })));

    let task = yard.submit("work").await.unwrap();

    let Answer::Tasks(listed) = yard
        .engine
        .read(Query::Tasks(List {
            limit: 10,
            ..List::default()
        }))
        .await
        .unwrap()
    else {
        panic!("a query is answered in kind")
    };
    assert_eq!(
        listed
            .items
            .iter()
            .map(|view| view.task.id)
            .collect::<Vec<_>>(),
        [task]
    );
}

/// A store on a full disk: it reads, and takes what changes nothing.
struct Full {
    model: Model,
    is_full: AtomicBool,
}

#[async_trait]
impl Front for Full {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, store::Error> {
        let writes = |command: &Command| !matches!(command, Command::Promote(_));
        if self.is_full.load(Ordering::SeqCst) && batch.iter().any(writes) {
            return Err(store::Error::Full);
        }
        self.model.run(batch, policy).await
    }
}

#[tokio::test(start_paused = true)]
async fn trouble_is_told_until_something_was_written() {
    let store = Arc::new(Fronted(Full {
        model: model(),
        is_full: AtomicBool::new(true),
    }));
    let yard = Yard::around(Arc::clone(&store) as Arc<dyn Store>);
    assert_eq!(yard.engine.trouble(), None);
    yard.submit("work").await.unwrap_err();
    assert_eq!(yard.engine.trouble(), Some(store::Error::Full));

    // What has nothing to write goes well all the while.
    tokio::time::advance(Duration::from_secs(20)).await;
    promote::run_once(&yard.engine, &mut Steps::default())
        .await
        .unwrap();
    assert_eq!(yard.engine.trouble(), Some(store::Error::Full));

    store.is_full.store(false, Ordering::SeqCst);
    yard.submit("work").await.unwrap();
    assert_eq!(yard.engine.trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn trouble_of_long_ago_is_not_told_for_ever() {
    let yard = Yard::around(Arc::new(Fronted(Full {
        model: model(),
        is_full: AtomicBool::new(true),
    })));
    yard.submit("work").await.unwrap_err();

    tokio::time::advance(Policy::default().server_ttl).await;

    assert_eq!(yard.engine.trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn a_claim_sent_again_gets_the_same_runs() {
    let yard = Yard::new();
    yard.worker("w", "work").await;
    yard.submit("work").await.unwrap();
    let call = ClaimCall {
        seq: 1,
        ..claim_call("w", Duration::ZERO)
    };
    let first = yard.engine.claim(call.clone()).await.unwrap();

    let again = yard.engine.claim(call.clone()).await.unwrap();
    let next = yard
        .engine
        .claim(ClaimCall { seq: 2, ..call })
        .await
        .unwrap();

    assert_eq!(again.runs, first.runs);
    assert!(next.runs.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stopping_server_lets_parked_claims_go_and_takes_nothing_new() {
    let yard = Yard::new();
    yard.worker("w", "work").await;
    let engine = yard.engine.clone();
    let claim =
        tokio::spawn(async move { engine.claim(claim_call("w", Duration::from_mins(1))).await });
    settle().await;

    yard.stop.cancel();

    assert!(claim.await.unwrap().unwrap().runs.is_empty());
    assert!(matches!(yard.submit("work").await, Err(Error::Stopping)));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_worker_is_told_so() {
    let yard = Yard::new();

    let claimed = yard.claim("nobody", Duration::ZERO).await;

    assert!(matches!(
        claimed,
        Err(Error::Refused(Refused::NoSuchWorker))
    ));
}
