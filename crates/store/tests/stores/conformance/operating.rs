//! One act on every task that a filter lets through, piece by piece.

use std::sync::Arc;
use std::time::Duration;

use taskyard_core::filter::Filter;
use taskyard_core::id::{OperationId, TaskId};
use taskyard_core::name::Name;
use taskyard_core::operation::{Act, Operation, State};
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, List, Listed, Query};
use taskyard_core::refused::Refused;
use taskyard_core::rows::{Digest, IdempotencyKey};
use taskyard_core::status::Status;
use taskyard_core::verbs::cancel_operation::{CancelOperation, OperationCancelled};
use taskyard_core::verbs::clear::{Clear, Cleared, ended_before};
use taskyard_core::verbs::operate::{Operate, Operated};
use taskyard_core::verbs::proceed::{Proceed, Proceeded};
use taskyard_core::verbs::submit::NewTask;

use super::yard::{Yard, failed, lane};

/// Of these statuses.
fn at(statuses: &[Status]) -> Filter {
    Filter {
        statuses: statuses.to_vec(),
        ..Filter::default()
    }
}

fn operate(yard: &Yard, act: Act, filter: Filter) -> Operate {
    Operate {
        id: yard.task().id.into(),
        act,
        filter: Arc::new(act.narrow(filter).unwrap()),
        once: None,
    }
}

pub(crate) async fn begin(yard: &Yard, act: Act, filter: Filter) -> Operation {
    let operated: Operated = yard.run(operate(yard, act, filter)).await.unwrap();
    assert!(!operated.existed);
    operated.operation.unwrap()
}

/// The next piece, of so many tasks at most, as the service makes it.
pub(crate) async fn piece(yard: &Yard, operation: &Operation, limit: usize) -> Proceed {
    let list = List {
        filter: Filter::clone(&operation.filter),
        after: operation.cursor,
        limit,
        payload: true,
        ..List::default()
    };
    let found: Listed = yard.list(list).await;
    Proceed::of(operation, found, yard.now(), || yard.task().id)
}

async fn proceed(yard: &Yard, operation: &Operation, limit: usize) -> Operation {
    let piece = piece(yard, operation, limit).await;
    let after: Proceeded = yard.run(piece).await.unwrap();
    after.operation.expect("nobody else is at it")
}

/// In pieces of so many until it ends.
async fn finish(yard: &Yard, mut operation: Operation, limit: usize) -> Operation {
    for _ in 0..50 {
        if !operation.is_running() {
            return operation;
        }
        operation = proceed(yard, &operation, limit).await;
    }
    panic!("it never ends: {operation:?}")
}

async fn found(yard: &Yard, query: Query) -> Vec<Operation> {
    match yard.store.read(query).await.unwrap() {
        Answer::Operations(found) => found,
        Answer::Operation(found) => found.into_iter().map(|row| *row).collect(),
        other => panic!("a query is answered in kind, not {other:?}"),
    }
}

async fn submit(yard: &Yard, count: usize) -> Vec<TaskId> {
    let mut made = Vec::new();
    for _ in 0..count {
        made.push(yard.new_task().await);
        yard.pass(Duration::from_millis(1));
    }
    made
}

pub(super) async fn an_operation_cancels_what_its_filter_lets_through_in_pieces(yard: Yard) {
    let tasks = submit(&yard, 7).await;
    let other = NewTask {
        lane: lane("default", "other", None),
        ..yard.task()
    };
    let other = yard.submit(other).await.unwrap();
    let worker = yard.worker("w").await;
    let run = yard.claim_one(&worker).await;
    let filter = Filter {
        kind: Some(Name::path("work").unwrap()),
        ..Filter::default()
    };

    let begun = begin(&yard, Act::Cancel, filter).await;
    let first = proceed(&yard, &begun, 3).await;
    assert_eq!(
        (first.done, first.skipped, first.is_running()),
        (3, 0, true)
    );
    assert_eq!(yard.status(tasks[4]).await, Status::Cancelled);
    assert_eq!(yard.status(tasks[3]).await, Status::Pending);
    let ended = finish(&yard, first, 3).await;

    assert_eq!((ended.done, ended.skipped), (7, 0));
    assert_eq!(ended.state, State::Done(yard.now()));
    for task in tasks {
        assert_eq!(yard.status(task).await, Status::Cancelled);
    }
    assert_eq!(yard.status(other).await, Status::Pending);
    assert_eq!(yard.complete(&run).await, Err(Refused::StaleLease));
    assert_eq!(found(&yard, Query::Operation(ended.id)).await, [ended]);
}

