//! Servers that share a database: what one does, those who wait at another hear of.

use std::sync::Arc;
use std::time::Duration;

use taskyard_core::status::Status;
use tokio::time::Instant;

use super::yard::{Yard, model, settle};

const MINUTE: Duration = Duration::from_mins(1);

/// Two servers on one database.
fn two() -> (Yard, Yard) {
    let store = Arc::new(model());
    (Yard::around(store.clone()), Yard::around(store))
}

#[tokio::test(start_paused = true)]
async fn a_reader_hears_of_an_end_at_another_server_once_it_looks_again() {
    let (here, there) = two();
    there.worker("w", "work").await;
    let task = there.submit("work").await.unwrap();
    let engine = here.engine.clone();
    let started = Instant::now();
    let reader = tokio::spawn(async move { engine.task(task, MINUTE).await });
    let run = there.claim_one("w").await;
    here.engine.look_again(None);
    settle().await;
    assert!(!reader.is_finished(), "it has not ended yet");

    there.complete(&run).await.unwrap();
    here.engine.look_again(None);

    assert_eq!(reader.await.unwrap().unwrap().status(), Status::Completed);
    assert_eq!(started.elapsed(), Duration::ZERO);
}
