//! Claims that got nothing but what is damaged, and look again in its place.

use std::time::Duration;

use taskyard_core::json::Json;
use taskyard_core::verbs::claim::Hand;
use taskyard_core::verbs::submit::{NewTask, Submit};
use taskyard_engine::engine::{ClaimCall, Claimed, Told};

use crate::yard::{Yard, claim_call, claimed, settle};

const MINUTE: Duration = Duration::from_secs(60);

fn call(seq: i64) -> ClaimCall {
    ClaimCall {
        seq,
        ..claim_call("w", MINUTE)
    }
}

/// As whoever writes answers finds out.
fn written(hand: &Hand) -> Result<(), ()> {
    let mut inputs = hand.runs.iter().map(|run| run.input.as_ref().unwrap());
    inputs.all(Json::is_whole).then_some(()).ok_or(())
}

/// What the claim with this number got: a task that is damaged, and has failed.
async fn all_ended(yard: &Yard, seq: i64) -> Claimed {
    yard.worker("w", "echo").await;
    let task = NewTask {
        input: Json::stored("{"),
        ..yard.task("echo")
    };
    yard.engine.submit(Submit::of(vec![task])).await.unwrap();
    let claimed = yard.engine.claim(call(seq)).await.unwrap();
    match claimed.tell_as(written).await {
        Ok(Told::AllEnded(claimed)) => claimed,
        _ => panic!("it was damaged, and could be ended"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_got_only_damaged_tasks_waits_for_others_and_its_repetition_gets_the_same() {
    for seq in [0, 1] {
        let yard = Yard::new();
        let before = all_ended(&yard, seq).await;
        let call = call(seq);

        let claiming = yard.engine.claim_instead(&call, before);
        let submitting = async {
            settle().await;
            yard.submit("echo").await.unwrap()
        };
        let (second, task) = tokio::join!(claiming, submitting);

        let second = second.unwrap().tell();
        assert_eq!(second.runs[0].slot.task, task);
        if seq != 0 {
            let again = claimed(&yard.engine, call).await.unwrap();
            assert_eq!(again.runs, second.runs);
            assert!(again.is_again);
        }
    }
}

/// Else whoever hung up long ago would take the place of the one that waits.
#[tokio::test(start_paused = true)]
async fn a_claim_that_was_sent_again_meanwhile_leaves_what_comes_to_its_repetition() {
    let yard = Yard::new();
    let before = all_ended(&yard, 1).await;
    let engine = yard.engine.clone();
    let repetition = tokio::spawn(async move { claimed(&engine, call(1)).await });
    settle().await;

    let late = yard.engine.claim_instead(&call(1), before).await.unwrap();

    assert_eq!(late.tell().runs, []);
    assert!(!repetition.is_finished());
    let task = yard.submit("echo").await.unwrap();
    let hand = repetition.await.unwrap().unwrap();
    assert_eq!(hand.runs[0].slot.task, task);
}
