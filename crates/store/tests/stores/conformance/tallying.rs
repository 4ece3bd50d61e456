//! What happened in each minute.

use std::time::Duration;

use taskyard_core::id::WorkerNumber;
use taskyard_core::lane::Lane;
use taskyard_core::minute::{Events, MINUTES_KEPT, Minute, MinuteKey, What};
use taskyard_core::name::Name;
use taskyard_core::query::{Minutes, Query};
use taskyard_core::verbs::tally::{Tallied, Tally, Worked};

use super::yard::Yard;

fn events(times: i64) -> Events {
    let mut events = Events::default();
    for (count, place) in events.counts.iter_mut().zip(1..) {
        *count = times * place;
    }
    for ms in 1..=times.unsigned_abs() {
        events.waits.push(Duration::from_millis(ms));
        events.runs.push(Duration::from_secs(ms * ms));
    }
    events
}

fn row(minute: i64, lane: Lane, times: i64) -> Minute {
    Minute {
        key: MinuteKey { minute, lane },
        events: events(times),
    }
}

async fn tally(yard: &Yard, minutes: Vec<Minute>) {
    let tally = Tally {
        minutes,
        ..Tally::default()
    };
    let tallied = yard.run(tally).await;
    let tallied: Result<Tallied, _> = tallied;
    tallied.unwrap();
}

async fn minutes(yard: &Yard, from: i64) -> Minutes {
    let mut found = yard
        .store
        .read(Query::Minutes { from })
        .await
        .unwrap()
        .minutes();
    found.minutes.sort_unstable_by_key(|row| row.key);
    found
}

pub(super) async fn what_happened_in_a_minute_adds_up(yard: Yard) {
    yard.new_task().await;
    let now = MinuteKey::minute_of(yard.now());
    let (lane, others) = (Lane(1), MinuteKey::OTHERS);
    assert!(minutes(&yard, 0).await.minutes.is_empty());

    tally(&yard, vec![row(now, lane, 3), row(now, others, 1)]).await;
    tally(&yard, vec![row(now - 1, lane, 2), row(now, lane, 4)]).await;

    let mut sum = row(now, lane, 3);
    sum.events.add(&events(4));
    let found = minutes(&yard, now).await;
    assert_eq!(found.minutes, [row(now, others, 1), sum.clone()]);
    assert_eq!(sum.events.count(What::Started), 2 * 7);
    let named = found
        .lanes
        .iter()
        .map(|(lane, key)| (*lane, key.kind.as_str()));
    assert_eq!(named.collect::<Vec<_>>(), [(lane, "work")]);
    let all = minutes(&yard, now - 1).await.minutes;
    assert_eq!(all[0], row(now - 1, lane, 2));
    assert_eq!(all.len(), 3);
}

pub(super) async fn minutes_that_nobody_asks_for_go(yard: Yard) {
    let now = MinuteKey::minute_of(yard.now());
    tally(&yard, vec![row(now, Lane(1), 1)]).await;
    yard.pass(Duration::from_mins(MINUTES_KEPT.unsigned_abs()));
    tally(&yard, vec![row(now + 60, Lane(1), 1)]).await;
    assert_eq!(minutes(&yard, 0).await.minutes.len(), 2);

    yard.pass(Duration::from_mins(1));
    tally(&yard, vec![row(now + 61, Lane(1), 1)]).await;

    let left = minutes(&yard, 0).await.minutes;
    let left: Vec<i64> = left.iter().map(|row| row.key.minute - now).collect();
    assert_eq!(left, [60, 61]);
}

pub(super) async fn what_came_of_a_workers_runs_is_added_to_its_row(yard: Yard) {
    let worker = yard.worker("w").await;
    let worked = |completed, failed| Worked { completed, failed };
    let tally = |name: &str, worked| Tally {
        workers: vec![(Name::plain(name).unwrap(), worked)],
        ..Tally::default()
    };
    for (name, worked) in [
        ("w", worked(3, 1)),
        ("nobody", worked(1, 1)),
        ("w", worked(2, 0)),
    ] {
        let tallied: Result<Tallied, _> = yard.run(tally(name, worked)).await;
        tallied.unwrap();
    }

    let row = yard
        .store
        .read(Query::Worker(worker.worker.clone()))
        .await
        .unwrap()
        .worker();
    let row = row.expect("it is there");
    assert_eq!((row.completed, row.failed), (5, 1));
    let numbers = vec![worker.number, WorkerNumber(77)];
    let named = yard
        .store
        .read(Query::Named(numbers))
        .await
        .unwrap()
        .named();
    assert_eq!(named, [(worker.number, worker.worker.clone())]);
}

pub(super) async fn what_came_of_its_runs_stays_when_a_worker_registers_again(yard: Yard) {
    let worker = yard.worker("w").await;
    let worked = Worked {
        completed: 3,
        failed: 1,
    };
    let tally = Tally {
        workers: vec![(worker.worker.clone(), worked)],
        ..Tally::default()
    };
    yard.run::<Tallied>(tally).await.unwrap();

    yard.worker("w").await;

    let row = yard
        .store
        .read(Query::Worker(worker.worker))
        .await
        .unwrap()
        .worker();
    let row = row.expect("it is there");
    assert_eq!((row.completed, row.failed), (3, 1));
}
