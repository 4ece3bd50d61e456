//! How much there is to do and by whom.

use std::time::Duration;

use taskyard_core::counter::Counter;
use taskyard_core::id::ServerNumber;
use taskyard_core::name::Name;
use taskyard_core::query::{Query, Staff, Survey};
use taskyard_core::status::Status;
use taskyard_core::time::Timestamp;

use super::yard::{Yard, failed, lane};

async fn survey(yard: &Yard, lanes: usize) -> Survey {
    let query = Query::Survey {
        now: yard.now(),
        lanes,
    };
    yard.store.read(query).await.unwrap().survey()
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
    assert_eq!(survey_of_all.tasks[Status::Pending], 3);
    let pending = survey_of_all.pending.iter();
    let pending: Vec<(&str, i64)> = pending
        .map(|(name, tasks)| (name.as_str(), *tasks))
        .collect();
    assert_eq!(pending, [("images", 2), ("mail", 1)]);
}

pub(super) async fn sums_are_of_all_and_name_the_queues_and_kinds_that_have_most(yard: Yard) {
    for (queue, kind) in [
        ("a", "thumb"),
        ("b", "mail"),
        ("b", "thumb"),
        ("c", "mail"),
        ("d", "thumb"),
    ] {
        let mut task = yard.task();
        task.lane = lane(queue, kind, None);
        let id = yard.submit(task).await.unwrap();
        if queue == "c" {
            yard.cancel(id).await.unwrap();
        }
    }

    let [none, some, all] = [0, 2, 9].map(|names| Query::Sums { names });
    let [none, some, all] = [none, some, all].map(|query| yard.store.read(query));
    let mut sums = Vec::new();
    for read in [none, some, all] {
        let found = read.await.unwrap().sums();
        sums.push(found);
    }

    let named = |sums: &[(Name, Counter)]| -> Vec<(String, i64, i64)> {
        let each = sums.iter().map(|(name, tasks)| {
            let (waits, over) = (tasks[Status::Pending], tasks[Status::Cancelled]);
            (name.to_string(), waits, over)
        });
        each.collect()
    };
    let row = |name: &str, waits, over| (name.to_owned(), waits, over);
    for found in &sums {
        let (waits, over) = (found.all[Status::Pending], found.all[Status::Cancelled]);
        assert_eq!((waits, over, found.all.total()), (4, 1, 5));
    }
    assert_eq!(
        (named(&sums[0].by_queue), named(&sums[0].by_kind)),
        (vec![], vec![])
    );
    assert_eq!(named(&sums[1].by_queue), [row("b", 2, 0), row("a", 1, 0)]);
    let queues = [
        row("b", 2, 0),
        row("a", 1, 0),
        row("c", 0, 1),
        row("d", 1, 0),
    ];
    assert_eq!(named(&sums[2].by_queue), queues);
    for found in &sums[1..] {
        assert_eq!(
            named(&found.by_kind),
            [row("thumb", 3, 0), row("mail", 1, 1)]
        );
    }
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
