//! Tasks that were kept long enough once they ended.

use std::time::Duration;

use taskyard_core::command::Done;
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::query::Query;
use taskyard_core::refused::Refused;
use taskyard_core::retention::Retention;
use taskyard_core::rows::{Digest, Ended};
use taskyard_core::status::Status;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::discard::{Discard, Discarded};
use taskyard_core::verbs::report::ReportedBack;
use taskyard_core::verbs::set_queue::{QueueSet, SetQueue};
use taskyard_core::verbs::submit::NewTask;

use super::yard::{Yard, completed, failed, lane, report};

const DAY: Duration = Duration::from_hours(24);
const WEEK: Duration = Duration::from_hours(7 * 24);

async fn discard(yard: &Yard, tasks: &[TaskId]) -> usize {
    let tasks = tasks.to_vec();
    let discarded: Result<Discarded, Refused> = yard.run(Discard { tasks }).await;
    discarded.unwrap().count
}

/// Those behind this one, at most so many.
async fn ended(yard: &Yard, after: TaskId, limit: usize) -> Vec<Ended> {
    let until = TaskId::new(Timestamp::MAX, u128::MAX);
    let query = Query::Relics {
        after,
        until,
        limit,
    };
    yard.store.read(query).await.unwrap().relics()
}

async fn is_there(yard: &Yard, task: TaskId) -> bool {
    let found = yard.store.read(Query::Task(task)).await;
    found.unwrap().task().is_some()
}

async fn counted(yard: &Yard, status: Status) -> i64 {
    let counts = yard.store.read(Query::Counts).await.unwrap().counts();
    counts.iter().map(|counted| counted.tasks[status]).sum()
}

async fn done(yard: &Yard) -> TaskId {
    let task = yard.new_task().await;
    let worker = yard.worker("w").await;
    let run = yard.claim_one(&worker).await;
    yard.complete(&run).await.unwrap();
    task
}

pub(super) async fn what_was_kept_long_enough_goes_with_all_its_rows(mut yard: Yard) {
    yard.policy.retention = Retention::all(WEEK);
    let worker = yard.worker("w").await;
    let task = yard.new_task().await;
    let first = yard.claim_one(&worker).await;
    yard.report(&first, failed(true)).await.unwrap();
    yard.pass(Duration::from_mins(11));
    yard.promote().await;
    let second = yard.claim_one(&worker).await;
    yard.complete(&second).await.unwrap();
    let late = yard.report(&first, completed()).await;
    assert!(late.is_err());
    let kept = yard.new_task().await;
    let (attempts, late) = yard.attempts(task).await;
    assert_eq!((attempts.len(), late.len()), (1, 1));

    yard.pass(WEEK - Duration::from_micros(1));
    assert_eq!(discard(&yard, &[task, kept]).await, 0);
    yard.pass(Duration::from_micros(1));
    assert_eq!(discard(&yard, &[task, kept, task]).await, 1);

    assert!(!is_there(&yard, task).await);
    let (attempts, late) = yard.attempts(task).await;
    assert_eq!((attempts.len(), late.len()), (0, 0));
    assert_eq!(counted(&yard, Status::Completed).await, 0);
    assert_eq!(counted(&yard, Status::Pending).await, 1);
    assert!(is_there(&yard, kept).await, "it has not ended");
    assert_eq!(discard(&yard, &[task, kept]).await, 0);
    assert_eq!(ended(&yard, TaskId::NIL, 10).await, []);
    assert_eq!(yard.cancel(task).await, Err(Refused::NoSuchTask));
    assert!(yard.report(&second, completed()).await.is_err());
}

pub(super) async fn each_way_to_end_is_kept_as_long_as_is_said_of_it(mut yard: Yard) {
    yard.policy.retention = Retention {
        completed: Some(2 * DAY),
        cancelled: Some(4 * DAY),
        ..Retention::default()
    };
    let (completed, cancelled) = (done(&yard).await, yard.new_task().await);
    yard.cancel(cancelled).await.unwrap();
    let worker = yard.worker("w").await;
    let broken = yard.new_task().await;
    let run = yard.claim_one(&worker).await;
    yard.report(&run, failed(false)).await.unwrap();
    let all = [completed, cancelled, broken];

    let mut gone = Vec::new();
    for _ in 0..3 {
        yard.pass(2 * DAY);
        gone.push(discard(&yard, &all).await);
    }

    assert_eq!(gone, [1, 1, 0]);
    assert_eq!(yard.status(broken).await, Status::Failed);
}

pub(super) async fn what_may_be_asked_for_by_a_key_stays(mut yard: Yard) {
    yard.policy.retention = Retention::all(Duration::ZERO);
    let task = done(&yard).await;
    assert_eq!(discard(&yard, &[task]).await, 0);

    yard.pass(yard.policy.key_life);
    assert_eq!(discard(&yard, &[task]).await, 0);
    yard.pass(Duration::from_secs(1));
    assert_eq!(discard(&yard, &[task]).await, 1);
}

