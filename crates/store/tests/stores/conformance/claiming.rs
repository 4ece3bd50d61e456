//! Who gets what, and in which order.

use std::time::Duration;

use taskyard_core::command::Command;
use taskyard_core::id::TaskId;
use taskyard_core::json::Json;
use taskyard_core::labels::Labels;
use taskyard_core::name::Name;
use taskyard_core::order::Priority;
use taskyard_core::refused::Refused;
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::{Claim, Claims, Dealt};
use taskyard_core::verbs::expire::{Expire, Sight};
use taskyard_core::verbs::promote::Promote;
use taskyard_core::verbs::report::Word;
use taskyard_core::verbs::submit::{Begin, NewTask, Submit};
use taskyard_core::worker::Profile;

use super::losing::suspect_beside;
use super::yard::{Yard, completed, ids, lane, report, stranger};

pub(super) async fn with_priority(yard: &Yard, priority: i64) -> TaskId {
    yard.submit(NewTask {
        priority: Priority::new(priority).unwrap(),
        ..yard.task()
    })
    .await
    .unwrap()
}

pub(super) async fn tasks_go_out_by_priority_then_by_age(yard: Yard) {
    let worker = yard.worker("w").await;
    let first = with_priority(&yard, 0).await;
    let second = with_priority(&yard, 0).await;
    let urgent = with_priority(&yard, 5).await;
    let idle = with_priority(&yard, -5).await;

    assert_eq!(
        ids(&yard.claim(&worker, 10).await),
        [urgent, first, second, idle]
    );
}

pub(super) async fn waiting_is_worth_priority(yard: Yard) {
    let worker = yard.worker("w").await;
    let old = with_priority(&yard, 0).await;
    yard.pass(yard.policy.priority_level + Duration::from_secs(1));
    let urgent = with_priority(&yard, 1).await;
    let more_urgent = with_priority(&yard, 2).await;

    assert_eq!(
        ids(&yard.claim(&worker, 10).await),
        [more_urgent, old, urgent]
    );
}

pub(super) async fn a_claim_gets_no_more_than_it_asks_for(yard: Yard) {
    let worker = yard.worker("w").await;
    for _ in 0..5 {
        yard.new_task().await;
    }

    assert_eq!(yard.claim(&worker, 3).await.len(), 3);
    assert_eq!(yard.claim(&worker, 3).await.len(), 2);
    assert_eq!(yard.claim(&worker, 3).await.len(), 0);
    assert_eq!(yard.claim(&worker, 0).await.len(), 0);
}

pub(super) async fn a_worker_gets_only_kinds_queues_and_demands_it_can_serve(yard: Yard) {
    let lanes = [
        lane("default", "resize", None),
        lane("default", "crop", None),
        lane("night", "resize", None),
        lane("default", "resize", Some(("memory_gb", ">=16"))),
        lane("default", "resize", Some(("memory_gb", ">=64"))),
    ];
    let mut submitted = Vec::new();
    for lane in lanes {
        submitted.push(
            yard.submit(NewTask {
                lane,
                ..yard.task()
            })
            .await
            .unwrap(),
        );
    }
    let kinds = Some(vec![Name::path("resize").unwrap()]);
    let queues = Some(vec![Name::path("default").unwrap()]);
    let profile = Profile::new(kinds, queues, Labels::new([("memory_gb", "32")]).unwrap());

    let worker = yard.worker_with("w", profile).await;

    assert_eq!(
        ids(&yard.claim(&worker, 10).await),
        [submitted[0], submitted[3]]
    );
}

pub(super) async fn claims_of_one_batch_are_dealt_in_turn(yard: Yard) {
    let mut submitted = Vec::new();
    for _ in 0..5 {
        submitted.push(yard.new_task().await);
    }
    let one = yard.worker("one").await;
    let two = yard.worker("two").await;

    let hands = yard
        .deal(vec![Claim { limit: 4, ..one }, Claim { limit: 4, ..two }])
        .await;

    let hands: Vec<_> = hands
        .into_iter()
        .map(|hand| ids(&hand.unwrap().runs))
        .collect();
    assert_eq!(
        hands,
        [
            vec![submitted[0], submitted[2], submitted[4]],
            vec![submitted[1], submitted[3]]
        ]
    );
}

pub(super) async fn lanes_are_merged_in_order(yard: Yard) {
    let worker = yard.worker("w").await;
    let mut submitted = Vec::new();
    for kind in ["a", "b", "c", "a", "c", "b", "a"] {
        submitted.push(
            yard.submit(NewTask {
                lane: lane("default", kind, None),
                ..yard.task()
            })
            .await
            .unwrap(),
        );
        yard.pass(Duration::from_micros(1));
    }

    let mut got = Vec::new();
    for limit in [2, 3, 5] {
        got.extend(ids(&yard.claim(&worker, limit).await));
    }

    assert_eq!(got, submitted);
}