pub(super) async fn a_piece_is_done_once_however_often_it_is_sent(yard: Yard) {
    submit(&yard, 4).await;
    let begun = begin(&yard, Act::Cancel, Filter::default()).await;
    let first = piece(&yard, &begun, 2).await;

    let twice = yard
        .batch(vec![first.clone().into(), first.clone().into()])
        .await;
    let later: Proceeded = yard.run(first).await.unwrap();

    let done = |answer: &Result<_, _>| {
        let done = Result::clone(answer).unwrap();
        Proceeded::try_from(done)
            .unwrap()
            .operation
            .map(|row| row.done)
    };
    assert_eq!(twice.iter().map(done).collect::<Vec<_>>(), [Some(2), None]);
    assert_eq!(later.operation, None);
    let known = found(&yard, Query::Operation(begun.id)).await;
    assert_eq!((known[0].done, known[0].skipped), (2, 0));
}

pub(super) async fn what_has_gone_on_since_it_was_found_is_skipped(yard: Yard) {
    let tasks = submit(&yard, 3).await;
    let worker = yard.worker("w").await;
    let begun = begin(&yard, Act::Cancel, at(&[Status::Pending])).await;
    let found = piece(&yard, &begun, 10).await;

    let run = yard.claim_one(&worker).await;
    yard.cancel(tasks[2]).await.unwrap();
    let ended: Proceeded = yard.run(found).await.unwrap();

    let ended = ended.operation.unwrap();
    assert_eq!((ended.done, ended.skipped), (1, 2));
    assert_eq!(run.slot.task, tasks[0]);
    assert_eq!(yard.status(tasks[0]).await, Status::Assigned);
    assert_eq!(yard.status(tasks[1]).await, Status::Cancelled);
}

pub(super) async fn a_workers_tasks_are_cancelled_while_it_holds_them(yard: Yard) {
    let tasks = submit(&yard, 3).await;
    let (one, other) = (yard.worker("one").await, yard.worker("other").await);
    yard.claim_one(&one).await;
    let given_back = yard.claim_one(&one).await;
    let filter = Filter {
        worker: Some(one.worker.clone()),
        ..Filter::default()
    };
    let begun = begin(&yard, Act::Cancel, filter).await;
    let found = piece(&yard, &begun, 10).await;

    let word = taskyard_core::verbs::report::Word::Released;
    yard.report(&given_back, word).await.unwrap();
    assert_eq!(yard.claim(&other, 2).await.len(), 2);
    let ended: Proceeded = yard.run(found).await.unwrap();

    let ended = ended.operation.unwrap();
    assert_eq!((ended.done, ended.skipped), (1, 1));
    assert_eq!(yard.status(tasks[0]).await, Status::Cancelled);
    assert_eq!(yard.status(tasks[1]).await, Status::Assigned);
}

pub(super) async fn an_operation_retries_what_has_ended_as_new_tasks_and_none_of_those(yard: Yard) {
    let tasks = submit(&yard, 5).await;
    let worker = yard.worker("w").await;
    for run in yard.claim(&worker, 3).await {
        yard.report(&run, failed(false)).await.unwrap();
    }
    let begun = begin(&yard, Act::Retry, at(&[Status::Failed])).await;

    // What fails while it is under way was not there to be retried.
    let mut operation = proceed(&yard, &begun, 2).await;
    assert_eq!(operation.done, 2);
    for run in yard.claim(&worker, 10).await {
        yard.report(&run, failed(false)).await.unwrap();
    }
    while operation.is_running() {
        yard.pass(Duration::from_secs(1));
        operation = proceed(&yard, &operation, 1).await;
    }

    let all = yard.list(List {
        limit: 50,
        oldest_first: true,
        ..List::default()
    });
    let all = all.await.items;
    let new: Vec<_> = all
        .iter()
        .filter(|view| !tasks.contains(&view.task.id))
        .collect();
    let retried: Vec<TaskId> = new.iter().filter_map(|view| view.task.retry_of).collect();
    // The first three had failed; the last two did so after the operation was past them.
    assert_eq!(retried, [tasks[2], tasks[1], tasks[0]]);
    assert_eq!((operation.done, operation.skipped), (3, 0));
    let last = new.last().unwrap();
    assert_eq!(last.status(), Status::Pending);
    assert_eq!(last.task.limits, all[0].task.limits);
}

