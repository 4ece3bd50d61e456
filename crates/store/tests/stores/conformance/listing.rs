//! Pages of queues.

use std::time::Duration;

use taskyard_core::name::Name;
use taskyard_core::query::{Query, QueueList, QueueView, QueuesListed};
use taskyard_core::status::Status;
use taskyard_core::verbs::set_queue::{QueueSet, SetQueue};

use super::yard::{Yard, failed, lane};

async fn page(yard: &Yard, list: &QueueList) -> QueuesListed {
    yard.store
        .read(Query::QueuePage(list.clone()))
        .await
        .unwrap()
        .queue_page()
}

/// Page after page, each as long as it may be, with how many there were.
async fn walk(yard: &Yard, limit: usize, look_at_max: usize) -> (Vec<QueueView>, usize) {
    let mut list = QueueList {
        after: None,
        limit,
        look_at_max,
    };
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        let listed = page(yard, &list).await;
        assert!(listed.items.len() <= limit);
        assert!(listed.next.is_none() || listed.next > list.after);
        found.extend(listed.items);
        pages += 1;
        list.after = listed.next;
        if list.after.is_none() {
            return (found, pages);
        }
    }
}

fn names(views: &[QueueView]) -> Vec<&str> {
    views.iter().map(|view| view.queue.name.as_str()).collect()
}

async fn submit(yard: &Yard, queue: &str, kind: &str) {
    let mut task = yard.task();
    task.lane = lane(queue, kind, None);
    yard.submit(task).await.unwrap();
}

async fn pause(yard: &Yard, queue: &str) {
    let pause = SetQueue {
        paused: Some(true),
        ..SetQueue::of(Name::path(queue).unwrap())
    };
    let QueueSet(_) = yard.run(pause).await.unwrap();
}

pub(super) async fn pages_of_queues_lose_and_repeat_none(yard: Yard) {
    assert_eq!(walk(&yard, 5, 5).await, (Vec::new(), 1));
    // Names are in the order of their bytes; some queues have many lanes, some only a row of their own.
    for (queue, kinds) in [
        ("b", 1),
        ("B", 2),
        ("a/b", 1),
        ("c", 7),
        ("c:d", 1),
        ("z", 3),
    ] {
        for kind in 0..kinds {
            submit(&yard, queue, &format!("kind-{kind}")).await;
        }
    }
    for queue in ["0", "b", "c-", "y", "zz"] {
        pause(&yard, queue).await;
    }
    let wanted = ["0", "B", "a/b", "b", "c", "c-", "c:d", "y", "z", "zz"];

    for (limit, look_at_max) in [(1, 1), (3, 2), (100, 1), (2, 100), (10, 100), (9, 15)] {
        let (found, pages) = walk(&yard, limit, look_at_max).await;

        assert_eq!(names(&found), wanted, "{limit} {look_at_max}");
        assert!(
            pages <= wanted.len() + 1,
            "{pages} of {limit} {look_at_max}"
        );
    }
    let (found, pages) = walk(&yard, 10, 15).await;
    assert_eq!(pages, 1, "it ends where there is nothing more");
    let pending = |view: &QueueView| view.tasks[Status::Pending];
    let tasks: Vec<i64> = found.iter().map(pending).collect();
    assert_eq!(tasks, [0, 2, 1, 1, 7, 0, 1, 0, 3, 0]);
    let paused: Vec<bool> = found.iter().map(|view| view.queue.is_paused).collect();
    let expected = [
        true, false, false, true, false, true, false, true, false, true,
    ];
    assert_eq!(paused, expected);
}

pub(super) async fn a_page_of_queues_looks_at_a_bounded_number_of_lanes(yard: Yard) {
    for (queue, kinds) in [("few", 2), ("many", 9), ("more", 1), ("most", 1)] {
        for kind in 0..kinds {
            submit(&yard, queue, &format!("kind-{kind}")).await;
        }
    }
    let mut list = QueueList {
        limit: 100,
        look_at_max: 3,
        ..QueueList::default()
    };

    let mut pages = Vec::new();
    loop {
        let listed = page(&yard, &list).await;
        pages.push(names(&listed.items).join(" "));
        list.after = listed.next;
        if list.after.is_none() {
            break;
        }
    }

    // One with too many is looked at alone.
    assert_eq!(pages, ["few", "many", "more most"]);
}

pub(super) async fn a_queue_tells_of_all_that_it_had_and_since_when_it_waits(yard: Yard) {
    let worker = yard.worker("w").await;
    submit(&yard, "q", "done").await;
    let run = yard.claim_one(&worker).await;
    yard.complete(&run).await.unwrap();
    submit(&yard, "q", "again").await;
    let run = yard.claim_one(&worker).await;
    yard.report(&run, failed(true)).await.unwrap();
    submit(&yard, "other", "echo").await;
    let (found, _) = walk(&yard, 10, 100).await;
    assert_eq!(names(&found), ["other", "q"]);
    assert_eq!((found[0].since, found[1].since), (Some(yard.now()), None));
    assert_eq!(found[1].tasks[Status::Completed], 1);
    assert_eq!(found[1].tasks[Status::Scheduled], 1);

    // It is due again, since before another of its lanes.
    yard.pass(Duration::from_mins(11));
    yard.promote().await;
    submit(&yard, "q", "late").await;

    let (found, _) = walk(&yard, 10, 100).await;
    let carry = yard.view(run.slot.task).await.carry;
    let due = carry.expect("it has failed once").run_at;
    assert_eq!(found[1].since, Some(due));
    assert!(due < yard.now());
    assert_eq!(found[1].tasks[Status::Pending], 2);
}

pub(super) async fn queues_of_before_a_reset_are_gone_and_hide_none(yard: Yard) {
    for queue in ["a", "b", "c", "d"] {
        submit(&yard, queue, "echo").await;
    }
    yard.store.reset().await.unwrap().unwrap();
    submit(&yard, "d", "echo").await;

    let (found, pages) = walk(&yard, 10, 1).await;

    assert_eq!(names(&found), ["d"]);
    assert!(pages > 1, "lanes stay, and are looked at");
    assert_eq!(walk(&yard, 1, 100).await.1, 1);
}
