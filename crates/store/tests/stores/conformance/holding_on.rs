//! Tasks that never run twice at once, and keys that stand once in a queue.

use std::sync::Arc;
use std::time::Duration;

use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::query::Query;
use taskyard_core::refused::Refused;
use taskyard_core::rows::UniqueKey;
use taskyard_core::status::Status;
use taskyard_core::verbs::expire::Sight;
use taskyard_core::verbs::free::{Free, Freed};
use taskyard_core::verbs::heartbeat::Held;
use taskyard_core::verbs::start::{Start, Started};
use taskyard_core::verbs::submit::{Made, NewTask, Submit, Submitted};

use super::yard::{Yard, failed, held, lane, token};

fn exclusive(yard: &Yard) -> NewTask {
    NewTask {
        is_exclusive: true,
        timeout: Some(Duration::from_secs(10)),
        ..yard.task()
    }
}

pub(super) async fn an_exclusive_task_is_given_away_only_when_its_own_lease_has_ended(yard: Yard) {
    let worker = yard.worker("w").await;
    let task = yard.submit(exclusive(&yard)).await.unwrap();
    let run = yard.claim_one(&worker).await;
    assert!(run.is_exclusive);
    let start = Start {
        token: token(&run),
        started_at: None,
    };
    yard.run::<Started>(start).await.unwrap();
    let view = yard.view(task).await;
    assert!(view.task.is_exclusive);

    // Its worker is silent, its time is up, and another process has the worker's name: it may run all the same.
    yard.pass(yard.policy.heartbeat_ttl + Duration::from_secs(1));
    let other = yard.worker("w").await;
    let alone = Sight {
        alone_since: Some(yard.now()),
        ..Sight::clear(yard.now())
    };
    assert_eq!(yard.sweep_with(alone).await, []);
    assert!(yard.claim(&other, 1).await.is_empty());

    yard.pass(run.expires_at.since(yard.now()));
    assert_eq!(yard.sweep(false).await, [task]);
    let refused = yard.complete(&run).await;
    assert_eq!(refused, Err(Refused::StaleLease));
}

pub(super) async fn the_lease_of_an_exclusive_task_is_renewed_as_any(yard: Yard) {
    let worker = yard.worker("w").await;
    let task = yard.submit(NewTask {
        timeout: None,
        ..exclusive(&yard)
    });
    let task = task.await.unwrap();
    let run = yard.claim_one(&worker).await;
    for _ in 0..20 {
        yard.pass(yard.policy.heartbeat);
        let beaten = yard.heartbeat(&worker, vec![held(&run)]).await.unwrap();
        assert_eq!(beaten.lost, []);
        assert_eq!(yard.sweep(false).await, []);
    }
    yard.complete(&run).await.unwrap();
    assert_eq!(yard.status(task).await, Status::Completed);
}

/// Its worker may have hung, and only go on to say that it is there.
pub(super) async fn an_exclusive_task_is_renewed_no_longer_once_its_time_is_up(yard: Yard) {
    let worker = yard.worker("w").await;
    let task = NewTask {
        timeout: Some(Duration::from_secs(100)),
        max_attempts: Some(1),
        ..exclusive(&yard)
    };
    let task = yard.submit(task).await.unwrap();
    let run = yard.claim_one(&worker).await;
    let begun = Held {
        running: true,
        ..held(&run)
    };
    let ends = yard.now() + Duration::from_secs(100) + yard.policy.timeout_margin;

    while yard.now() < ends {
        assert_eq!(yard.sweep(false).await, []);
        let beaten = yard.heartbeat(&worker, vec![begun.clone()]).await.unwrap();
        assert_eq!(beaten.lost, []);
        // Its worker may go by it that what is confirmed has two thirds of a lease at least.
        let expires_at = beaten.expires_at.unwrap();
        assert!(expires_at <= ends, "no lease goes beyond the time");
        let is_confirmed = beaten.ending.is_empty();
        let is_long = expires_at >= yard.now() + yard.policy.renew_below();
        assert_eq!(is_confirmed, is_long, "{beaten:?}");
        yard.pass(yard.policy.heartbeat);
    }

    yard.heartbeat(&worker, vec![begun]).await.unwrap();
    assert_eq!(yard.sweep(false).await, [task]);
    assert_eq!(yard.status(task).await, Status::Timeout);
}

/// As they are told, where a clock was set forward as well: whoever holds it is to end it.
pub(super) async fn an_exclusive_task_that_has_expired_after_its_time_is_not_brought_back(
    yard: Yard,
) {
    let worker = yard.worker("w").await;
    let task = yard.submit(exclusive(&yard)).await.unwrap();
    let run = yard.claim_one(&worker).await;
    let start = Start {
        token: token(&run),
        started_at: None,
    };
    yard.run::<Started>(start).await.unwrap();
    yard.pass(yard.policy.lease);

    let beaten = yard.heartbeat(&worker, vec![held(&run)]).await.unwrap();

    assert_eq!((&beaten.lost[..], beaten.ending), (&[task][..], vec![]));
    assert_eq!(yard.status(task).await, Status::Running);
    assert_eq!(yard.sweep(false).await, [task]);
}

