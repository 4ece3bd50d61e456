//! Runs that take too long, by a clock that may be set.

use std::time::Duration;

use taskyard_core::refused::Refused;
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::Claim;
use taskyard_core::verbs::expire::{Sight, Step};
use taskyard_core::verbs::heartbeat::Held;
use taskyard_core::verbs::submit::NewTask;

use super::yard::{Yard, held};

pub(super) async fn a_run_from_before_the_clock_was_set_forward_has_that_much_more_time(
    yard: Yard,
) {
    let (by, timeout) = (Duration::from_hours(1), Duration::from_mins(2));
    let worker = Claim {
        begin: true,
        ..yard.worker("w").await
    };
    let mut runs = Vec::new();
    for begun_after_the_step in [false, true] {
        if begun_after_the_step {
            yard.pass(by);
        }
        let task = NewTask {
            timeout: Some(timeout),
            ..yard.task()
        };
        yard.submit(task).await.unwrap();
        runs.push(yard.claim_one(&worker).await);
        if !begun_after_the_step {
            yard.pass(Duration::from_secs(60));
        }
    }
    let sight = Sight {
        grace: true,
        step: Step { at: yard.now(), by },
        ..Sight::default()
    };

    assert_eq!(yard.sweep_with(sight).await, []);
    yard.pass(Duration::from_secs(60) + yard.policy.timeout_margin);
    assert_eq!(yard.sweep_with(sight).await, [runs[0].slot.task]);
    yard.pass(Duration::from_secs(60));
    assert_eq!(yard.sweep_with(sight).await, [runs[1].slot.task]);
}

pub(super) async fn an_overdue_run_times_out(yard: Yard) {
    let task = NewTask {
        timeout: Some(Duration::from_secs(20)),
        max_attempts: Some(2),
        ..yard.task()
    };
    let id = yard.submit(task).await.unwrap();
    let worker = yard.worker("w").await;
    let run = yard.claim_one(&worker).await;
    yard.pass(Duration::from_secs(5));
    yard.heartbeat(
        &worker,
        vec![Held {
            running: true,
            ..held(&run)
        }],
    )
    .await
    .unwrap();
    assert_eq!(yard.status(id).await, Status::Running);

    yard.pass(Duration::from_secs(29));
    yard.heartbeat(&worker, vec![held(&run)]).await.unwrap();
    assert!(yard.sweep(false).await.is_empty());
    yard.pass(Duration::from_secs(1));
    assert_eq!(yard.sweep(false).await, [id]);

    let view = yard.view(id).await;
    assert_eq!(
        (view.status(), view.counts().failures),
        (Status::Scheduled, 1)
    );
    assert_eq!(yard.complete(&run).await, Err(Refused::StaleLease));
}

pub(super) async fn a_lease_ends_at_its_time_and_not_before(yard: Yard) {
    let task = yard.new_task().await;
    let worker = yard.worker("w").await;
    yard.claim_one(&worker).await;
    let moment = Duration::from_micros(1);

    yard.pass(yard.policy.lease - moment);
    // The worker lives, and does not name it.
    yard.heartbeat(&worker, Vec::new()).await.unwrap();
    assert_eq!(yard.sweep(false).await, []);

    yard.pass(moment);
    assert_eq!(yard.sweep(false).await, [task]);
}