pub(super) async fn a_queue_says_for_itself_how_long_its_tasks_are_kept(mut yard: Yard) {
    yard.policy.retention = Retention::all(2 * DAY);
    let say = async |retention| {
        let change = SetQueue {
            retention: Some(retention),
            ..SetQueue::of(Name::path("default").unwrap())
        };
        let set: Result<QueueSet, Refused> = yard.run(change).await;
        set.unwrap().0.retention
    };
    let long = Retention {
        completed: Some(WEEK),
        ..Retention::default()
    };
    assert_eq!(say(Some(long)).await, Some(long));
    let queues = yard.store.read(Query::Queues).await.unwrap().queues();
    assert_eq!(queues[0].retention, Some(long));
    let (task, cancelled) = (done(&yard).await, yard.new_task().await);
    yard.cancel(cancelled).await.unwrap();
    yard.pass(3 * DAY);

    assert_eq!(discard(&yard, &[task, cancelled]).await, 0);
    yard.pass(5 * DAY);
    assert_eq!(discard(&yard, &[task, cancelled]).await, 1);
    assert_eq!(
        say(Some(Retention::default())).await,
        Some(Retention::default())
    );
    assert_eq!(discard(&yard, &[cancelled]).await, 0, "for good");
    assert_eq!(say(None).await, None);
    assert_eq!(discard(&yard, &[cancelled]).await, 1, "as the policy says");
}

pub(super) async fn the_row_of_a_unique_key_goes_with_its_task(mut yard: Yard) {
    yard.policy.retention = Retention::all(DAY);
    let unique = |yard: &Yard, key: &str| NewTask {
        unique_key: Some(key.into()),
        ..yard.task()
    };
    let mut held = Vec::new();
    for key in ["left", "taken"] {
        let task = yard.submit(unique(&yard, key)).await.unwrap();
        yard.cancel(task).await.unwrap();
        held.push(task);
    }
    yard.pass(2 * DAY);
    let next = yard.submit(unique(&yard, "taken")).await.unwrap();

    assert_eq!(discard(&yard, &held).await, 2);

    let again = yard.submit(unique(&yard, "taken")).await.unwrap();
    assert_eq!(again, next, "it still has the key");
    let fresh = yard.submit(unique(&yard, "left")).await.unwrap();
    assert!(!held.contains(&fresh));
    assert_eq!(yard.status(fresh).await, Status::Pending);
}

pub(super) async fn what_comes_behind_it_in_its_batch_finds_nothing(mut yard: Yard) {
    yard.policy.retention = Retention::all(DAY);
    let worker = yard.worker("w").await;
    let task = yard.new_task().await;
    let run = yard.claim_one(&worker).await;
    yard.complete(&run).await.unwrap();
    yard.pass(2 * DAY);
    let tasks = vec![task];

    let before = report(&run, failed(true));
    let behind = report(&run, failed(false));
    let replies = yard
        .batch(vec![before.into(), Discard { tasks }.into(), behind.into()])
        .await;

    let refused = |reply: &Result<Done, Refused>| match reply {
        Ok(Done::Report(ReportedBack { results, .. })) => results[0].clone().err(),
        other => panic!("{other:?}"),
    };
    assert!(refused(&replies[0]).is_some());
    assert_eq!(refused(&replies[2]), Some(Refused::NoSuchTask));
    let (attempts, late) = yard.attempts(task).await;
    assert_eq!((attempts.len(), late.len()), (0, 0));
}

pub(super) async fn what_has_ended_is_found_page_by_page(yard: Yard) {
    let mut tasks = Vec::new();
    for queue in ["a", "b", "a"] {
        let task = NewTask {
            lane: lane(queue, "work", None),
            ..yard.task()
        };
        tasks.push(yard.submit(task).await.unwrap());
        yard.pass(Duration::from_secs(1));
    }
    yard.new_task().await;
    for task in &tasks {
        yard.cancel(*task).await.unwrap();
    }

    let first = ended(&yard, TaskId::NIL, 2).await;
    let rest = ended(&yard, first[1].task, 2).await;

    let seen = first.iter().chain(&rest);
    let seen: Vec<_> = seen.map(|it| (it.task, it.queue.as_str())).collect();
    let expected: Vec<_> = tasks.iter().copied().zip(["a", "b", "a"]).collect();
    assert_eq!(seen, expected);
    assert_eq!(first[0].status, Status::Cancelled);
    assert_eq!(first[0].ended_at, yard.now());
}

pub(super) async fn a_queue_keeps_what_is_said_of_each_way_to_end(yard: Yard) {
    for first in [1, 5] {
        let days = [0, 1, 2, 3].map(|n| Some(DAY * (first + n)));
        let [completed, failed, timeout, cancelled] = days;
        let retention = Retention {
            completed,
            failed,
            timeout,
            cancelled,
        };
        let change = SetQueue {
            retention: Some(Some(retention)),
            ..SetQueue::of(Name::path("default").unwrap())
        };
        yard.run::<QueueSet>(change).await.unwrap();

        let queues = yard.store.read(Query::Queues).await.unwrap().queues();
        assert_eq!(queues[0].retention, Some(retention));
    }
}

pub(super) async fn what_a_clock_made_that_was_ahead_stays_as_long_as_its_id_may_be_sent(
    mut yard: Yard,
) {
    yard.policy.retention = Retention::all(Duration::ZERO);
    let ahead = yard.policy.clock_skew / 2;
    let task = NewTask {
        id: TaskId::new(yard.now() + ahead, 7),
        digest: Some(Digest::of(b"body")),
        ..yard.task()
    };
    let id = yard.submit(task).await.unwrap();
    yard.cancel(id).await.unwrap();

    yard.pass(yard.policy.key_life + Duration::from_secs(1));
    assert_eq!(discard(&yard, &[id]).await, 0);
    yard.pass(ahead);
    assert_eq!(discard(&yard, &[id]).await, 1);
}
