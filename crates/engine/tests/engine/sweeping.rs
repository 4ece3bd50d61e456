//! What the sweep takes away, and in which order it looks.

use std::sync::Arc;
use std::time::Duration;

use taskyard_core::policy::Policy;
use taskyard_core::query::Query;
use taskyard_core::status::Status;
use taskyard_core::verbs::expire::Sight;
use taskyard_engine::engine::ClaimCall;
use taskyard_engine::services::STEP_ROWS_MAX;
use taskyard_engine::services::sweep::look_for_lost;
use taskyard_engine::upkeep::Upkeep;

use super::upkeep::keep_up;
use super::yard::{Yard, claim_call, claimed, model_whose_time_passes, settle, take_time};

/// Longer than any run may take.
const DAY: Duration = Duration::from_hours(24);

#[tokio::test(start_paused = true)]
async fn in_grace_a_silent_run_takes_no_place_from_an_overdue_one() {
    let yard = Yard::around(Arc::new(model_whose_time_passes()));
    yard.worker("w", "work").await;
    yard.submit("work").await.unwrap();
    yard.claim_one("w").await;
    // Ids go by time, and the sweep by ids.
    tokio::time::advance(Duration::from_millis(1)).await;
    let overdue = yard.submit("work").await.unwrap();
    yard.begin_one("w").await;
    tokio::time::advance(DAY).await;
    let store = yard.engine.store();

    for (grace, first_is_overdue) in [(true, true), (false, false)] {
        let sight = Sight {
            grace,
            ..Sight::clear(store.now())
        };
        let mut query = look_for_lost(yard.engine.policy(), sight);
        if let Query::Lost { limit, .. } = &mut query {
            *limit = 1;
        }
        let runs = yard.engine.read(query).await.unwrap().lost();

        let first = runs.first().map(|(run, _)| run.slot.task);
        assert_eq!(
            first == Some(overdue),
            first_is_overdue,
            "in grace: {grace}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_overdue_run_goes_in_grace_however_many_silent_ones_stand_before_it() {
    let yard = Yard::around(Arc::new(model_whose_time_passes()));
    yard.worker("w", "work").await;
    for _ in 0..STEP_ROWS_MAX {
        yard.submit("work").await.unwrap();
    }
    let all = ClaimCall {
        limit: STEP_ROWS_MAX,
        ..claim_call("w", Duration::ZERO)
    };
    assert_eq!(
        claimed(&yard.engine, all).await.unwrap().runs.len(),
        STEP_ROWS_MAX
    );
    tokio::time::advance(Duration::from_millis(1)).await;
    let overdue = yard.submit("work").await.unwrap();
    yard.begin_one("w").await;
    tokio::time::advance(DAY).await;

    let swept = yard.sweep(true).await;

    assert_eq!(swept.expired, 1);
    let view = yard.engine.task(overdue, Duration::ZERO).await.unwrap();
    assert_eq!(view.status(), Status::Scheduled, "it is tried again");
}

#[tokio::test(start_paused = true)]
async fn what_a_worker_that_is_gone_held_is_given_back_at_once_however_much() {
    let yard = Yard::around(Arc::new(model_whose_time_passes()));
    yard.worker("w", "work").await;
    yard.submit_many("work", STEP_ROWS_MAX + 1).await;
    let all = ClaimCall {
        limit: STEP_ROWS_MAX + 1,
        ..claim_call("w", Duration::ZERO)
    };
    let held = claimed(&yard.engine, all.clone()).await.unwrap();
    assert_eq!(held.runs.len(), STEP_ROWS_MAX + 1);
    // Another process of that name.
    yard.worker("w", "work").await;

    let _services = keep_up(&yard, Upkeep::default()).await;
    // Sooner than the sweep comes again.
    tokio::time::sleep(Upkeep::default().sweep / 2).await;

    let again = claimed(&yard.engine, all).await.unwrap();
    assert_eq!(again.runs.len(), STEP_ROWS_MAX + 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_process_held_goes_back_when_another_takes_its_place_however_seldom_is_swept() {
    let yard = Yard::around(Arc::new(model_whose_time_passes()));
    let upkeep = Upkeep {
        sweep: DAY,
        ..Upkeep::default()
    };
    let _services = keep_up(&yard, upkeep).await;
    yard.worker("w", "work").await;
    let task = yard.submit("work").await.unwrap();
    yard.claim_one("w").await;
    settle().await;

    yard.worker("w", "work").await;

    let wait = Duration::from_secs(1);
    let again = yard.claim("w", wait).await.unwrap();
    let tasks: Vec<_> = again.runs.iter().map(|run| run.slot.task).collect();
    assert_eq!(tasks, [task]);
}

#[tokio::test(start_paused = true)]
async fn what_a_worker_says_of_one_run_is_a_sign_of_life() {
    let policy = Policy::default();
    let (pause, ttl) = (policy.heartbeat_ttl * 2 / 3, policy.heartbeat_ttl);
    let yard = Yard::around(Arc::new(model_whose_time_passes()));
    yard.worker("w", "work").await;
    yard.submit("work").await.unwrap();
    let run = yard.claim_one("w").await;

    for begins in [true, false] {
        tokio::time::advance(pause).await;
        if begins {
            yard.start(&run).await;
        } else {
            yard.complete(&run).await.unwrap();
        }
        take_time().await;
        let expires_at = yard.worker_row("w").await.expires_at;
        assert_eq!(expires_at, yard.engine.store().now() + ttl);
    }
}
