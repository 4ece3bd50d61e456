//! Cancel wins or loses at once, and the answer says which.

use std::time::Duration;

use taskyard_core::refused::Refused;
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::Claim;
use taskyard_core::verbs::submit::{Begin, NewTask};

use super::losing::suspect_beside;
use super::yard::{Yard, failed, held};

pub(super) async fn cancel_ends_a_task_wherever_it_stands(yard: Yard) {
    let worker = yard.worker("w").await;
    let leased = yard.new_task().await;
    let held = yard.claim_one(&worker).await;
    let running = yard.new_task().await;
    let begun = Claim {
        begin: true,
        ..worker.clone()
    };
    yard.claim_one(&begun).await;
    let retried = yard.new_task().await;
    let run = yard.claim_one(&worker).await;
    yard.report(&run, failed(true)).await.unwrap();
    let suspect = suspect_beside(&yard, &worker, &held).await;
    assert!(yard.view(suspect).await.counts().is_suspect());
    let later = yard
        .submit(NewTask {
            begin: Begin::After(Duration::from_secs(9)),
            ..yard.task()
        })
        .await
        .unwrap();
    let pending = yard.new_task().await;

    for (id, was) in [
        (leased, Status::Assigned),
        (running, Status::Running),
        (retried, Status::Scheduled),
        (later, Status::Scheduled),
        (suspect, Status::Pending),
        (pending, Status::Pending),
    ] {
        assert_eq!(yard.status(id).await, was);
        yard.cancel(id).await.unwrap();
        assert_eq!(yard.status(id).await, Status::Cancelled);
    }

    yard.pass(Duration::from_mins(1));
    assert_eq!(yard.promote().await, 0);
    assert!(yard.claim(&worker, 10).await.is_empty());
}

pub(super) async fn a_finished_task_cannot_be_cancelled(yard: Yard) {
    let id = yard.new_task().await;
    let run = yard.claim_one(&yard.worker("w").await).await;
    yard.complete(&run).await.unwrap();

    assert_eq!(
        yard.cancel(id).await,
        Err(Refused::AlreadyEnded(Status::Completed))
    );
    assert_eq!(yard.cancel(yard.task().id).await, Err(Refused::NoSuchTask));
}

pub(super) async fn a_cancelled_runs_result_is_refused(yard: Yard) {
    let id = yard.new_task().await;
    let worker = yard.worker("w").await;
    let run = yard.claim_one(&worker).await;
    yard.cancel(id).await.unwrap();

    assert_eq!(yard.complete(&run).await, Err(Refused::StaleLease));
    assert_eq!(
        yard.heartbeat(&worker, vec![held(&run)])
            .await
            .unwrap()
            .cancel,
        [id]
    );
    assert_eq!(yard.status(id).await, Status::Cancelled);
}
