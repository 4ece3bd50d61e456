//! Runs that take too long and leases that end, by clocks that may be set.

use std::time::Duration;

use taskyard_core::query::{Query, Standing};
use taskyard_core::refused::Refused;
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::Claim;
use taskyard_core::verbs::expire::{ClockSteps, Sight, Step};
use taskyard_core::verbs::heartbeat::Held;
use taskyard_core::verbs::report::{Report, ReportedBack, RunResult};
use taskyard_core::verbs::start::{Start, Started};
use taskyard_core::verbs::submit::NewTask;

use super::yard::{Yard, completed, held, token};

pub(super) async fn a_run_from_before_the_clock_was_set_forward_has_that_much_more_time(
    yard: Yard,
) {
    let (by, timeout) = (Duration::from_hours(1), Duration::from_mins(2));
    let mut steps = ClockSteps::default();
    // Before the runs began, so of no matter to them.
    steps.add(Step {
        at: yard.now(),
        by: Duration::from_hours(8),
    });
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
    steps.add(Step { at: yard.now(), by });
    let sight = Sight {
        grace: true,
        steps,
        ..Sight::clear(yard.now())
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

pub(super) async fn a_lease_that_ends_later_than_any_server_gives_them_is_lost(mut yard: Yard) {
    let (moment, hour) = (Duration::from_micros(1), Duration::from_hours(1));
    let worker = yard.worker("w").await;
    // However long or short those are that the server which judges gives.
    for own in [yard.policy.heartbeat * 3, yard.policy.lease_max] {
        let mut tasks = Vec::new();
        // What one that gives the longest has given, and what clocks gave that were ahead.
        for lease in [hour, 2 * hour, 2 * hour + moment] {
            tasks.push(yard.new_task().await);
            yard.policy.lease = lease;
            yard.claim_one(&worker).await;
        }
        yard.policy.lease = own;

        assert_eq!(yard.sweep(true).await, []);
        assert_eq!(yard.sweep(false).await, tasks[2..]);
        yard.cancel(tasks[2]).await.unwrap();
    }
}

pub(super) async fn a_heartbeat_shortens_a_lease_that_is_longer_than_any_server_gives_them(
    mut yard: Yard,
) {
    let (moment, hour) = (Duration::from_micros(1), Duration::from_hours(1));
    let worker = yard.worker("w").await;
    let usual = yard.policy.lease;
    for (lease, expected) in [(2 * hour, 2 * hour), (2 * hour + moment, usual)] {
        yard.new_task().await;
        yard.policy.lease = lease;
        let run = yard.claim_one(&worker).await;
        yard.policy.lease = usual;

        yard.heartbeat(&worker, vec![held(&run)]).await.unwrap();

        let Standing::Leased(lease) = yard.view(run.slot.task).await.standing else {
            panic!("it is leased")
        };
        assert_eq!(lease.expires_at, yard.now() + expected);
        assert_eq!(yard.sweep(false).await, []);
    }
}

pub(super) async fn a_heartbeat_shortens_a_sign_of_life_that_a_clock_gave_which_was_far_ahead(
    mut yard: Yard,
) {
    let moment = Duration::from_micros(1);
    let usual = yard.policy.heartbeat_ttl;
    let believed = 2 * Duration::from_hours(1) + usual;
    for (silent_after, expected) in [(believed, believed), (believed + moment, usual)] {
        yard.policy.heartbeat_ttl = silent_after;
        let worker = yard.worker("w").await;
        yard.policy.heartbeat_ttl = usual;

        yard.heartbeat(&worker, Vec::new()).await.unwrap();

        let query = Query::Worker(worker.worker.clone());
        let row = yard.store.read(query).await.unwrap().worker();
        let row = row.expect("it is registered");
        assert_eq!(row.expires_at, yard.now() + expected);
    }
}

pub(super) async fn silence_counts_by_a_sight_that_is_fresh_and_of_the_clock_that_judges(
    yard: Yard,
) {
    let task = yard.new_task().await;
    yard.claim_one(&yard.worker("w").await).await;
    yard.pass(yard.policy.heartbeat_ttl);
    let (now, moment) = (yard.now(), Duration::from_micros(1));
    let fresh = yard.policy.heartbeat_ttl / 3;

    for at in [now + moment, now - fresh - moment] {
        assert_eq!(yard.sweep_with(Sight::clear(at)).await, []);
    }
    assert_eq!(yard.sweep_with(Sight::clear(now - fresh)).await, [task]);
}

/// By a clock that is wrong it might be overdue at once, or never.
pub(super) async fn a_run_begins_between_its_claim_and_now_whatever_its_worker_says(yard: Yard) {
    let worker = yard.worker("w").await;
    let (moment, hour) = (Duration::from_micros(1), Duration::from_hours(1));
    for is_reported in [false, true] {
        for _ in 0..3 {
            yard.new_task().await;
        }
        let claimed = yard.now();
        let runs = yard.claim(&worker, 3).await;
        yard.pass(Duration::from_secs(10));
        let now = yard.now();
        let cases = [
            (claimed - hour, claimed),
            (now - moment, now - moment),
            (now + hour, now),
        ];

        for (run, (said, expected)) in runs.iter().zip(cases) {
            let (token, started_at) = (token(run), Some(said));
            let began = if is_reported {
                let results = vec![RunResult::new(token, completed(), started_at)];
                let worker = None;
                yard.run::<ReportedBack>(Report {
                    worker,
                    results: results.into(),
                })
                .await
                .unwrap();
                let Standing::Ended(outcome) = yard.view(run.slot.task).await.standing else {
                    panic!("it has ended")
                };
                outcome.started_at
            } else {
                let started = yard.run::<Started>(Start { token, started_at }).await;
                Some(started.unwrap().started_at)
            };
            assert_eq!(began, Some(expected), "{said:?}, reported: {is_reported}");
        }
    }
}