/// Two lanes that are full of old tasks beside many that hold a few: whatever a store looks at first, nobody is passed
/// over. The tasks of a batch are equally old, so their ids decide.
pub(super) async fn many_lanes_keep_one_order_however_they_are_filled(yard: Yard) {
    let worker = yard.worker("w").await;
    let mut submitted = Vec::new();
    for round in 0..3 {
        let full = (0..40).map(|number| number % 2);
        let thin = (0..60).map(|number| 2 + (number * 7 + round) % 60);
        let tasks = full.chain(thin).map(|kind| NewTask {
            lane: lane("default", &format!("kind-{kind}"), None),
            ..yard.task()
        });
        submitted.extend_from_slice(&yard.submit_all(tasks.collect()).await.unwrap().ids);
        yard.pass(Duration::from_micros(1));
    }

    let mut got = Vec::new();
    for limit in [1, 7, 13, 64, 3, 100, 25, 200] {
        got.extend(ids(&yard.claim(&worker, limit).await));
        if limit == 64 {
            yard.store.unsure(None);
        }
    }

    assert_eq!(got, submitted);
    assert_eq!(yard.claim(&worker, 1).await.len(), 0);
}

pub(super) async fn a_submit_that_meets_a_claim_goes_straight_to_a_lease(yard: Yard) {
    let worker = yard.worker("w").await;
    let task = yard.task();
    let submit: Command = Submit::of(vec![task.clone()]).into();
    let claim: Command = Claims {
        claims: vec![worker],
    }
    .into();

    let mut replies = yard.batch(vec![submit, claim]).await;

    let dealt = Dealt::try_from(replies.remove(1).unwrap()).unwrap();
    let runs = &dealt.hands[0].as_ref().unwrap().as_ref().unwrap().runs;
    assert_eq!(
        (ids(runs), runs[0].input.as_ref()),
        (vec![task.id], Some(&task.input))
    );
    assert_eq!(yard.status(task.id).await, Status::Assigned);
}

/// The sweep loads the task without it.
pub(super) async fn what_is_lost_and_given_out_in_one_batch_comes_with_its_input(yard: Yard) {
    let (gone, here) = (yard.worker("gone").await, yard.worker("here").await);
    let task = yard.task();
    yard.submit(task.clone()).await.unwrap();
    let lost = yard.claim_one(&gone).await;
    yard.pass(yard.policy.heartbeat_ttl);
    yard.heartbeat(&here, Vec::new()).await.unwrap();
    let expire = Expire {
        runs: vec![(lost.slot.run(lost.fence), Some(gone.worker))],
        sight: Sight::clear(yard.now()),
    };
    let claims = vec![here];

    let mut replies = yard
        .batch(vec![expire.into(), Claims { claims }.into()])
        .await;

    let dealt = Dealt::try_from(replies.remove(1).unwrap()).unwrap();
    let runs = &dealt.hands[0].as_ref().unwrap().as_ref().unwrap().runs;
    assert_eq!(
        (ids(runs), runs[0].input.as_ref()),
        (vec![task.id], Some(&task.input))
    );
}

pub(super) async fn a_slot_promoted_in_a_claims_own_batch_lets_it_look_again(yard: Yard) {
    let worker = yard.worker("w").await;
    let wait = Duration::from_secs(5);
    let later = yard
        .submit(NewTask {
            begin: Begin::After(wait),
            ..yard.task()
        })
        .await
        .unwrap();
    yard.pass(wait);
    let claims = Claims {
        claims: vec![worker.clone()],
    };

    let mut replies = yard
        .batch(vec![Promote { limit: 1, skip: 0 }.into(), claims.into()])
        .await;

    let dealt = Dealt::try_from(replies.remove(1).unwrap()).unwrap();
    let hand = dealt.hands[0].as_ref().unwrap().as_ref().unwrap();
    assert!(hand.runs.is_empty() && !hand.dry, "it is not to wait");
    assert_eq!(ids(&yard.claim(&worker, 1).await), [later]);
}

pub(super) async fn an_empty_claim_is_dry_and_a_full_one_is_not(yard: Yard) {
    let worker = yard.worker("w").await;
    assert!(yard.hand(&worker, 2).await.unwrap().dry);

    for _ in 0..4 {
        yard.new_task().await;
    }

    assert!(!yard.hand(&worker, 2).await.unwrap().dry);
    assert!(yard.hand(&worker, 3).await.unwrap().dry);
}

pub(super) async fn inputs_of_a_claim_stop_at_their_limit(mut yard: Yard) {
    yard.policy.claim_bytes_max = 1000;
    let worker = yard.worker("w").await;
    let sized = |len: usize| Json::stored(format!("\"{}\"", "x".repeat(len - 2)));
    for len in [2000, 600, 400, 10] {
        yard.submit(NewTask {
            input: sized(len),
            ..yard.task()
        })
        .await
        .unwrap();
        yard.pass(Duration::from_micros(1));
    }

    let lens = |runs: Vec<taskyard_core::verbs::claim::Run>| -> Vec<usize> {
        runs.iter()
            .map(|run| run.input.as_ref().expect("every run has its input").len())
            .collect()
    };

    assert_eq!(lens(yard.claim(&worker, 10).await), [2000]);
    assert_eq!(lens(yard.claim(&worker, 10).await), [600, 400]);
    assert_eq!(lens(yard.claim(&worker, 10).await), [10]);
}

