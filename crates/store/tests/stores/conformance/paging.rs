//! Pages of lists, whatever is passed over on the way.

use std::time::Duration;

use taskyard_core::filter::Filter;
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::query::{List, TaskView};
use taskyard_core::status::Status;
use taskyard_core::verbs::submit::{Begin, NewTask};

use super::yard::{Yard, failed, lane};

/// Tasks of two queues and kinds that stand everywhere; one worker ended a few of them, the other most.
async fn fill(yard: &Yard) -> Vec<TaskView> {
    let (rare, frequent) = (yard.worker("rare").await, yard.worker("frequent").await);
    for n in 0..60 {
        let queue = ["left", "right"][n % 2];
        let kind = ["one", "two", "three"][n % 3];
        let begin = if n % 12 == 7 {
            Begin::After(Duration::from_hours(1))
        } else {
            Begin::Now
        };
        let task = NewTask {
            lane: lane(queue, kind, None),
            begin,
            ..yard.task()
        };
        let id = yard.submit(task).await.unwrap();
        yard.pass(Duration::from_millis(1));
        let waits = begin != Begin::Now || n % 4 == 2;
        if n % 11 == 6 {
            yard.cancel(id).await.unwrap();
        } else if !waits {
            let worker = if n % 20 == 5 { &rare } else { &frequent };
            let runs = yard.claim(worker, 1).await;
            for run in runs {
                match n {
                    0..50 if n % 7 == 0 => yard.report(&run, failed(false)).await.unwrap(),
                    0..50 => yard.complete(&run).await.unwrap(),
                    _ => Status::Assigned,
                };
            }
        }
    }
    let all = List {
        limit: 1000,
        ..List::default()
    };
    yard.list(all).await.items
}

fn name(name: &str) -> Option<Name> {
    Some(Name::plain(name).unwrap())
}

fn filters() -> Vec<Filter> {
    use Status::{Assigned, Cancelled, Completed, Failed, Pending, Running, Scheduled};
    let statuses: [&[Status]; 8] = [
        &[],
        &[Pending],
        &[Scheduled, Pending, Assigned, Running],
        &[Assigned],
        &[Completed],
        &[Failed, Cancelled],
        &[Pending, Failed],
        &[Scheduled, Completed, Cancelled],
    ];
    let lanes = [
        (None, None),
        (name("one"), None),
        (None, name("left")),
        (name("two"), name("right")),
        (name("unknown"), None),
    ];
    let workers = [None, name("rare"), name("frequent"), name("unknown")];
    let mut filters = Vec::new();
    for statuses in statuses {
        for (kind, queue) in &lanes {
            for worker in &workers {
                filters.push(Filter {
                    statuses: statuses.to_vec(),
                    kind: kind.clone(),
                    queue: queue.clone(),
                    worker: worker.clone(),
                    ..Filter::default()
                });
            }
        }
    }
    filters
}

pub(super) async fn pages_lose_and_repeat_nothing_whatever_they_pass_over(yard: Yard) {
    let all = fill(&yard).await;
    let places = |status| all.iter().filter(|view| view.status() == status).count();
    assert!(Status::ALL.map(places).iter().filter(|n| **n > 0).count() >= 6);

    for filter in filters() {
        let fitting = all.iter().filter(|view| filter.lets_through(view));
        let mut wanted: Vec<TaskId> = fitting.map(|view| view.task.id).collect();
        for oldest_first in [false, true] {
            for (limit, look_at_max) in [(3, 2), (5, 9), (50, 1000)] {
                let mut list = List {
                    filter: filter.clone(),
                    oldest_first,
                    limit,
                    look_at_max,
                    ..List::default()
                };
                let (mut found, mut pages) = (Vec::new(), 0);
                loop {
                    let page = yard.list(list.clone()).await;
                    assert!(page.items.len() <= limit);
                    found.extend(page.items.iter().map(|view| view.task.id));
                    pages += 1;
                    assert!(pages <= 40, "{filter:?} {oldest_first} {look_at_max}");
                    list.after = page.next;
                    if list.after.is_none() {
                        break;
                    }
                }
                assert_eq!(found, wanted, "{filter:?} {oldest_first} {look_at_max}");
            }
            wanted.reverse();
        }
    }
}

/// What it looks at is bounded, and so is what it passes over.
pub(super) async fn a_page_passes_over_a_bounded_number_of_tasks(yard: Yard) {
    let (rare, frequent) = (yard.worker("rare").await, yard.worker("frequent").await);
    for n in 0..45 {
        yard.new_task().await;
        let worker = if n == 0 { &rare } else { &frequent };
        let run = yard.claim_one(worker).await;
        yard.complete(&run).await.unwrap();
        yard.pass(Duration::from_millis(1));
    }
    let mut list = List {
        filter: Filter {
            worker: Some(rare.worker.clone()),
            ..Filter::default()
        },
        limit: 5,
        look_at_max: 2,
        ..List::default()
    };

    let mut pages = Vec::new();
    loop {
        let page = yard.list(list.clone()).await;
        pages.push(page.items.len());
        list.after = page.next;
        if list.after.is_none() {
            break;
        }
    }

    // Of 44 others ten are passed over a page; the model looks at each.
    let found = pages.iter().sum::<usize>();
    assert_eq!(found, 1, "{pages:?}");
    assert!([5, 23].contains(&pages.len()), "{pages:?}");
}
