//! What is kept, counted and listed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use taskyard_core::filter::Filter;
use taskyard_core::id::{ServerNumber, TaskId};
use taskyard_core::labels::Labels;
use taskyard_core::name::Name;
use taskyard_core::query::{List, Listed, Query};
use taskyard_core::refused::Refused;
use taskyard_core::status::Status;
use taskyard_core::verbs::forget::{Forget, Forgotten, expired_before};
use taskyard_core::verbs::promote::Promote;
use taskyard_core::verbs::register::{Register, Registered};
use taskyard_core::verbs::submit::{Begin, NewTask};

use super::yard::{Yard, failed, lane};

pub(super) async fn time_does_not_go_back_with_the_clock(yard: Yard) {
    let time_of_a_batch = async || {
        let promote = Promote { limit: 1, skip: 0 }.into();
        let ran = yard.store.run(vec![promote], &yard.policy).await;
        ran.unwrap().now
    };
    let before = time_of_a_batch().await;

    yard.turn_back(Duration::from_hours(1));

    assert_eq!(yard.store.now(), before);
    assert_eq!(time_of_a_batch().await, before);
}

pub(super) async fn lists_filter_and_page(yard: Yard) {
    let mut all = Vec::new();
    for n in 0..10 {
        let kind = if n % 2 == 0 { "even" } else { "odd" };
        let labels = Labels::new([("third", if n % 3 == 0 { "yes" } else { "no" })]).unwrap();
        let task = NewTask {
            lane: lane("default", kind, None),
            labels,
            ..yard.task()
        };
        all.push(yard.submit(task).await.unwrap());
        yard.pass(Duration::from_millis(1));
    }
    let pages = async |filter: Filter, oldest_first: bool| -> Vec<TaskId> {
        let (mut found, mut after) = (Vec::new(), None);
        for _ in 0..20 {
            let list = List {
                filter: filter.clone(),
                oldest_first,
                after,
                limit: 3,
                ..List::default()
            };
            let page = yard.list(list).await;
            assert!(page.items.len() <= 3);
            found.extend(page.items.iter().map(|view| view.task.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        found
    };
    let newest_first = |keep: &dyn Fn(usize) -> bool| -> Vec<TaskId> {
        (0..10).rev().filter(|n| keep(*n)).map(|n| all[n]).collect()
    };

    assert_eq!(
        pages(Filter::default(), false).await,
        newest_first(&|_| true)
    );
    assert_eq!(pages(Filter::default(), true).await, all);
    let odd = Filter {
        kind: Some(Name::path("odd").unwrap()),
        ..Filter::default()
    };
    assert_eq!(pages(odd, false).await, newest_first(&|n| n % 2 == 1));
    let labels = vec![(Name::plain("third").unwrap(), Arc::from("yes"))];
    assert_eq!(
        pages(
            Filter {
                labels,
                ..Filter::default()
            },
            false
        )
        .await,
        newest_first(&|n| n % 3 == 0)
    );
    let nowhere = Filter {
        queue: Some(Name::path("nowhere").unwrap()),
        ..Filter::default()
    };
    assert_eq!(pages(nowhere, false).await, []);

    yard.cancel(all[4]).await.unwrap();
    let cancelled = Filter {
        statuses: vec![Status::Cancelled],
        ..Filter::default()
    };
    assert_eq!(pages(cancelled, false).await, [all[4]]);
    let pending = Filter {
        statuses: vec![Status::Pending],
        ..Filter::default()
    };
    let mut still: Vec<TaskId> = pages(pending, false).await;
    still.sort();
    assert_eq!(still, [&all[..4], &all[5..]].concat());
}

pub(super) async fn a_page_looks_at_no_more_tasks_than_it_may(yard: Yard) {
    let mut all = Vec::new();
    for n in 0..10 {
        let labels = Labels::new([("n", format!("{n}"))]).unwrap();
        let task = NewTask {
            labels,
            ..yard.task()
        };
        all.push(yard.submit(task).await.unwrap());
        yard.pass(Duration::from_millis(1));
    }
    let first = |label: &str, statuses: &[Status], look_at_max: usize| List {
        filter: Filter {
            statuses: statuses.to_vec(),
            labels: vec![(Name::plain("n").unwrap(), Arc::from(label))],
            ..Filter::default()
        },
        limit: 50,
        look_at_max,
        ..List::default()
    };
    let ids =
        |listed: &Listed| -> Vec<TaskId> { listed.items.iter().map(|view| view.task.id).collect() };

    // More wait than a page may look at, and exactly as many.
    for statuses in [&[][..], &[Status::Pending]] {
        let list = first("2", statuses, 4);
        let mut pages = vec![yard.list(list.clone()).await];
        while let Some(after) = pages.last().unwrap().next {
            let after = Some(after);
            pages.push(
                yard.list(List {
                    after,
                    ..list.clone()
                })
                .await,
            );
        }
        let found: Vec<_> = pages.iter().map(ids).collect();
        assert_eq!(found, [vec![], vec![all[2]], vec![]], "{statuses:?}");
        let next: Vec<_> = pages.iter().map(|page| page.next).collect();
        assert_eq!(next, [Some(all[6]), Some(all[2]), None], "{statuses:?}");

        let whole = yard.list(first("0", statuses, 10)).await;
        assert_eq!((ids(&whole), whole.next), (vec![all[0]], None));
    }
    // What ended is looked at in its own table, whatever came of it.
    for id in &all[..8] {
        yard.cancel(*id).await.unwrap();
    }
    let done = [Status::Completed, Status::Cancelled];
    let page = yard.list(first("1", &done, 10)).await;
    assert_eq!((ids(&page), page.next.is_none()), (vec![all[1]], true));
}

async fn counts(yard: &Yard) -> BTreeMap<Status, i64> {
    let counted = yard.store.read(Query::Counts).await.unwrap().counts();
    let by_status = counted.iter().flat_map(|counted| counted.tasks.iter());
    by_status.collect()
}

pub(super) async fn counts_follow_every_step(yard: Yard) {
    let worker = yard.worker("w").await;
    for _ in 0..4 {
        yard.new_task().await;
    }
    yard.submit(NewTask {
        begin: Begin::After(Duration::from_secs(60)),
        ..yard.task()
    })
    .await
    .unwrap();
    assert_eq!(
        counts(&yard).await,
        BTreeMap::from([(Status::Scheduled, 1), (Status::Pending, 4)])
    );

    let runs = yard.claim(&worker, 3).await;
    yard.complete(&runs[0]).await.unwrap();
    yard.report(&runs[1], failed(true)).await.unwrap();

    let expected = [
        (Status::Scheduled, 2),
        (Status::Pending, 1),
        (Status::Assigned, 1),
        (Status::Completed, 1),
    ];
    assert_eq!(counts(&yard).await, BTreeMap::from(expected));
}

pub(super) async fn it_is_told_which_of_many_tasks_have_ended(yard: Yard) {
    let (waits, cancelled) = (yard.new_task().await, yard.new_task().await);
    yard.cancel(cancelled).await.unwrap();
    let never_was = TaskId::new(yard.now(), 99);

    let asked = Query::Ended(vec![waits, cancelled, never_was]);
    let ended = yard.store.read(asked).await.unwrap().ended();

    assert_eq!(ended, [cancelled]);
}

async fn listed(yard: &Yard, after: Option<&str>, limit: usize) -> Vec<String> {
    let after = after.map(|name| Name::plain(name).unwrap());
    let workers = yard
        .store
        .read(Query::Workers { after, limit })
        .await
        .unwrap()
        .workers();
    let names = workers.iter().map(|view| view.worker.name.to_string());
    names.collect()
}

/// Online and offline.
async fn counted(yard: &Yard) -> (i64, i64) {
    let counts = yard
        .store
        .read(Query::WorkerCounts(yard.now()))
        .await
        .unwrap()
        .worker_counts();
    (counts.online, counts.offline)
}

/// Those that the service finds, and how many of them the rules forget.
async fn forget(yard: &Yard) -> (Vec<Name>, usize) {
    let gone = Query::Gone {
        expired: expired_before(&yard.policy, yard.now()),
        ahead: yard.policy.worker_believed_until(yard.now()),
        limit: 100,
    };
    let workers = yard.store.read(gone).await.unwrap().gone();
    let forget = Forget {
        workers: workers.clone(),
        is_asked_for: false,
    };
    (workers, yard.run::<Forgotten>(forget).await.unwrap().count)
}

pub(super) async fn workers_gone_for_long_are_forgotten_and_their_names_stay(yard: Yard) {
    let worker = yard.worker("gone").await;
    let task = yard.new_task().await;
    let run = yard.claim_one(&worker).await;
    yard.report(&run, failed(true)).await.unwrap();
    yard.pass(Duration::from_mins(1));
    yard.heartbeat(&worker, Vec::new()).await.unwrap();
    yard.promote().await;
    let run = yard.claim_one(&worker).await;
    yard.complete(&run).await.unwrap();

    yard.pass(yard.policy.worker_life - Duration::from_micros(1));
    yard.worker("here").await;
    assert_eq!(forget(&yard).await, (Vec::new(), 0));
    assert_eq!(
        (listed(&yard, None, 9).await.len(), counted(&yard).await),
        (2, (1, 1))
    );
    yard.pass(Duration::from_micros(1));
    let gone = Name::plain("gone").unwrap();
    assert_eq!(forget(&yard).await, (vec![gone.clone()], 1));
    assert_eq!(forget(&yard).await, (Vec::new(), 0));

    assert_eq!(
        (listed(&yard, None, 9).await, counted(&yard).await),
        (vec!["here".to_owned()], (1, 0))
    );
    assert_eq!(yard.view(task).await.worker, Some(gone.clone()));
    let attempts = yard
        .store
        .read(Query::Attempts {
            task,
            detail_max: usize::MAX,
        })
        .await
        .unwrap()
        .attempts();
    let ended = attempts.ended;
    let names = ended.into_iter().map(|(_, name)| name);
    assert_eq!(names.collect::<Vec<_>>(), [Some(gone)]);
    // Nobody gets its number, and it is who it was when it comes back.
    assert_ne!(yard.worker("new").await.number, worker.number);
    yard.heartbeat(&worker, Vec::new()).await.unwrap();
    assert_eq!(listed(&yard, None, 9).await, ["gone", "here", "new"]);
    let again = yard.worker("gone").await;
    assert_eq!(
        (again.number, again.epoch),
        (worker.number, worker.epoch.next())
    );
}

pub(super) async fn a_worker_that_came_back_is_not_forgotten(yard: Yard) {
    let worker = yard.worker("w").await;
    yard.pass(yard.policy.worker_life);
    let forget = Forget {
        workers: vec![worker.worker.clone(), Name::plain("nobody").unwrap()],
        is_asked_for: false,
    };
    yard.heartbeat(&worker, Vec::new()).await.unwrap();

    assert_eq!(
        yard.run::<Forgotten>(forget.clone()).await.unwrap().count,
        0
    );
    yard.pass(yard.policy.worker_life);
    assert_eq!(yard.run::<Forgotten>(forget).await.unwrap().count, 1);
    assert!(listed(&yard, None, 9).await.is_empty());

    yard.worker("w").await;
    assert_eq!(listed(&yard, None, 9).await, ["w"]);
}

pub(super) async fn workers_are_listed_in_pages(yard: Yard) {
    for name in ["c", "a", "d", "b"] {
        yard.worker(name).await;
    }

    assert_eq!(listed(&yard, None, 3).await, ["a", "b", "c"]);
    assert_eq!(listed(&yard, Some("c"), 3).await, ["d"]);
    assert_eq!(listed(&yard, Some("bb"), 1).await, ["c"]);
    assert!(listed(&yard, Some("d"), 3).await.is_empty());
}

pub(super) async fn a_worker_that_there_is_no_room_for_is_refused_until_one_is_forgotten(
    mut yard: Yard,
) {
    yard.policy.workers_max = 2;
    yard.worker("a").await;
    yard.pass(yard.policy.worker_life);
    yard.worker("b").await;

    let refused = Err(Refused::TooManyWorkers(2));
    assert_eq!(register(&yard, "c", None).await, refused);
    // Who is known takes no more room, and workers inside have theirs.
    assert!(register(&yard, "a", None).await.is_ok());
    assert!(register(&yard, "in", Some(ServerNumber(1))).await.is_ok());
    assert_eq!(register(&yard, "c", None).await, refused);

    yard.pass(yard.policy.worker_life);
    yard.policy.workers_max = 1;
    yard.worker("b").await;
    assert_eq!(forget(&yard).await.1, 2);

    let forgotten = register(&yard, "a", None).await;
    assert_eq!(forgotten, Err(Refused::TooManyWorkers(1)));
    yard.policy.workers_max = 2;
    // They are counted again.
    yard.pass(Duration::from_secs(1));
    // Two at once, and room for one of them.
    let answers = yard
        .answers(vec![
            registration("c", None).into(),
            registration("a", None).into(),
        ])
        .await;
    assert!(matches!(&answers[0], Ok(Ok(_))), "{answers:?}");
    let refused = Err(Refused::TooManyWorkers(2));
    assert_eq!(answers[1], Ok(refused));
}

fn registration(name: &str, server: Option<ServerNumber>) -> Register {
    Register {
        name: Name::plain(name).unwrap(),
        server,
        profile: Arc::default(),
        capacity: 1,
        if_new: false,
    }
}

async fn register(
    yard: &Yard,
    name: &str,
    server: Option<ServerNumber>,
) -> Result<Registered, Refused> {
    yard.run(registration(name, server)).await
}
