//! Queues that are paused, and what their tasks take that do not say themselves.

use std::time::Duration;

use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::query::Query;
use taskyard_core::queue::{Defaults, Queue};
use taskyard_core::refused::Refused;
use taskyard_core::retry::Retry;
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::{Claims, Dealt};
use taskyard_core::verbs::set_queue::{QueueSet, SetQueue};
use taskyard_core::verbs::submit::NewTask;

use super::losing::suspect_beside;
use super::yard::{Yard, ids, lane};

fn name(queue: &str) -> Name {
    Name::path(queue).unwrap()
}

fn paused(queue: &str, paused: bool) -> SetQueue {
    SetQueue {
        paused: Some(paused),
        ..SetQueue::of(name(queue))
    }
}

async fn set(yard: &Yard, change: SetQueue) -> Queue {
    let QueueSet(queue) = yard.run(change).await.unwrap();
    queue
}

async fn submit(yard: &Yard, queue: &str) -> TaskId {
    let task = NewTask {
        lane: lane(queue, "work", None),
        ..yard.task()
    };
    yard.submit(task).await.unwrap()
}

async fn queues(yard: &Yard) -> Vec<Queue> {
    yard.store.read(Query::Queues).await.unwrap().queues()
}

pub(super) async fn nothing_of_a_paused_queue_is_given_out(yard: Yard) {
    let worker = yard.worker("w").await;
    let paused_tasks = [submit(&yard, "slow").await, submit(&yard, "slow").await];
    let other = submit(&yard, "fast").await;
    let queue = set(&yard, paused("slow", true)).await;
    assert!(queue.is_paused);

    // They stand before the other, and keep nobody from it.
    let run = yard.claim_one(&worker).await;
    assert_eq!(run.slot.task, other);
    assert!(yard.claim(&worker, 5).await.is_empty());
    submit(&yard, "slow").await;
    assert!(yard.claim(&worker, 5).await.is_empty());

    let queue = set(&yard, paused("slow", false)).await;
    assert!(!queue.is_paused);
    let given = yard.claim(&worker, 5).await;
    let given: Vec<TaskId> = given.iter().map(|run| run.slot.task).collect();
    assert_eq!(given[..2], paused_tasks);
    assert_eq!(given.len(), 3);
}

pub(super) async fn a_pause_counts_for_the_claims_behind_it_in_its_batch(yard: Yard) {
    let worker = yard.worker("w").await;
    submit(&yard, "slow").await;
    let other = submit(&yard, "fast").await;
    let mut claim = worker.clone();
    claim.limit = 5;

    let claims = Claims {
        claims: vec![claim],
    };
    let batch = vec![paused("slow", true).into(), claims.into()];
    let done = yard.batch(batch).await.pop().unwrap().unwrap();
    let dealt: Dealt = done.try_into().unwrap();

    let hand = dealt.hands[0].clone().unwrap().unwrap();
    let given: Vec<TaskId> = hand.runs.iter().map(|run| run.slot.task).collect();
    assert_eq!(given, [other]);
}

pub(super) async fn a_claim_beside_the_end_of_a_pause_looks_again(yard: Yard) {
    let worker = yard.worker("w").await;
    submit(&yard, "slow").await;
    set(&yard, paused("slow", true)).await;
    assert!(yard.claim(&worker, 5).await.is_empty());

    // It passes the lane over that it knows to be paused, and nobody tells it of the end of the pause again.
    let claims = Claims {
        claims: vec![worker.clone()],
    };
    let batch = vec![paused("slow", false).into(), claims.into()];
    let done = yard.batch(batch).await.pop().unwrap().unwrap();
    let dealt: Dealt = done.try_into().unwrap();

    let hand = dealt.hands[0].clone().unwrap().unwrap();
    assert!(hand.runs.len() == 1 || !hand.dry, "it waits: {hand:?}");
    assert_eq!(yard.claim(&worker, 5).await.len() + hand.runs.len(), 1);
}

pub(super) async fn a_suspect_of_a_paused_queue_waits_too(yard: Yard) {
    let worker = yard.worker("w").await;
    yard.new_task().await;
    let held = yard.claim_one(&worker).await;
    let suspect = suspect_beside(&yard, &worker, &held).await;
    yard.complete(&held).await.unwrap();
    set(&yard, paused("default", true)).await;

    assert!(yard.claim(&worker, 1).await.is_empty());

    set(&yard, paused("default", false)).await;
    assert_eq!(yard.claim_one(&worker).await.slot.task, suspect);
}

pub(super) async fn what_a_worker_has_goes_on_when_its_queue_is_paused(yard: Yard) {
    let worker = yard.worker("w").await;
    submit(&yard, "slow").await;
    let run = yard.claim_one(&worker).await;
    set(&yard, paused("slow", true)).await;

    yard.complete(&run).await.unwrap();
}

