//! Scheduled rows that are passed over because they were found to be bad.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use taskyard_core::command::Command;
use taskyard_core::policy::Policy;
use taskyard_core::status::Status;
use taskyard_core::store::{self, Ran, Store};
use taskyard_core::verbs::promote::Promote;
use taskyard_core::verbs::submit::{Begin, NewTask, Submit};
use taskyard_engine::upkeep::Upkeep;
use taskyard_store::model::Model;

use super::front::{Front, Fronted};
use super::upkeep::keep_up;
use super::yard::{Yard, model_whose_time_passes};

const SECOND: Duration = Duration::from_secs(1);

/// A store whose first scheduled row cannot be promoted while it is bad.
struct Mended {
    model: Model,
    is_bad: AtomicBool,
}

#[async_trait]
impl Front for Mended {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, store::Error> {
        let meets_it =
            |command: &Command| matches!(command, Command::Promote(Promote { skip: 0, .. }));
        if self.is_bad.load(Ordering::SeqCst) && batch.iter().any(meets_it) {
            return Err(store::Error::Failed("it is bad".to_owned()));
        }
        self.model.run(batch, policy).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_that_was_passed_over_is_given_out_once_it_was_mended() {
    let store = Arc::new(Fronted(Mended {
        model: model_whose_time_passes(),
        is_bad: AtomicBool::new(true),
    }));
    let yard = Yard::around(store.clone());
    let later = NewTask {
        begin: Begin::After(SECOND),
        ..yard.task("work")
    };
    let submit = Submit::of(vec![later]);
    let task = yard.engine.submit(submit).await.unwrap().ids[0];
    let _services = keep_up(&yard, Upkeep::default()).await;
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(yard.status(task).await, Status::Scheduled);

    store.is_bad.store(false, Ordering::SeqCst);
    tokio::time::sleep(2 * Duration::from_mins(1)).await;

    assert_eq!(yard.status(task).await, Status::Pending);
}
