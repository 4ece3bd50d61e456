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
use taskyard_core::store::{Error, Store};
use taskyard_core::verbs::set_queue::SetQueue;
use taskyard_core::verbs::submit::Submit;
use taskyard_engine::services::retain::{Places, run_once};
use taskyard_engine::upkeep::Upkeep;
use taskyard_store::model::Model;

use super::front::{Front, Fronted};
use super::upkeep::keep_up;
use super::yard::{Yard, model_whose_time_passes};

const HOUR: Duration = Duration::from_hours(1);

/// A store that counts how often it is looked for what has ended.
struct Looked {
    model: Model,
    looks: AtomicUsize,
}

#[async_trait]
impl Front for Looked {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn read(&self, query: Query) -> Result<Answer, Error> {
        if matches!(query, Query::Relics { .. }) {
            self.looks.fetch_add(1, Ordering::SeqCst);
        }
        self.model.read(query).await
    }
}

fn yard(retention: Retention) -> (Yard, Arc<Fronted<Looked>>) {
    let store = Arc::new(Fronted(Looked {
        model: model_whose_time_passes(),
        looks: AtomicUsize::new(0),
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
    let tasks = (0..count).map(|_| yard.task("work")).collect();
    let submit = Submit {
        tasks,
        once: None,
        again: false,
    };
    let ids = yard.engine.submit(submit).await.unwrap().ids;
    for task in &*ids {
        yard.engine.cancel(*task).await.unwrap();
    }
    ids.to_vec()
}

async fn left(yard: &Yard, tasks: &[TaskId]) -> usize {
    let query = Query::Known(tasks.to_vec());
    let Ok(Answer::Known(known)) = yard.engine.read(query).await else {
        panic!("a query is answered in kind")
    };
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
