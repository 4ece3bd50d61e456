//! Tasks that were kept long enough once they ended are found and taken away, and the others are not looked at each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use taskyard_core::id::{Fence, SlotKey, TaskId};
use taskyard_core::log::{Append, Limits, Line, Owner, Stream};
use taskyard_core::name::Name;
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::retention::Retention;
use taskyard_core::rows::Ended;
use taskyard_core::status::Status;
use taskyard_core::store::{Error, Store};
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::set_queue::SetQueue;
use taskyard_engine::services::STEP_ROWS_MAX;
use taskyard_engine::services::retain::{Places, run_once};
use taskyard_engine::upkeep::Upkeep;
use taskyard_store::model::Model;

use super::front::{Front, Fronted};
use super::upkeep::keep_up;
use super::yard::{Yard, model_whose_time_passes};

const HOUR: Duration = Duration::from_hours(1);

/// A store that counts how often it is looked for what has ended, each of which takes a while.
struct Looked {
    model: Model,
    looks: AtomicUsize,
    takes: Duration,
    /// So many older tasks have ended, of a queue that keeps what it has; only who looks for what has ended sees them.
    kept: AtomicUsize,
}

const KEEPS: &str = "keeps";

impl Looked {
    /// Those among the older tasks that stand behind `after`.
    fn kept(&self, after: TaskId, limit: usize) -> Vec<Ended> {
        let kept = self.kept.load(Ordering::SeqCst);
        let id = |place: usize| TaskId::new(Timestamp::default(), place as u128);
        let all = (0..kept).map(id).skip_while(|id| *id <= after);
        let row = |task| Ended {
            task,
            status: Status::Completed,
            ended_at: Timestamp::default(),
            queue: Name::path(KEEPS).unwrap(),
        };
        all.take(limit).map(row).collect()
    }
}

#[async_trait]
impl Front for Looked {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn read(&self, query: Query) -> Result<Answer, Error> {
        let Query::Relics { after, limit, .. } = query else {
            return self.model.read(query).await;
        };
        self.looks.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        let kept = self.kept(after, limit);
        if kept.is_empty() {
            return self.model.read(query).await;
        }
        Ok(Answer::Relics(kept))
    }
}

fn yard(retention: Retention) -> (Yard, Arc<Fronted<Looked>>) {
    yard_where_a_look_takes(Duration::ZERO, retention)
}

fn yard_where_a_look_takes(takes: Duration, retention: Retention) -> (Yard, Arc<Fronted<Looked>>) {
    let store = Arc::new(Fronted(Looked {
        model: model_whose_time_passes(),
        looks: AtomicUsize::new(0),
        takes,
        kept: AtomicUsize::new(0),
    }));
    let policy = Policy {
        key_life: Duration::from_mins(1),
        retention,
        ..Policy::default()
    };
    (Yard::under(policy, store.clone()), store)
}

/// So many tasks, all of which are cancelled.
async fn cancelled(yard: &Yard, count: usize) -> Vec<TaskId> {
    let tasks = yard.submit_many("work", count).await;
    for task in &tasks {
        yard.engine.cancel(*task).await.unwrap();
    }
    tasks
}

