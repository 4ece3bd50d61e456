//! Commits of which nobody heard what became: what was done is found by what the command was about, and done once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use taskyard_core::refused::Refused;
use taskyard_core::status::Status;
use taskyard_core::store;
use taskyard_core::verbs::cancel::Cancelled;
use taskyard_engine::engine::ClaimCall;
use taskyard_engine::error::Error;

use super::front::Fronted;
use super::trouble::LosesAnAnswer;
use super::yard::{Yard, claim_call, claimed, model};

/// One whose store loses the answer that comes next, once that is asked for.
fn yard() -> (Yard, impl Fn()) {
    let store = Arc::new(Fronted(LosesAnAnswer {
        model: model(),
        armed: AtomicBool::new(false),
    }));
    let yard = Yard::around(store.clone());
    (yard, move || store.armed.store(true, Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn a_report_is_found_by_its_fence() {
    let (yard, lose_the_next) = yard();
    yard.worker("w", "work").await;
    let task = yard.submit("work").await.unwrap();
    let run = yard.claim_one("w").await;

    lose_the_next();
    let reported = yard.complete(&run).await.unwrap();

    assert_eq!(reported.results, [Ok(Status::Completed)]);
    assert_eq!(yard.status(task).await, Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_found_by_its_number_and_one_that_has_none_is_not() {
    let (yard, lose_the_next) = yard();
    yard.worker("w", "work").await;
    let task = yard.submit("work").await.unwrap();
    let unnumbered = claim_call("w", Duration::ZERO);
    let numbered = ClaimCall {
        seq: 7,
        ..unnumbered.clone()
    };

    lose_the_next();
    let dealt = claimed(&yard.engine, numbered).await.unwrap();
    let got: Vec<_> = dealt.runs.iter().map(|run| run.slot.task).collect();
    assert_eq!(got, [task]);

    yard.submit("work").await.unwrap();
    lose_the_next();
    let lost = claimed(&yard.engine, unnumbered).await;
    assert!(
        matches!(lost, Err(Error::Store(store::Error::Unknown(_)))),
        "{lost:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_was_done_is_answered_so_and_said_again_it_is_past() {
    let (yard, lose_the_next) = yard();
    let task = yard.submit("work").await.unwrap();

    lose_the_next();
    assert_eq!(yard.engine.cancel(task).await.unwrap(), Cancelled);

    let again = yard.engine.cancel(task).await;
    assert!(matches!(
        again,
        Err(Error::Refused(Refused::AlreadyEnded(Status::Cancelled)))
    ));
}
