//! How much there is to do and by whom.

use std::time::Duration;

use taskyard_core::id::ServerNumber;
use taskyard_core::query::{Answer, Query, Staff, Survey};
use taskyard_core::status::Status;
use taskyard_core::time::Timestamp;

use super::yard::{Yard, failed, lane};

async fn survey(yard: &Yard, lanes: usize) -> Survey {
    let query = Query::Survey {
        now: yard.now(),
        lanes,
    };
    match yard.store.read(query).await {
        Ok(Answer::Survey(survey)) => survey,
        other => panic!("a query is answered in kind, not with {other:?}"),
    }
}

fn waiting(survey: &Survey) -> Vec<(String, Timestamp)> {
    let waiting = survey.waiting.iter();
    waiting
        .map(|(queue, since)| (queue.to_string(), *since))
        .collect()
}

async fn submit_to(yard: &Yard, queue: &str) -> Timestamp {
    let mut task = yard.task();
    task.lane = lane(queue, "echo", None);
    yard.submit(task).await.unwrap();
    yard.now()
}

pub(super) async fn a_survey_tells_since_when_each_lane_waits(yard: Yard) {
    let first = submit_to(&yard, "images").await;
    yard.pass(Duration::from_secs(5));
    submit_to(&yard, "images").await;
    let other = submit_to(&yard, "mail").await;

    let survey_of_all = survey(&yard, 100).await;

    let waits = [("images".to_owned(), first), ("mail".to_owned(), other)];
    assert_eq!(waiting(&survey_of_all), waits);
    assert_eq!(waiting(&survey(&yard, 1).await), waits[..1]);
    let pending = survey_of_all.counts.iter();
    let pending = pending.map(|counted| counted.tasks[Status::Pending]);
    assert_eq!(pending.sum::<i64>(), 3);
}

pub(super) async fn what_came_back_waits_since_it_was_due_again(yard: Yard) {
    let worker = yard.worker("w").await;
    let task = yard.new_task().await;
    let run = yard.claim_one(&worker).await;
    assert!(waiting(&survey(&yard, 100).await).is_empty());
    yard.report(&run, failed(true)).await.unwrap();
    yard.pass(Duration::from_mins(11));
    yard.promote().await;

    let waits = waiting(&survey(&yard, 100).await);

    let carry = yard.view(task).await.carry.expect("it has failed once");
    assert_eq!(waits.len(), 1);
    assert_eq!(waits[0].1, carry.run_at);
}

pub(super) async fn a_survey_tells_workers_inside_from_those_outside(yard: Yard) {
    yard.worker("silent").await;
    yard.pass(Duration::from_mins(1));
    yard.worker("here").await;
    yard.worker("there").await;
    yard.internal_worker("worker-1", ServerNumber(1)).await;

    let staff = survey(&yard, 100).await.staff;

    let (online, offline, internal) = (2, 1, 1);
    assert_eq!(
        staff,
        Staff {
            online,
            offline,
            internal
        }
    );
}
