//! What a claim was dealt and nobody heard of goes back, unless it was told to a later sending of that claim.

use taskyard_core::id::TaskId;
use taskyard_core::refused::Refused;
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::{Claim, Claims, Dealt, Hand, Run};
use taskyard_core::verbs::report::Word;
use taskyard_core::verbs::start::{Start, Started};

use super::claiming::with_priority;
use super::yard::{Yard, ids, report, token};

/// A worker's claim, and what it was dealt of so many tasks.
async fn dealt(yard: &Yard, tasks: usize) -> (Claim, Vec<Run>) {
    for _ in 0..tasks {
        yard.new_task().await;
    }
    let claim = Claim {
        limit: tasks,
        seq: 7,
        ..yard.worker("w").await
    };
    let hand = deal(yard, &claim).await;
    assert!(!hand.is_again);
    let mut runs = hand.runs;
    runs.sort_by_key(|run| run.slot);
    assert_eq!(runs.len(), tasks);
    (claim, runs)
}

async fn deal(yard: &Yard, claim: &Claim) -> Hand {
    let mut hands = yard.deal(vec![claim.clone()]).await;
    hands.remove(0).unwrap()
}

/// The claim as another server takes it, which knows only that it may have been answered.
fn sent_again(claim: &Claim) -> Claim {
    Claim {
        maybe_again: true,
        ..claim.clone()
    }
}

fn tasks(runs: &[Run]) -> Vec<TaskId> {
    let mut tasks = ids(runs);
    tasks.sort_unstable();
    tasks
}

pub(super) async fn what_nobody_heard_of_goes_back_at_no_cost(yard: Yard) {
    let (claim, runs) = dealt(&yard, 1).await;

    let given_back = yard.report(&runs[0], Word::Unheard).await;
    let again = yard.report(&runs[0], Word::Unheard).await;

    assert_eq!(given_back, Ok(Status::Pending));
    assert_eq!(again, Err(Refused::StaleLease));
    let next = deal(&yard, &sent_again(&claim)).await;
    assert!(!next.is_again, "it is dealt anew");
    assert_eq!(tasks(&next.runs), tasks(&runs));
    assert_eq!(next.runs[0].attempt, 1);
    assert!(next.runs[0].fence > runs[0].fence);
    yard.complete(&next.runs[0]).await.unwrap();
    let view = yard.view(next.runs[0].slot.task).await;
    assert_eq!((view.counts().attempts, view.counts().losses), (1, 0));
}

pub(super) async fn what_the_claim_was_told_again_stays_with_its_worker(yard: Yard) {
    let (claim, runs) = dealt(&yard, 2).await;
    let again = deal(&yard, &sent_again(&claim)).await;
    assert!(again.is_again);
    assert_eq!(tasks(&again.runs), tasks(&runs));

    for run in &runs {
        let left = yard.report(run, Word::Unheard).await;
        assert_eq!(left, Ok(Status::Assigned));
    }

    let third = deal(&yard, &sent_again(&claim)).await;
    assert_eq!(tasks(&third.runs), tasks(&runs), "they are told once more");
    for run in &third.runs {
        assert_eq!(yard.complete(run).await, Ok(Status::Completed));
    }
}

pub(super) async fn of_what_a_claim_was_dealt_only_what_it_was_told_again_stays(yard: Yard) {
    let (claim, runs) = dealt(&yard, 3).await;
    let one = Claim {
        limit: 1,
        ..sent_again(&claim)
    };
    let told = deal(&yard, &one).await.runs;
    assert_eq!(told.len(), 1);

    let mut left = Vec::new();
    for run in &runs {
        left.push(yard.report(run, Word::Unheard).await.unwrap());
    }

    let expected = runs.iter().map(|run| {
        if run.slot == told[0].slot {
            Status::Assigned
        } else {
            Status::Pending
        }
    });
    assert_eq!(left, expected.collect::<Vec<_>>());
}

/// Another server took a late copy of it for new, and dealt to it once more.
pub(super) async fn a_claim_is_told_of_the_same_however_often_it_was_dealt_to(yard: Yard) {
    let other = with_priority(&yard, 0).await;
    let told = with_priority(&yard, 1).await;
    assert!(other < told, "by key it would come first");
    let claim = Claim {
        limit: 1,
        seq: 7,
        ..yard.worker("w").await
    };
    assert_eq!(tasks(&deal(&yard, &claim).await.runs), [told]);
    let again = deal(&yard, &sent_again(&claim)).await;
    assert_eq!(tasks(&again.runs), [told]);

    let late = deal(&yard, &claim).await;
    let third = deal(&yard, &sent_again(&claim)).await;

    assert_eq!(tasks(&late.runs), [other]);
    assert_eq!(tasks(&third.runs), [told]);
}

/// It says so itself, whichever server told it.
pub(super) async fn a_worker_hands_back_what_it_was_told_again(yard: Yard) {
    let (claim, _) = dealt(&yard, 1).await;
    let again = deal(&yard, &sent_again(&claim)).await.runs;

    let released = yard.report(&again[0], Word::Released).await;

    assert_eq!(released, Ok(Status::Pending));
}

/// A worker begins a run as soon as it is told of it.
pub(super) async fn what_was_told_again_and_begun_goes_on(yard: Yard) {
    let (claim, runs) = dealt(&yard, 1).await;
    let begun = Claim {
        begin: true,
        ..sent_again(&claim)
    };
    let again = deal(&yard, &begun).await.runs;
    let start = Start {
        token: token(&again[0]),
        started_at: None,
    };
    yard.run::<Started>(start).await.unwrap();

    let left = yard.report(&runs[0], Word::Unheard).await;

    assert_eq!(left, Ok(Status::Running));
    assert_eq!(yard.complete(&again[0]).await, Ok(Status::Completed));
}

pub(super) async fn in_one_batch_what_goes_back_first_is_not_told_again(yard: Yard) {
    let (claim, runs) = dealt(&yard, 1).await;
    let unheard = report(&runs[0], Word::Unheard);
    let claims = Claims {
        claims: vec![sent_again(&claim)],
    };

    let mut replies = yard.batch(vec![unheard.into(), claims.into()]).await;

    let dealt = Dealt::try_from(replies.remove(1).unwrap()).unwrap();
    let hand = dealt.hands[0].as_ref().unwrap().as_ref().unwrap();
    assert!(!hand.is_again);
    assert!(hand.runs.iter().all(|run| run.fence > runs[0].fence));
}