pub(super) async fn a_retry_whose_unique_key_is_taken_is_skipped(yard: Yard) {
    let task = |yard: &Yard| NewTask {
        unique_key: Some("once".into()),
        ..yard.task()
    };
    let first = yard.submit(task(&yard)).await.unwrap();
    yard.cancel(first).await.unwrap();
    let second = yard.submit(task(&yard)).await.unwrap();
    yard.cancel(second).await.unwrap();
    yard.pass(Duration::from_millis(1));

    let begun = begin(&yard, Act::Retry, Filter::default()).await;
    let ended = finish(&yard, begun, 10).await;

    assert_eq!((ended.done, ended.skipped), (1, 1));
}

pub(super) async fn a_retry_that_there_is_no_lane_for_is_skipped(mut yard: Yard) {
    let kinds = ["a", "b", "c"];
    for kind in kinds {
        let task = NewTask {
            lane: lane("default", kind, None),
            ..yard.task()
        };
        let id = yard.submit(task).await.unwrap();
        yard.cancel(id).await.unwrap();
        yard.pass(Duration::from_secs(2));
    }
    yard.policy.lanes_max = 1;
    // Makes the others be forgotten, and takes the one that there is room for.
    yard.submit(NewTask {
        lane: lane("default", "a", None),
        ..yard.task()
    })
    .await
    .unwrap();

    let begun = begin(&yard, Act::Retry, at(&[Status::Cancelled])).await;
    let ended = finish(&yard, begun, 10).await;

    assert_eq!((ended.done, ended.skipped), (1, 2));
}

pub(super) async fn an_operation_that_is_cancelled_goes_no_further(yard: Yard) {
    let tasks = submit(&yard, 4).await;
    let begun = begin(&yard, Act::Cancel, Filter::default()).await;
    let half = proceed(&yard, &begun, 2).await;
    let rest = piece(&yard, &half, 2).await;

    let operation = half.id;
    let OperationCancelled(cancelled) = yard.run(CancelOperation { operation }).await.unwrap();
    let after: Proceeded = yard.run(rest).await.unwrap();

    assert_eq!(after.operation, None);
    assert_eq!(cancelled.state, State::Cancelled(yard.now()));
    assert_eq!((cancelled.done, cancelled.cursor), (2, Some(tasks[2])));
    assert_eq!(yard.status(tasks[1]).await, Status::Pending);
    let again: Result<OperationCancelled, _> = yard.run(CancelOperation { operation }).await;
    assert_eq!(again, Err(Refused::OperationEnded));
    let unknown = CancelOperation {
        operation: yard.task().id.into(),
    };
    let nobody: Result<OperationCancelled, _> = yard.run(unknown).await;
    assert_eq!(nobody, Err(Refused::NoSuchOperation));
}

pub(super) async fn as_many_operations_are_under_way_as_may_be(mut yard: Yard) {
    yard.policy.operations_max = 2;
    let first = begin(&yard, Act::Cancel, Filter::default()).await;
    let two: Vec<_> = (0..2)
        .map(|_| operate(&yard, Act::Retry, Filter::default()).into())
        .collect();

    let answers = yard.batch(two).await;
    assert!(answers[0].is_ok());
    assert_eq!(answers[1], Err(Refused::TooManyOperations(2)));
    finish(&yard, first, 10).await;

    begin(&yard, Act::Cancel, Filter::default()).await;
}

pub(super) async fn the_same_request_again_finds_its_operation(yard: Yard) {
    let key = IdempotencyKey {
        scope: "scope".into(),
        key: "key".into(),
    };
    let once = |body: &[u8]| Operate {
        once: Some((key.clone(), Digest::of(body))),
        ..operate(&yard, Act::Cancel, Filter::default())
    };
    let first: Operated = yard.run(once(b"body")).await.unwrap();
    let begun = first.operation.unwrap();
    let ended = finish(&yard, begun, 10).await;

    let again: Operated = yard.run(once(b"body")).await.unwrap();
    assert_eq!((again.id, again.existed), (ended.id, true));
    assert_eq!(again.operation, Some(ended.clone()));
    let other: Result<Operated, _> = yard.run(once(b"other")).await;
    assert_eq!(other, Err(Refused::KeyReused));
    // Sent a second time because the first commit's fate is unknown.
    let sent = operate(&yard, Act::Cancel, Filter::default());
    let _: Operated = yard.run(sent.clone()).await.unwrap();
    let again: Operated = yard.run(sent).await.unwrap();
    assert!(again.existed);
}

