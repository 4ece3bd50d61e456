//! Payloads that are no JSON any more: a store hands them over as they are, and reads the rows that hold them.

use std::time::Duration;

use taskyard_core::explain::Explain;
use taskyard_core::id::TaskId;
use taskyard_core::json::Json;
use taskyard_core::query::{List, Query, Standing};
use taskyard_core::refused::Refused;
use taskyard_core::rows::Failure;
use taskyard_core::status::Status;
use taskyard_core::store::Error;
use taskyard_core::verbs::claim::Hand;
use taskyard_core::verbs::report::Word;
use taskyard_core::verbs::submit::NewTask;

use super::yard::{Yard, ids};

const SECOND: Duration = Duration::from_secs(1);

pub(super) async fn what_is_damaged_hinders_no_decision(yard: Yard) {
    let worker = yard.worker("w").await;
    let mut tasks = Vec::new();
    for _ in 0..3 {
        tasks.push(yard.new_task().await);
    }
    let runs = yard.claim(&worker, 3).await;
    yard.complete(&runs[0]).await.unwrap();
    // It brings along what went wrong.
    let error = Failure {
        detail: Some(Json::stored("[1]")),
        ..Failure::new("boom", "it broke")
    };
    let failed = Word::Failed { error, retry: true };
    yard.report(&runs[2], failed).await.unwrap();
    yard.pass(SECOND);
    yard.promote().await;
    yard.claim_one(&worker).await;
    tasks.push(yard.new_task().await);
    for task in &tasks {
        yard.place.spoil(*task).await;
    }

    // The same report again, a cancel of what has ended, of a run and of what waits, and a sweep.
    assert_eq!(yard.complete(&runs[0]).await, Ok(Status::Completed));
    let ended = Refused::AlreadyEnded(Status::Completed);
    assert_eq!(yard.cancel(tasks[0]).await.unwrap_err(), ended);
    for cancelled in [1, 3] {
        yard.cancel(tasks[cancelled]).await.unwrap();
    }
    yard.pass(yard.policy.lease);
    assert_eq!(yard.sweep(false).await, [tasks[2]]);
}

pub(super) async fn a_damaged_input_is_handed_out_beside_the_others_and_told_from_them(yard: Yard) {
    let worker = yard.worker("w").await;
    let mut tasks = Vec::new();
    // The longer ones come with the commit.
    for bytes in [1, 1, 100_000, 100_000] {
        let input = Json::stored(format!("{:?}", "x".repeat(bytes)));
        let task = NewTask {
            input,
            ..yard.task()
        };
        tasks.push(yard.submit(task).await.unwrap());
    }
    for bad in [tasks[1], tasks[2]] {
        yard.place.spoil(bad).await;
    }

    let runs = yard.claim(&worker, 4).await;

    assert_eq!(ids(&runs), tasks);
    let are_whole = runs
        .iter()
        .map(|run| run.input.as_ref().unwrap().is_whole());
    assert_eq!(are_whole.collect::<Vec<_>>(), [true, false, false, true]);
    let mut hand = Hand {
        runs,
        ..Hand::default()
    };
    let report = hand.take_damaged().unwrap();
    assert_eq!(ids(&hand.runs), [tasks[0], tasks[3]]);
    let failed: Vec<TaskId> = report
        .results
        .iter()
        .map(|result| result.token.slot.task)
        .collect();
    assert_eq!(failed, tasks[1..3]);
    yard.answers(vec![report.into()]).await;
    assert_eq!(yard.status(tasks[1]).await, Status::Failed);
    assert_eq!(hand.take_damaged().map(|report| report.results.len()), None);
}

pub(super) async fn a_row_that_cannot_be_shown_hinders_no_decision(yard: Yard) {
    let worker = yard.worker("w").await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(yard.new_task().await);
    }
    let runs = yard.claim(&worker, 3).await;
    for task in &tasks {
        yard.place.blot(*task).await;
    }

    // A result, a cancel, a sweep, and a claim that comes to what is left.
    assert_eq!(yard.complete(&runs[0]).await, Ok(Status::Completed));
    yard.cancel(tasks[1]).await.unwrap();
    yard.pass(yard.policy.lease);
    assert_eq!(yard.sweep(false).await, [tasks[2]]);
    let healthy = yard.new_task().await;
    let worker = yard.worker("v").await;
    let again = yard.claim(&worker, 9).await;

    assert_eq!(ids(&again), [tasks[2], tasks[3], healthy]);
    for task in tasks {
        let explain = Explain::new(task, yard.now());
        for query in [Query::Task(task), Query::Explain(explain)] {
            let read = yard.store.read(query).await;
            let Err(Error::Unreadable(why)) = &read else {
                panic!("{read:?}")
            };
            assert_eq!(why, "task.origin cannot be 99");
        }
    }
}

pub(super) async fn what_is_damaged_keeps_no_row_from_being_read(yard: Yard) {
    let worker = yard.worker("w").await;
    let (waits, failed) = (yard.new_task().await, yard.new_task().await);
    let runs = yard.claim(&worker, 2).await;
    let error = Failure {
        detail: Some(Json::stored("[1]")),
        ..Failure::new("boom", "it broke")
    };
    let words = [
        (
            0,
            Word::Completed {
                output: Json::null(),
            },
        ),
        (1, Word::Failed { error, retry: true }),
    ];
    for (run, word) in words {
        yard.report(&runs[run], word).await.unwrap();
    }
    for task in [waits, failed] {
        yard.place.spoil(task).await;
    }

    let listed = yard
        .list(List {
            limit: 9,
            payload: true,
            oldest_first: true,
            ..List::default()
        })
        .await;

    assert_eq!(listed.unreadable, []);
    let [completed, failed] = &listed.items[..] else {
        panic!("{listed:?}")
    };
    for view in [completed, failed] {
        assert!(!view.task.input.here().unwrap().is_whole());
        assert_eq!(view.task.labels, None);
    }
    let Standing::Ended(outcome) = &completed.standing else {
        panic!("{completed:?}")
    };
    assert!(!outcome.output.as_ref().unwrap().is_whole());
    let error = failed.carry.as_ref().unwrap().error.here().unwrap();
    assert!(!error.detail.as_ref().unwrap().is_whole());
}
