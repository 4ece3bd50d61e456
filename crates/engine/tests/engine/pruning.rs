//! What the services take away of themselves, and come to however much stands before it.

use std::sync::Arc;
use std::time::Duration;

use taskyard_core::filter::Filter;
use taskyard_core::operation::Act;
use taskyard_core::policy::Policy;
use taskyard_core::query::Query;
use taskyard_core::refused::Refused;
use taskyard_core::verbs::submit::{NewTask, Submit};
use taskyard_engine::error::Error;
use taskyard_engine::services::{STEP_ROWS_MAX, free};
use taskyard_engine::upkeep::Upkeep;

use super::upkeep::keep_up;
use super::yard::{Yard, model_whose_time_passes};

const MINUTE: Duration = Duration::from_mins(1);

fn keyed(yard: &Yard, key: usize) -> NewTask {
    NewTask {
        unique_key: Some(format!("key-{key}").into()),
        ..yard.task("work")
    }
}

/// How many keys of tasks that have ended there are.
async fn freeable(yard: &Yard) -> usize {
    let query = Query::Freeable {
        after: None,
        limit: 2 * STEP_ROWS_MAX,
    };
    yard.engine.read(query).await.unwrap().freeable().keys.len()
}

#[tokio::test(start_paused = true)]
async fn unique_keys_of_tasks_that_have_ended_are_taken_away() {
    let yard = Yard::around(Arc::new(model_whose_time_passes()));
    let _services = keep_up(&yard, Upkeep::default()).await;
    let submit = Submit::of(vec![keyed(&yard, 1)]);
    let task = yard.engine.submit(submit).await.unwrap().ids[0];
    yard.engine.cancel(task).await.unwrap();
    assert_eq!(freeable(&yard).await, 1);

    tokio::time::sleep(2 * MINUTE).await;

    assert_eq!(freeable(&yard).await, 0);
}

#[tokio::test(start_paused = true)]
async fn keys_behind_many_that_are_held_are_come_to() {
    let yard = Yard::around(Arc::new(model_whose_time_passes()));
    let tasks = (0..=STEP_ROWS_MAX).map(|key| keyed(&yard, key)).collect();
    let submit = Submit::of(tasks);
    let submitted = yard.engine.submit(submit).await.unwrap();
    let last = *submitted.ids.iter().max().unwrap();
    yard.engine.cancel(last).await.unwrap();

    let mut place = None;
    let mut freed = Vec::new();
    for _ in 0..2 {
        freed.push(free::run_once(&yard.engine, &mut place).await.unwrap());
    }

    assert_eq!(freed, [0, 1]);
    assert_eq!(freeable(&yard).await, 0);
}

#[tokio::test(start_paused = true)]
async fn operations_that_ended_long_ago_are_forgotten() {
    let policy = Policy {
        operation_life: 3 * MINUTE,
        ..Policy::default()
    };
    let yard = Yard::under(policy, Arc::new(model_whose_time_passes()));
    let _services = keep_up(&yard, Upkeep::default()).await;
    let id = yard.operate(Act::Cancel, Filter::default()).await.id;

    tokio::time::sleep(2 * MINUTE).await;
    assert!(!yard.engine.operation(id).await.unwrap().is_running());
    tokio::time::sleep(3 * MINUTE).await;

    let gone = yard.engine.operation(id).await;
    assert!(matches!(
        gone,
        Err(Error::Refused(Refused::NoSuchOperation))
    ));
}