async fn left(yard: &Yard, tasks: &[TaskId]) -> usize {
    let query = Query::Known(tasks.to_vec());
    let known = yard.engine.read(query).await.unwrap().known();
    known.len()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_away_or_looked_for_unless_somebody_says_so() {
    let (yard, store) = yard(Retention::default());
    let tasks = cancelled(&yard, 3).await;
    tokio::time::sleep(1_000 * HOUR).await;

    assert_eq!(
        run_once(&yard.engine, &mut Places::default())
            .await
            .unwrap(),
        0
    );

    assert_eq!(left(&yard, &tasks).await, 3);
    assert_eq!(store.looks.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn the_service_takes_away_what_is_old_however_much_it_is() {
    let (yard, _) = yard(Retention::all(HOUR));
    let tasks = cancelled(&yard, 1_700).await;
    let _services = keep_up(&yard, Upkeep::default()).await;
    tokio::time::sleep(HOUR - Duration::from_mins(1)).await;
    assert_eq!(left(&yard, &tasks).await, 1_700);

    tokio::time::sleep(3 * Duration::from_mins(1)).await;

    assert_eq!(left(&yard, &tasks).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_bad_task_is_kept_and_the_others_go() {
    let (yard, store) = yard(Retention::all(HOUR));
    let tasks = cancelled(&yard, 600).await;
    // One among others, and one that is all that there is left of its step.
    let (bad, last) = (tasks[7], tasks[599]);
    store.model.refuse(bad);
    store.model.refuse(last);
    tokio::time::sleep(2 * HOUR).await;
    let mut places = Places::default();

    for _ in 0..2 {
        run_once(&yard.engine, &mut places).await.unwrap();
    }

    assert_eq!(left(&yard, &tasks).await, 2);
    assert_eq!(left(&yard, &[bad, last]).await, 2);
}

#[tokio::test(start_paused = true)]
async fn logs_go_with_their_tasks_however_many_there_are() {
    let policy = Policy {
        key_life: Duration::from_mins(1),
        retention: Retention::all(HOUR),
        ..Policy::default()
    };
    let yard = Yard::under(policy, Arc::new(model_whose_time_passes()));
    let going = cancelled(&yard, 1_100).await;
    tokio::time::sleep(2 * HOUR).await;
    let kept = cancelled(&yard, 3).await;
    let store = yard.engine.store();
    for task in going.iter().step_by(2).chain(&kept) {
        let append = Append {
            owner: Owner {
                run: SlotKey::only(*task).run(Fence(1)),
                attempt: 1,
                claimed_at: store.now(),
            },
            first: None,
            lines: vec![Line {
                at: store.now(),
                stream: Stream::Stdout,
                text: "hello".to_owned(),
            }],
            limits: Limits {
                bytes_max: 1_000,
                line_bytes_max: 100,
            },
        };
        store.logs().append(append).await.unwrap();
    }

    let gone = run_once(&yard.engine, &mut Places::default()).await;

    assert_eq!(gone.unwrap(), 1_100);
    let logged = store.logs().tasks(None, 10_000).await.unwrap();
    assert_eq!(logged, kept);
}

#[tokio::test(start_paused = true)]
async fn what_ended_late_and_what_a_queue_lets_go_is_found_behind_the_front() {
    let (yard, _) = yard(Retention::all(10 * HOUR));
    let late = yard.submit("work").await.unwrap();
    let early = cancelled(&yard, 1).await;
    let mut places = Places::default();
    tokio::time::sleep(11 * HOUR).await;
    yard.engine.cancel(late).await.unwrap();
    assert_eq!(run_once(&yard.engine, &mut places).await.unwrap(), 1);
    let kept = cancelled(&yard, 1).await;
    tokio::time::sleep(5 * HOUR).await;
    assert_eq!(run_once(&yard.engine, &mut places).await.unwrap(), 0);

    tokio::time::sleep(5 * HOUR).await;
    // Two that stand behind the front by now, or in front of it.
    let mut taken = 0;
    for _ in 0..2 {
        taken += run_once(&yard.engine, &mut places).await.unwrap();
    }
    assert_eq!(taken, 2);
    assert_eq!(left(&yard, &[late, early[0], kept[0]]).await, 0);

    let last = cancelled(&yard, 1).await;
    tokio::time::sleep(HOUR).await;
    let sooner = SetQueue {
        retention: Some(Some(Retention::all(HOUR))),
        ..SetQueue::of(Name::path("default").unwrap())
    };
    assert_eq!(run_once(&yard.engine, &mut places).await.unwrap(), 0);
    yard.engine.set_queue(sooner).await.unwrap();
    assert_eq!(run_once(&yard.engine, &mut places).await.unwrap(), 1);
    assert_eq!(left(&yard, &last).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_round_that_finds_nothing_looks_at_so_much_and_no_more() {
    let completed = Retention {
        completed: Some(HOUR),
        ..Retention::default()
    };
    let (yard, store) = yard(completed);
    cancelled(&yard, 1_200).await;
    tokio::time::sleep(2 * HOUR).await;
    let mut places = Places::default();

    run_once(&yard.engine, &mut places).await.unwrap();
    let first = store.looks.swap(0, Ordering::SeqCst);
    run_once(&yard.engine, &mut places).await.unwrap();
    let second = store.looks.swap(0, Ordering::SeqCst);

    // 1,200 rows are three steps; behind the front there is nothing yet, then all of it again.
    assert_eq!((first, second), (3 + 1, 1 + 3));
}

/// More than a walk that finds nothing passes by in a round.
const MANY: usize = 130 * STEP_ROWS_MAX;

#[tokio::test(start_paused = true)]
async fn one_round_comes_to_what_may_go_however_much_that_is_kept_stands_before_it() {
    let (yard, store) = yard(Retention::all(HOUR));
    keep_for_good(&yard, KEEPS).await;
    store.kept.store(MANY, Ordering::SeqCst);
    let tasks = cancelled(&yard, 3 * STEP_ROWS_MAX + 1).await;
    tokio::time::sleep(2 * HOUR).await;

    let taken = run_once(&yard.engine, &mut Places::default()).await;

    assert_eq!(taken.unwrap(), tasks.len());
    assert_eq!(left(&yard, &tasks).await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_longer_goes_when_its_time_has_come_though_others_go_sooner() {
    let (yard, store) = yard(Retention::all(10 * HOUR));
    keep_for_good(&yard, KEEPS).await;
    let sooner = SetQueue {
        retention: Some(Some(Retention::all(HOUR))),
        ..SetQueue::of(Name::path("sooner").unwrap())
    };
    yard.engine.set_queue(sooner).await.unwrap();
    store.kept.store(MANY, Ordering::SeqCst);
    let tasks = cancelled(&yard, 3).await;
    let mut places = Places::default();
    tokio::time::sleep(2 * HOUR).await;
    assert_eq!(run_once(&yard.engine, &mut places).await.unwrap(), 0);
    tokio::time::sleep(9 * HOUR).await;

    assert_eq!(run_once(&yard.engine, &mut places).await.unwrap(), 3);

    assert_eq!(left(&yard, &tasks).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_round_takes_a_fifth_of_the_time_and_leaves_the_rest_to_others() {
    let takes = Duration::from_millis(10);
    let (yard, store) = yard_where_a_look_takes(takes, Retention::all(HOUR));
    keep_for_good(&yard, KEEPS).await;
    store.kept.store(10 * STEP_ROWS_MAX, Ordering::SeqCst);
    tokio::time::sleep(2 * HOUR).await;
    let began = tokio::time::Instant::now();

    run_once(&yard.engine, &mut Places::default())
        .await
        .unwrap();

    let looks = u32::try_from(store.looks.load(Ordering::SeqCst)).unwrap();
    assert!(looks > 10, "{looks}");
    assert_eq!(began.elapsed(), 5 * takes * looks);
}

async fn keep_for_good(yard: &Yard, queue: &str) {
    let keeps = SetQueue {
        retention: Some(Some(Retention::default())),
        ..SetQueue::of(Name::path(queue).unwrap())
    };
    yard.engine.set_queue(keeps).await.unwrap();
}
