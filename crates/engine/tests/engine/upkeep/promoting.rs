//! What is scheduled is given out at its time, however it came to be there.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use taskyard_core::id::TaskId;
use taskyard_core::query::Query;
use taskyard_core::status::Status;
use taskyard_core::verbs::submit::{Begin, NewTask, Submit};
use taskyard_engine::upkeep::Upkeep;

use super::{Counting, MINUTE, SECOND, gets, keep_up, two, yard};
use crate::front::{Fronted, HoldsBack};
use crate::yard::{Yard, model_whose_time_passes, settle};

async fn submit_later(yard: &Yard, wait: Duration) -> TaskId {
    let task = NewTask {
        begin: Begin::After(wait),
        ..yard.task("work")
    };
    let submitted = yard.engine.submit(Submit::of(vec![task])).await.unwrap();
    submitted.ids[0]
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_task_is_given_out_at_its_time() {
    let yard = yard();
    let _services = keep_up(&yard, Upkeep::default()).await;
    yard.worker("w", "work").await;
    settle().await;

    // Sooner than the promoter looks by itself.
    let task = submit_later(&yard, SECOND / 10).await;

    assert_eq!(gets(&yard, "w", SECOND / 5).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn what_is_scheduled_while_the_promoter_looks_is_given_out_at_its_time_too() {
    let is_look = |query: &Query| matches!(query, Query::NextDue { .. });
    let store = HoldsBack::around(model_whose_time_passes(), is_look);
    let yard = Yard::around(store.clone());
    let _services = keep_up(&yard, Upkeep::default()).await;
    yard.worker("w", "work").await;
    store.looked.notified().await;

    let task = submit_later(&yard, SECOND / 10).await;
    store.let_go.notify_one();

    assert_eq!(gets(&yard, "w", SECOND / 5).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn what_another_server_scheduled_is_found_too() {
    let (here, there) = two();
    let _services = keep_up(&here, Upkeep::default()).await;
    here.worker("w", "work").await;
    settle().await;

    let task = submit_later(&there, SECOND / 10).await;

    assert_eq!(gets(&here, "w", MINUTE).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn what_is_scheduled_far_ahead_costs_no_promotion() {
    let store = Arc::new(Fronted(Counting::default()));
    let yard = Yard::around(store.clone());
    let _services = keep_up(&yard, Upkeep::default()).await;
    settle().await;
    let before = store.promotions.load(Ordering::SeqCst);

    for seconds in [60, 50, 70] {
        submit_later(&yard, seconds * SECOND).await;
        settle().await;
    }

    assert_eq!(store.promotions.load(Ordering::SeqCst), before);
}

#[tokio::test(start_paused = true)]
async fn what_another_server_holds_is_looked_for_a_few_times_a_second() {
    let store = Arc::new(Fronted(Counting {
        something_is_due: true,
        ..Counting::default()
    }));
    let yard = Yard::around(store.clone());
    let _services = keep_up(&yard, Upkeep::default()).await;

    tokio::time::sleep(10 * SECOND).await;

    let looked = store.promotions.load(Ordering::SeqCst);
    assert!((90..=101).contains(&looked), "{looked} times in 10 s");
}

#[tokio::test(start_paused = true)]
async fn a_bad_scheduled_row_costs_the_others_nothing_and_is_seldom_tried_again() {
    let store = Arc::new(Fronted(Counting::default()));
    let yard = Yard::around(store.clone());
    let mut tasks = Vec::new();
    for _ in 0..20 {
        tasks.push(submit_later(&yard, SECOND).await);
    }
    let bad = tasks.remove(7);
    store.model.refuse(bad);
    let _services = keep_up(&yard, Upkeep::default()).await;

    tokio::time::sleep(2 * SECOND).await;

    let (good, before) = (Status::Pending, store.promotions.load(Ordering::SeqCst));
    for task in tasks {
        assert_eq!(yard.status(task).await, good);
    }
    assert_eq!(yard.status(bad).await, Status::Scheduled);
    tokio::time::sleep(10 * SECOND).await;
    let looked = store.promotions.load(Ordering::SeqCst) - before;
    assert!(looked <= 11, "{looked} promotions in 10 s");
}
