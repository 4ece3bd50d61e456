//! Operations are worked off, and a task that the database refuses to touch does not stop them.

use std::sync::Arc;
use std::time::Duration;

use taskyard_core::filter::Filter;
use taskyard_core::minute::What;
use taskyard_core::operation::{Act, Operation, State};
use taskyard_core::query::Query;
use taskyard_core::status::Status;
use taskyard_engine::services::operations::run_once;
use taskyard_engine::services::tally;
use taskyard_engine::upkeep::Upkeep;

use super::tallying::happened;
use super::upkeep::keep_up;
use super::yard::{Yard, claim_call, claimed, model, settle};

async fn operate(yard: &Yard, act: Act, filter: Filter) -> Operation {
    yard.operate(act, filter).await.operation.unwrap()
}

async fn work_off(yard: &Yard) {
    while run_once(&yard.engine).await.unwrap() {}
}

#[tokio::test(start_paused = true)]
async fn what_an_operation_makes_counts_as_submitted() {
    let yard = Yard::new();
    for _ in 0..3 {
        yard.submit("work").await.unwrap();
    }
    for (act, of) in [
        (Act::Cancel, Status::Pending),
        (Act::Retry, Status::Cancelled),
        (Act::Cancel, Status::Pending),
    ] {
        let filter = Filter {
            statuses: vec![of],
            ..Filter::default()
        };
        operate(&yard, act, filter).await;
        work_off(&yard).await;
    }

    tally::run_once(&yard.engine).await.unwrap();

    assert_eq!(happened(&yard, What::Submitted).await, 6);
    assert_eq!(happened(&yard, What::Cancelled).await, 6);
}

#[tokio::test(start_paused = true)]
async fn an_operation_passes_over_a_bad_task_and_does_the_others() {
    let store = Arc::new(model());
    let yard = Yard::around(store.clone());
    let tasks = yard.submit_many("work", 20).await;
    yard.worker("w", "work").await;
    for _ in 0..2 {
        let call = claim_call("w", Duration::ZERO);
        claimed(&yard.engine, call).await.unwrap();
    }
    store.refuse(tasks[7]);
    let operation = operate(&yard, Act::Cancel, Filter::default()).await;

    work_off(&yard).await;

    let operation = yard.engine.operation(operation.id).await.unwrap();
    assert!(matches!(operation.state, State::Done(_)));
    assert_eq!((operation.done, operation.skipped), (19, 1));
    for (place, task) in tasks.iter().enumerate() {
        let (status, is_bad) = (yard.status(*task).await, place == 7);
        assert_eq!(status == Status::Cancelled, !is_bad, "{place}: {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_skips_what_cannot_be_read_and_ends() {
    let store = Arc::new(model());
    let yard = Yard::around(store.clone());
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(yard.submit("work").await.unwrap());
    }
    // The last that an operation comes to, and one in between.
    store.blot(tasks[0]);
    store.blot(tasks[2]);
    let operation = operate(&yard, Act::Cancel, Filter::default()).await;

    work_off(&yard).await;

    let operation = yard.engine.operation(operation.id).await.unwrap();
    assert!(matches!(operation.state, State::Done(_)));
    assert_eq!((operation.done, operation.skipped), (2, 2));
    let ended = yard.engine.read(Query::Ended(tasks.clone())).await;
    let mut ended = ended.unwrap().ended();
    ended.sort_unstable();
    assert_eq!(ended, [tasks[1], tasks[3]]);
}

#[tokio::test(start_paused = true)]
async fn an_operation_is_begun_at_once() {
    let yard = Yard::new();
    let _services = keep_up(&yard, Upkeep::default()).await;
    let task = yard.submit("work").await.unwrap();
    // Those that look for operations have found none, and wait.
    settle().await;

    operate(&yard, Act::Cancel, Filter::default()).await;
    settle().await;

    assert_eq!(yard.status(task).await, Status::Cancelled);
}