pub(super) async fn operations_are_listed_and_cleared_long_after_their_end(yard: Yard) {
    submit(&yard, 1).await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(begin(&yard, Act::Cancel, Filter::default()).await);
        yard.pass(Duration::from_secs(1));
    }
    let open = Query::OpenOperations { limit: 2 };
    assert_eq!(found(&yard, open).await, made[..2]);
    let mut ended = Vec::new();
    for operation in [&made[1], &made[0]] {
        ended.push(finish(&yard, operation.clone(), 10).await);
        yard.pass(Duration::from_secs(1));
    }
    let page = |after: Option<OperationId>| Query::Operations { after, limit: 2 };
    let first = found(&yard, page(None)).await;
    assert_eq!(first, [made[2].clone(), ended[0].clone()]);
    let second = found(&yard, page(Some(made[1].id))).await;
    assert_eq!(second, [ended[1].clone()]);

    let life = Policy::default().operation_life;
    yard.pass(life - Duration::from_secs(2));
    let old = Query::OldOperations {
        ended: ended_before(&yard.policy, yard.now()),
        limit: 10,
    };
    let old = yard.store.read(old).await.unwrap().old_operations();
    assert_eq!(old, [made[1].id]);
    // Also what has not ended, or not for long: the rules judge.
    let operations = made.iter().map(|row| row.id).collect();
    let cleared: Cleared = yard.run(Clear { operations }).await.unwrap();

    assert_eq!(cleared.count, 1);
    let left = found(&yard, page(None)).await;
    assert_eq!(left, [made[2].clone(), ended[1].clone()]);
}

pub(super) async fn what_cannot_be_read_is_named_by_lists_and_skipped_by_operations(yard: Yard) {
    let tasks = submit(&yard, 5).await;
    let bad = [tasks[4], tasks[1]];
    for task in bad {
        yard.place.blot(task).await;
    }
    let page = |after: Option<TaskId>| List {
        after,
        limit: 2,
        ..List::default()
    };

    let first = yard.list(page(None)).await;
    let second = yard.list(page(first.next)).await;

    let seen = |listed: &Listed| -> (Vec<TaskId>, Vec<TaskId>) {
        let items = listed.items.iter().map(|view| view.task.id);
        (items.collect(), listed.unreadable.clone())
    };
    assert_eq!(seen(&first), (vec![tasks[3], tasks[2]], vec![tasks[4]]));
    assert_eq!(first.next, Some(tasks[2]), "what is behind it comes again");
    assert_eq!(seen(&second), (vec![tasks[0]], vec![tasks[1]]));
    assert_eq!(second.next, None);
    for pieces_of in [1, 2, 10] {
        let cancel = begin(&yard, Act::Cancel, Filter::default()).await;
        let ended = finish(&yard, cancel, pieces_of).await;
        let open = if pieces_of == 1 { 3 } else { 0 };
        assert_eq!((ended.done, ended.skipped), (open, 2), "{pieces_of}");
    }
}

#[tokio::test]
async fn operations_find_what_was_made_before_the_clock_was_set_back() {
    let (moment, hour) = (Duration::from_millis(1), Duration::from_hours(1));
    let yard = Yard::on_sqlite().await.unwrap();
    let before = submit(&yard, 2).await;
    yard.pass(hour);
    let ahead = submit(&yard, 3).await;
    yard.turn_back(hour);
    let yard = yard.begun_anew();

    let cancel = begin(&yard, Act::Cancel, Filter::default()).await;
    yard.pass(moment);
    let since = yard.new_task().await;
    let cancel = finish(&yard, cancel, 2).await;

    assert_eq!((cancel.done, cancel.skipped), (5, 0));
    assert_eq!(yard.status(since).await, Status::Pending);
    let mut retry = begin(&yard, Act::Retry, at(&[Status::Cancelled])).await;
    yard.pass(moment);
    // What it makes ends at once, and its ids are lower than those of what it found first.
    let mut pieces = 0;
    while retry.is_running() && pieces < 50 {
        retry = proceed(&yard, &retry, 1).await;
        pieces += 1;
        yard.pass(moment);
        let open = yard.list(List {
            filter: at(&[Status::Pending]),
            ..List::default()
        });
        for view in open.await.items {
            yard.cancel(view.task.id).await.unwrap();
        }
    }
    assert_eq!((retry.done, retry.is_running()), (5, false));
    let all = yard.list(List {
        limit: 50,
        ..List::default()
    });
    let all = all.await.items;
    let mut retried: Vec<TaskId> = all.iter().filter_map(|view| view.task.retry_of).collect();
    retried.sort_unstable();
    assert_eq!(retried, [before, ahead].concat());
}
