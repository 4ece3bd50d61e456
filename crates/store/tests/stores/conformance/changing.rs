//! What waits can be given another time and another priority; what a worker has, or what has ended, cannot.

use std::time::Duration;

use taskyard_core::command::Done;
use taskyard_core::id::TaskId;
use taskyard_core::order::Priority;
use taskyard_core::query::Standing;
use taskyard_core::refused::Refused;
use taskyard_core::rows::Why;
use taskyard_core::status::Status;
use taskyard_core::verbs::patch::{Patch, Patched};
use taskyard_core::verbs::promote::{Promote, Promoted};
use taskyard_core::verbs::report::Word;
use taskyard_core::verbs::submit::{Begin, NewTask};

use super::losing::suspect_beside;
use super::yard::{Yard, failed};

const LATER: Begin = Begin::After(Duration::from_secs(90));

fn to(task: TaskId, begin: Begin) -> Patch {
    Patch {
        task,
        priority: None,
        begin: Some(begin),
    }
}

fn priority(task: TaskId, priority: i64) -> Patch {
    Patch {
        task,
        priority: Some(Priority::new(priority).unwrap()),
        begin: None,
    }
}

async fn patch(yard: &Yard, patch: Patch) -> Result<Patched, Refused> {
    yard.run(patch).await
}

pub(super) async fn a_raised_priority_overtakes_and_a_lowered_one_falls_behind(yard: Yard) {
    let worker = yard.worker("w").await;
    let mut tasks = Vec::new();
    for _ in 0..3 {
        tasks.push(yard.new_task().await);
        yard.pass(Duration::from_secs(1));
    }

    patch(&yard, priority(tasks[2], 5)).await.unwrap();
    patch(&yard, priority(tasks[0], -5)).await.unwrap();
    // The same again changes nothing.
    patch(&yard, priority(tasks[0], -5)).await.unwrap();

    let view = yard.view(tasks[2]).await;
    assert_eq!(
        (view.priority().get(), view.run_at()),
        (5, view.task.run_at)
    );
    let given = yard.claim(&worker, 3).await;
    let order: Vec<TaskId> = given.iter().map(|run| run.slot.task).collect();
    assert_eq!(order, [tasks[2], tasks[1], tasks[0]]);
}

pub(super) async fn a_task_is_put_off_and_called_back(yard: Yard) {
    let worker = yard.worker("w").await;
    let task = yard.new_task().await;

    patch(&yard, to(task, LATER)).await.unwrap();
    assert_eq!(yard.status(task).await, Status::Scheduled);
    assert!(yard.claim(&worker, 1).await.is_empty());
    yard.pass(Duration::from_secs(89));
    assert_eq!(yard.promote().await, 0);
    yard.pass(Duration::from_secs(1));
    assert_eq!(yard.promote().await, 1);
    assert_eq!(yard.status(task).await, Status::Pending);

    patch(&yard, to(task, LATER)).await.unwrap();
    patch(&yard, to(task, Begin::Now)).await.unwrap();
    assert_eq!(yard.claim_one(&worker).await.slot.task, task);
}

pub(super) async fn what_is_put_off_beside_its_promotion_is_not_promoted(yard: Yard) {
    let due = NewTask {
        begin: Begin::After(Duration::from_secs(1)),
        ..yard.task()
    };
    let task = yard.submit(due).await.unwrap();
    yard.pass(Duration::from_secs(1));
    let promote = Promote { limit: 9, skip: 0 };

    let answers = yard
        .batch(vec![to(task, LATER).into(), promote.into()])
        .await;

    assert_eq!(answers[1], Ok(Done::Promote(Promoted { count: 0 })));
    assert_eq!(yard.status(task).await, Status::Scheduled);
}