pub(super) async fn an_exclusive_task_that_fails_is_tried_again(yard: Yard) {
    let worker = yard.worker("w").await;
    let task = yard.submit(exclusive(&yard)).await.unwrap();
    let run = yard.claim_one(&worker).await;
    yard.report(&run, failed(true)).await.unwrap();
    yard.pass(Duration::from_mins(1));
    assert_eq!(yard.promote().await, 1);

    let again = yard.claim_one(&worker).await;

    assert_eq!((again.slot.task, again.is_exclusive), (task, true));
}

fn keyed(yard: &Yard, queue: &str, key: &str) -> NewTask {
    NewTask {
        lane: lane(queue, "work", None),
        unique_key: Some(key.into()),
        ..yard.task()
    }
}

async fn submit(yard: &Yard, tasks: Vec<NewTask>) -> Submitted {
    let submit = Submit::of(tasks);
    yard.run(submit).await.unwrap()
}

pub(super) async fn a_unique_key_stands_once_in_its_queue(yard: Yard) {
    let first = keyed(&yard, "default", "a");
    let made = submit(&yard, vec![first.clone()]).await;
    assert!(matches!(made.made[..], [Made::Now(_)]));

    let same = keyed(&yard, "default", "a");
    let other_key = keyed(&yard, "default", "b");
    let other_queue = keyed(&yard, "other", "a");
    let twice = [keyed(&yard, "default", "c"), keyed(&yard, "default", "c")];
    let [one, two] = twice.clone();
    let tasks = vec![same, other_key.clone(), other_queue.clone(), one, two];
    let made = submit(&yard, tasks).await;

    let expected = [
        first.id,
        other_key.id,
        other_queue.id,
        twice[0].id,
        twice[0].id,
    ];
    assert_eq!(made.ids[..], expected);
    let by_another: Vec<bool> = made
        .made
        .iter()
        .map(|made| *made == Made::ByAnother)
        .collect();
    assert_eq!(by_another, [true, false, false, false, true]);
    let key = yard.view(first.id).await.task.unique_key.clone();
    assert_eq!(key, Some("a".into()));
}

pub(super) async fn a_unique_key_is_free_once_its_task_has_ended(yard: Yard) {
    let first = keyed(&yard, "default", "a");
    submit(&yard, vec![first.clone()]).await;
    let worker = yard.worker("w").await;
    let run = yard.claim_one(&worker).await;
    assert_eq!(
        submit(&yard, vec![keyed(&yard, "default", "a")]).await.ids[0],
        first.id
    );
    // A task that waits for its next try has not ended.
    yard.report(&run, failed(true)).await.unwrap();
    assert_eq!(
        submit(&yard, vec![keyed(&yard, "default", "a")]).await.ids[0],
        first.id
    );
    yard.cancel(first.id).await.unwrap();

    let next = keyed(&yard, "default", "a");
    let made = submit(&yard, vec![next.clone()]).await;

    assert_eq!((made.ids[0], made.existed()), (next.id, false));
    assert_eq!(
        submit(&yard, vec![keyed(&yard, "default", "a")]).await.ids[0],
        next.id
    );
}

pub(super) async fn the_same_submit_again_finds_the_task_that_has_its_key(yard: Yard) {
    let first = keyed(&yard, "default", "a");
    submit(&yard, vec![first.clone()]).await;
    let second = keyed(&yard, "default", "a");
    for tasks in [vec![first.clone()], vec![second]] {
        let again = Submit {
            tasks,
            once: None,
            again: true,
        };
        let found: Submitted = yard.run(again).await.unwrap();
        assert_eq!(found.ids[..], [first.id]);
    }
}

async fn freeable(yard: &Yard, after: Option<TaskId>) -> (Vec<Arc<str>>, Option<TaskId>) {
    let limit = 2;
    let found = yard.store.read(Query::Freeable { after, limit }).await;
    let found = found.unwrap().freeable();
    let keys = found.keys.into_iter().map(|it| it.key).collect();
    (keys, found.next)
}

pub(super) async fn keys_of_tasks_that_have_ended_are_found_and_taken_away(yard: Yard) {
    let mut tasks = Vec::new();
    for key in ["a", "b", "c"] {
        let task = keyed(&yard, "default", key);
        tasks.push(task.id);
        submit(&yard, vec![task]).await;
        yard.pass(Duration::from_secs(1));
    }
    yard.cancel(tasks[1]).await.unwrap();
    yard.cancel(tasks[2]).await.unwrap();

    let (keys, next) = freeable(&yard, None).await;
    assert_eq!((keys, next), (vec!["b".into()], Some(tasks[1])));
    assert_eq!(freeable(&yard, next).await, (vec!["c".into()], None));

    // One of a task that has not ended stays, and one that is not there is none.
    let keys = ["a", "b", "z"].map(|key| UniqueKey {
        queue: Name::path("default").unwrap(),
        key: key.into(),
    });
    let freed: Freed = yard.run(Free { keys: keys.into() }).await.unwrap();
    assert_eq!(freed.count, 1);
    assert_eq!(
        freeable(&yard, None).await,
        (vec!["c".into()], Some(tasks[2]))
    );
    let made = submit(&yard, vec![keyed(&yard, "default", "a")]).await;
    assert_eq!(made.ids[0], tasks[0]);
}
