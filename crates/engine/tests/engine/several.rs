//! Servers that share a database: what one does, those who wait at another hear of.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use taskyard_core::command::Command;
use taskyard_core::name::Name;
use taskyard_core::policy::Policy;
use taskyard_core::refused::Refused;
use taskyard_core::status::Status;
use taskyard_core::store::{self, Ran, Store};
use taskyard_core::verbs::report::Report;
use taskyard_engine::engine::ClaimCall;
use taskyard_engine::error::Error;
use taskyard_store::model::Model;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::front::{Front, Fronted};
use super::yard::{Yard, claim_call, claimed, model, model_whose_time_passes, settle, take_time};

const MINUTE: Duration = Duration::from_mins(1);

/// Two servers on one database.
fn two() -> (Yard, Yard) {
    let store = Arc::new(model());
    (Yard::around(store.clone()), Yard::around(store))
}

#[tokio::test(start_paused = true)]
async fn a_reader_hears_of_an_end_at_another_server_once_that_is_looked_for() {
    let (here, there) = two();
    there.worker("w", "work").await;
    let task = there.submit("work").await.unwrap();
    let engine = here.engine.clone();
    let started = Instant::now();
    let reader = tokio::spawn(async move { engine.task(task, MINUTE).await });
    let run = there.claim_one("w").await;
    here.engine.look_again().await.unwrap();
    settle().await;
    assert!(!reader.is_finished(), "it has not ended yet");

    there.complete(&run).await.unwrap();
    here.engine.look_again().await.unwrap();

    assert_eq!(reader.await.unwrap().unwrap().status(), Status::Completed);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_came_back_through_another_server_gets_what_it_serves_now() {
    let (here, there) = two();
    let older = here.worker("w", "old").await;
    let newer = there.worker("w", "new").await;
    here.submit("old").await.unwrap();
    let task = here.submit("new").await.unwrap();
    let call = |epoch| ClaimCall {
        epoch: Some(epoch),
        ..claim_call("w", Duration::ZERO)
    };

    let hand = claimed(&here.engine, call(newer)).await.unwrap();

    let tasks = hand.runs.iter().map(|run| run.slot.task);
    assert_eq!(tasks.collect::<Vec<_>>(), [task]);
    assert!(matches!(
        claimed(&here.engine, call(older)).await,
        Err(Error::Refused(Refused::WorkerReplaced))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_replaced_does_not_keep_its_successor_alive() {
    let store = Arc::new(model_whose_time_passes());
    let (here, there) = (Yard::around(store.clone()), Yard::around(store));
    // Where it is known, and where its successor is.
    let replaced = here.worker("w", "work").await;
    here.claim("w", Duration::ZERO).await.unwrap();
    there.worker("w", "work").await;
    let expires_at = there.worker_row("w").await.expires_at;
    tokio::time::advance(here.engine.policy().heartbeat_ttl / 2).await;

    for yard in [&here, &there] {
        let report = Report {
            worker: Some((Name::plain("w").unwrap(), Some(replaced))),
            results: [].into(),
        };
        let told = yard.engine.report(report).await;
        assert!(matches!(told, Err(Error::Refused(Refused::WorkerReplaced))));
    }
    let waits = ClaimCall {
        epoch: Some(replaced),
        ..claim_call("w", MINUTE)
    };
    assert!(claimed(&here.engine, waits).await.is_err());
    settle().await;

    assert_eq!(there.worker_row("w").await.expires_at, expires_at);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_open_keeps_only_its_own_process_alive() {
    let store = Arc::new(model_whose_time_passes());
    let (here, there) = (Yard::around(store.clone()), Yard::around(store));
    here.worker("w", "work").await;
    let engine = here.engine.clone();
    let open = tokio::spawn(async move { claimed(&engine, claim_call("w", MINUTE)).await });
    settle().await;
    there.worker("w", "work").await;
    let expires_at = there.worker_row("w").await.expires_at;

    open.await.unwrap().unwrap();

    assert_eq!(there.worker_row("w").await.expires_at, expires_at);
}

/// A worker whose claims both servers have answered, and what it asks next.
async fn known_to_both(here: &Yard, there: &Yard) -> ClaimCall {
    let epoch = here.worker("w", "work").await;
    let call = |seq| ClaimCall {
        epoch: Some(epoch),
        seq,
        ..claim_call("w", Duration::ZERO)
    };
    for (yard, seq) in [(here, 1), (there, 2)] {
        let hand = claimed(&yard.engine, call(seq)).await.unwrap();
        assert!(hand.runs.is_empty());
    }
    call(3)
}

fn again(call: &ClaimCall) -> ClaimCall {
    ClaimCall {
        again: true,
        ..call.clone()
    }
}

/// As where one server dies before its answer is out.
#[tokio::test(start_paused = true)]
async fn what_one_server_dealt_another_tells_a_claim_that_says_it_was_sent_again() {
    let (here, there) = two();
    let call = known_to_both(&here, &there).await;
    here.submit("work").await.unwrap();
    let dealt = claimed(&here.engine, call.clone()).await.unwrap();
    assert_eq!(dealt.runs.len(), 1);

    // The numbers before went to this server, so it takes the claim for new unless it is told.
    let as_new = claimed(&there.engine, call.clone()).await.unwrap();
    let told = claimed(&there.engine, again(&call)).await.unwrap();

    assert!(as_new.runs.is_empty());
    assert_eq!(told.runs, dealt.runs);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_heard_of_here_stays_with_the_worker_that_was_told_there() {
    for is_told_there in [true, false] {
        let (here, there) = two();
        let call = known_to_both(&here, &there).await;
        let task = here.submit("work").await.unwrap();
        let unheard = here.engine.claim(call.clone()).await.unwrap();
        let mut told = None;
        if is_told_there {
            told = Some(claimed(&there.engine, again(&call)).await.unwrap());
        }

        drop(unheard);
        settle().await;

        let expected = if is_told_there {
            Status::Assigned
        } else {
            Status::Pending
        };
        assert_eq!(there.status(task).await, expected);
        if let Some(hand) = told {
            there.complete(&hand.runs[0]).await.unwrap();
            assert_eq!(here.status(task).await, Status::Completed);
        }
    }
}

/// A store that notes how many claims each batch tried.
struct Counts {
    model: Arc<Model>,
    claims: Mutex<Vec<usize>>,
}

#[async_trait]
impl Front for Counts {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, store::Error> {
        let claims = batch.iter().map(|command| match command {
            Command::Claims(claims) => claims.claims.len(),
            _ => 0,
        });
        let claims: usize = claims.sum();
        if claims > 0 {
            self.claims.lock().push(claims);
        }
        self.model.run(batch, policy).await
    }
}

#[tokio::test(start_paused = true)]
async fn of_workers_that_are_alike_one_looks_for_what_another_server_made_ready() {
    let model = Arc::new(model());
    let store = Arc::new(Fronted(Counts {
        model: model.clone(),
        claims: Mutex::default(),
    }));
    let (here, there) = (Yard::around(store.clone()), Yard::around(model));
    let mut claims = JoinSet::new();
    for number in 0..20 {
        let (kind, name) = (["crop", "resize"][number % 2], format!("w{number}"));
        here.worker(&name, kind).await;
        let engine = here.engine.clone();
        let call = ClaimCall {
            limit: 1,
            ..claim_call(&name, MINUTE)
        };
        claims.spawn(async move { claimed(&engine, call).await.unwrap() });
        settle().await;
    }
    take_time().await;
    store.claims.lock().clear();

    here.engine.look_again().await.unwrap();
    settle().await;
    assert_eq!(*store.claims.lock(), [2], "one of each kind");

    store.claims.lock().clear();
    there.submit_many("resize", 8).await;
    here.engine.look_again().await.unwrap();
    settle().await;

    let mut dealt = 0;
    while let Some(hand) = claims.try_join_next() {
        dealt += hand.unwrap().runs.len();
    }
    assert_eq!(dealt, 8);
    let looked = store.claims.lock().clone();
    assert_eq!(
        looked[..3],
        [2, 2, 4],
        "each that leaves something sends two more"
    );
    assert_eq!(claims.len(), 12, "the others wait on");
}