/// Its repetition looks again, and is told the same then.
pub(super) async fn a_claim_that_stands_twice_in_one_batch_is_dealt_to_once(yard: Yard) {
    let first = yard.new_task().await;
    yard.new_task().await;
    let claim = Claim {
        seq: 7,
        ..yard.worker("w").await
    };

    let hands = yard.deal(vec![claim.clone(), claim]).await;

    let [Ok(dealt), Ok(repetition)] = &hands[..] else {
        panic!("both are answered: {hands:?}")
    };
    assert_eq!(ids(&dealt.runs), [first]);
    assert!(repetition.runs.is_empty() && !repetition.dry);
}

pub(super) async fn a_claim_sent_twice_is_answered_with_the_same_leases(yard: Yard) {
    for _ in 0..4 {
        yard.new_task().await;
    }
    let worker = yard.worker("w").await;
    let claim = Claim {
        limit: 2,
        seq: 7,
        ..worker
    };
    let first = yard.deal(vec![claim.clone()]).await.remove(0).unwrap();

    let again = yard
        .deal(vec![Claim {
            maybe_again: true,
            ..claim.clone()
        }])
        .await
        .remove(0)
        .unwrap();
    let next = yard
        .deal(vec![Claim {
            seq: 8,
            maybe_again: true,
            ..claim
        }])
        .await
        .remove(0)
        .unwrap();

    let by_slot = |mut runs: Vec<taskyard_core::verbs::claim::Run>| {
        runs.sort_by_key(|run| run.slot);
        runs
    };
    assert_eq!(by_slot(again.runs), by_slot(first.runs));
    assert_eq!(next.runs.len(), 2);
    assert_eq!(yard.count().await, 4);
}

pub(super) async fn a_claim_sent_twice_is_answered_without_what_was_reported_beside_it(yard: Yard) {
    let worker = yard.worker("w").await;
    for _ in 0..3 {
        yard.new_task().await;
    }
    let claim = Claim {
        limit: 3,
        seq: 1,
        ..worker
    };
    let first = yard.deal(vec![claim.clone()]).await.remove(0).unwrap();
    let again = Claim {
        limit: 2,
        maybe_again: true,
        ..claim
    };
    let report = report(&first.runs[0], completed());

    let claims = vec![again];
    let mut replies = yard
        .batch(vec![report.into(), Claims { claims }.into()])
        .await;

    let dealt = Dealt::try_from(replies.remove(1).unwrap()).unwrap();
    let runs = &dealt.hands[0].as_ref().unwrap().as_ref().unwrap().runs;
    assert_eq!(ids(runs), ids(&first.runs[1..]));
}

/// Each counts its claims from 1.
pub(super) async fn the_first_claim_of_a_new_process_is_not_answered_with_what_the_older_one_held(
    yard: Yard,
) {
    yard.new_task().await;
    let second = yard.new_task().await;
    let first_claim = |worker: Claim| Claim {
        seq: 1,
        maybe_again: true,
        ..worker
    };
    let older = first_claim(yard.worker("w").await);
    yard.claim_one(&older).await;

    let newer = first_claim(yard.worker("w").await);

    assert_eq!(ids(&yard.claim(&newer, 1).await), [second]);
}

pub(super) async fn a_replaced_worker_claims_nothing(yard: Yard) {
    yard.new_task().await;
    let older = yard.worker("w").await;
    yard.worker("w").await;

    assert_eq!(yard.hand(&older, 1).await, Err(Refused::WorkerReplaced));
}

pub(super) async fn an_unknown_worker_claims_nothing(yard: Yard) {
    let task = yard.new_task().await;
    let known = yard.worker("w").await;

    let hands = yard.deal(vec![stranger(&known), known]).await;

    assert_eq!(hands[0], Err(Refused::NoSuchWorker));
    assert_eq!(ids(&hands[1].as_ref().unwrap().runs), [task]);
}

pub(super) async fn a_worker_that_was_kept_for_a_suspect_is_not_kept_whenever_that_waits(
    yard: Yard,
) {
    yard.new_task().await;
    let busy = yard.worker("busy").await;
    let long_run = yard.claim_one(&busy).await;
    let suspect = suspect_beside(&yard, &busy, &long_run).await;
    yard.pass(yard.policy.suspect_patience);
    assert!(yard.claim(&busy, 1).await.is_empty());
    let other = yard.worker("other").await;
    let run = yard.claim_one(&other).await;
    assert_eq!(run.slot.task, suspect);
    assert!(yard.claim(&busy, 1).await.is_empty());

    // It has not waited long this time.
    yard.report(&run, Word::Released).await.unwrap();
    let task = yard.new_task().await;

    assert_eq!(ids(&yard.claim(&busy, 1).await), [task]);
}