pub(super) async fn a_task_called_now_does_not_overtake_those_that_wait(yard: Yard) {
    let worker = yard.worker("w").await;
    let later = yard.submit(NewTask {
        begin: LATER,
        ..yard.task()
    });
    let later = later.await.unwrap();
    let first = yard.new_task().await;
    yard.pass(Duration::from_secs(1));
    let long_ago = Begin::At(yard.now() - Duration::from_hours(1));

    patch(&yard, to(later, long_ago)).await.unwrap();
    // What waits for a worker already keeps its place.
    patch(&yard, to(first, Begin::Now)).await.unwrap();

    let given = yard.claim(&worker, 2).await;
    let order: Vec<TaskId> = given.iter().map(|run| run.slot.task).collect();
    assert_eq!(order, [first, later]);
}

pub(super) async fn what_was_changed_stays_so_over_a_retry(yard: Yard) {
    let worker = yard.worker("w").await;
    let task = yard.new_task().await;
    patch(&yard, priority(task, 7)).await.unwrap();
    let run = yard.claim_one(&worker).await;
    yard.report(&run, failed(true)).await.unwrap();

    // The wait before the next try can be cut short.
    patch(&yard, to(task, Begin::Now)).await.unwrap();
    let again = yard.claim_one(&worker).await;

    assert_eq!((again.slot.task, again.attempt), (task, 2));
    assert!(again.fence > run.fence);
    yard.complete(&again).await.unwrap();
    assert_eq!(yard.view(task).await.priority().get(), 7);
}

pub(super) async fn what_was_raised_comes_first_again_when_it_is_handed_back(yard: Yard) {
    let worker = yard.worker("w").await;
    yard.new_task().await;
    yard.pass(Duration::from_secs(1));
    let raised = yard.new_task().await;
    patch(&yard, priority(raised, 7)).await.unwrap();
    let run = yard.claim_one(&worker).await;
    assert_eq!(run.slot.task, raised);

    yard.report(&run, Word::Released).await.unwrap();

    let again = yard.claim_one(&worker).await;
    assert_eq!(again.slot.task, raised);
}

pub(super) async fn a_change_says_what_a_task_waits_for(yard: Yard) {
    let worker = yard.worker("w").await;
    let task = yard.new_task().await;
    let run = yard.claim_one(&worker).await;
    yard.report(&run, failed(true)).await.unwrap();
    let why = async || match yard.view(task).await.standing {
        Standing::Scheduled(row) => row.why,
        other => panic!("not scheduled: {other:?}"),
    };

    patch(&yard, priority(task, 1)).await.unwrap();
    assert_eq!(why().await, Why::BackOff);
    patch(&yard, to(task, LATER)).await.unwrap();
    assert_eq!(why().await, Why::RunAt);
}

pub(super) async fn what_a_worker_has_or_what_has_ended_is_not_changed(yard: Yard) {
    let worker = yard.worker("w").await;
    let task = yard.new_task().await;
    let run = yard.claim_one(&worker).await;

    let taken = patch(&yard, priority(task, 1)).await;
    yard.complete(&run).await.unwrap();
    let ended = patch(&yard, to(task, Begin::Now)).await;
    let unknown = patch(&yard, to(yard.task().id, Begin::Now)).await;

    assert_eq!(taken, Err(Refused::NotWaiting));
    assert_eq!(ended, Err(Refused::AlreadyEnded(Status::Completed)));
    assert_eq!(unknown, Err(Refused::NoSuchTask));
    assert_eq!(yard.view(task).await.priority().get(), 0);
}

pub(super) async fn a_suspect_that_is_put_off_comes_back_as_one(yard: Yard) {
    let worker = yard.worker("w").await;
    yard.new_task().await;
    let held = yard.claim_one(&worker).await;
    let suspect = suspect_beside(&yard, &worker, &held).await;

    patch(&yard, to(suspect, LATER)).await.unwrap();
    assert_eq!(yard.status(suspect).await, Status::Scheduled);
    assert!(yard.claim(&worker, 2).await.is_empty());
    yard.pass(Duration::from_secs(90));
    assert_eq!(yard.promote().await, 1);

    // Still only for an empty hand.
    let worker = yard.worker("w").await;
    yard.new_task().await;
    assert_eq!(yard.claim(&worker, 2).await.len(), 1);
}