pub(super) async fn a_task_takes_what_its_queue_says_unless_it_says_itself(yard: Yard) {
    let minute = Duration::from_mins(1);
    let retry = Retry {
        backoff: minute,
        ..Retry::default()
    };
    let change = SetQueue {
        max_attempts: Some(Some(7)),
        timeout: Some(Some(minute)),
        retry: Some(Some(retry)),
        ..SetQueue::of(name("slow"))
    };
    let queue = set(&yard, change).await;
    let expected = Defaults {
        max_attempts: Some(7),
        timeout: Some(minute),
        retry: Some(retry),
    };
    assert_eq!((queue.is_paused, queue.defaults), (false, expected));

    let said = NewTask {
        lane: lane("slow", "work", None),
        max_attempts: None,
        timeout: None,
        retry: None,
        ..yard.task()
    };
    let own = NewTask {
        max_attempts: Some(2),
        ..said.clone()
    };
    let own = NewTask {
        id: yard.task().id,
        ..own
    };
    let command = NewTask {
        id: yard.task().id,
        lane: lane("slow", "command", None),
        ..said.clone()
    };
    let [silent, own] = [yard.submit(said).await, yard.submit(own).await].map(Result::unwrap);
    let command = yard.submit(command).await.unwrap();
    let task = yard.view(silent).await.task;
    assert_eq!(
        (task.limits.max_attempts, task.timeout, task.retry),
        (7, minute, retry)
    );
    assert_eq!(yard.view(own).await.task.limits.max_attempts, 2);
    let task = yard.view(command).await.task;
    assert_eq!(
        (task.limits.max_attempts, task.timeout),
        (1, minute),
        "a command runs once unless it says otherwise itself"
    );

    // Back to the policy's, one by one; what is there stays as it was submitted.
    let change = SetQueue {
        max_attempts: Some(None),
        ..SetQueue::of(name("slow"))
    };
    let queue = set(&yard, change).await;
    assert_eq!(queue.defaults.max_attempts, None);
    assert_eq!(queue.defaults.timeout, Some(minute));
    assert_eq!(yard.view(silent).await.task.limits.max_attempts, 7);
}

pub(super) async fn queues_of_which_something_is_set_are_listed_by_name(yard: Yard) {
    assert_eq!(queues(&yard).await, []);
    submit(&yard, "plain").await;
    set(&yard, paused("b", true)).await;
    set(&yard, paused("a", true)).await;
    // Nothing is set by this, so no row is made.
    set(&yard, paused("c", false)).await;
    let retried = SetQueue {
        max_attempts: Some(Some(2)),
        ..paused("b", false)
    };
    set(&yard, retried).await;

    let listed = queues(&yard).await;
    let listed: Vec<(&str, bool)> = listed
        .iter()
        .map(|queue| (queue.name.as_str(), queue.is_paused))
        .collect();
    assert_eq!(listed, [("a", true), ("b", false)]);
}

pub(super) async fn too_many_queues_are_refused_and_known_ones_can_still_be_set(yard: Yard) {
    let max = yard.policy.queues_max;
    for number in 0..max {
        set(&yard, paused(&format!("q{number}"), true)).await;
    }

    let one_more: Result<QueueSet, Refused> = yard.run(paused("more", true)).await;

    assert_eq!(one_more, Err(Refused::TooManyQueues(max)));
    let retried = SetQueue {
        max_attempts: Some(Some(7)),
        ..paused("q0", true)
    };
    assert!(set(&yard, retried).await.is_paused);
}

pub(super) async fn a_queue_that_is_set_back_makes_room_for_another(yard: Yard) {
    let max = yard.policy.queues_max;
    for number in 0..max {
        set(&yard, paused(&format!("q{number}"), true)).await;
    }
    let task = submit(&yard, "q0").await;
    let limited = |max_attempts| SetQueue {
        max_attempts: Some(max_attempts),
        ..paused("q0", false)
    };
    set(&yard, limited(Some(7))).await;
    let full: Result<QueueSet, Refused> = yard.run(paused("more", true)).await;
    assert_eq!(
        full,
        Err(Refused::TooManyQueues(max)),
        "it still says something"
    );

    let gone = set(&yard, limited(None)).await;

    assert_eq!(gone, Queue::new(gone.name.clone()));
    assert!(queues(&yard).await.iter().all(|row| row.name != gone.name));
    assert!(set(&yard, paused("more", true)).await.is_paused);
    assert_eq!(yard.status(task).await, Status::Pending);
    let worker = yard.worker("w").await;
    assert_eq!(ids(&yard.claim(&worker, 1).await), [task]);

    // Gone and back in one batch is as if it had stayed.
    let back = || paused("q1", false).into();
    let again = || paused("q1", true).into();
    let answers = yard.batch(vec![back(), again(), back(), again()]).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let known = queues(&yard).await;
    assert!(
        known
            .iter()
            .any(|row| row.name.as_str() == "q1" && row.is_paused)
    );
}
