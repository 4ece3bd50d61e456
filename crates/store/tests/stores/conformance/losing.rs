//! Workers that die, fall silent or are replaced, and tasks that do it to them.

use std::sync::Arc;
use std::time::Duration;

use taskyard_core::id::{ServerNumber, TaskId};
use taskyard_core::json::Json;
use taskyard_core::query::Standing;
use taskyard_core::refused::Refused;
use taskyard_core::rows::{End, Progress};
use taskyard_core::slot::Counts;
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::{Claim, Claims, Run};
use taskyard_core::verbs::expire::{Expire, Expired, Sight};
use taskyard_core::verbs::heartbeat::Held;
use taskyard_core::verbs::join::{Join, Joined};
use taskyard_core::verbs::start::{Start, Started};
use taskyard_core::verbs::submit::NewTask;
use taskyard_core::worker::Profile;

use super::yard::{Yard, held, ids, token};

/// Nothing is heard of any worker until they are given up.
async fn falls_silent(yard: &Yard) {
    yard.pass(yard.policy.heartbeat_ttl);
    yard.sweep(false).await;
}

pub(super) async fn a_silent_workers_runs_go_out_again(yard: Yard) {
    let id = yard.new_task().await;
    let silent = yard.worker("silent").await;
    yard.claim_one(&silent).await;
    yard.pass(yard.policy.heartbeat_ttl - Duration::from_micros(1));
    assert!(yard.sweep(false).await.is_empty());

    yard.pass(Duration::from_micros(1));
    assert_eq!(yard.sweep(false).await, [id]);

    let other = yard.worker("other").await;
    let again = yard.claim_one(&other).await;
    assert_eq!((again.slot.task, again.attempt), (id, 1));
    let (ended, _) = yard.attempts(id).await;
    assert_eq!(
        ended
            .iter()
            .map(|attempt| (attempt.number, attempt.end))
            .collect::<Vec<_>>(),
        [(None, End::Lost)]
    );
}

pub(super) async fn grace_loses_nobody_but_ends_the_overdue(yard: Yard) {
    let kept = yard.new_task().await;
    let brief = NewTask {
        timeout: Some(Duration::from_secs(1)),
        max_attempts: Some(1),
        ..yard.task()
    };
    let overdue = yard.submit(brief).await.unwrap();
    let worker = yard.worker("w").await;
    for run in yard.claim(&worker, 2).await {
        yard.run::<Started>(Start {
            token: token(&run),
            started_at: None,
        })
        .await
        .unwrap();
    }
    yard.pass(Duration::from_mins(5));

    assert_eq!(yard.sweep(true).await, [overdue]);

    assert_eq!(yard.status(overdue).await, Status::Timeout);
    assert_eq!(yard.status(kept).await, Status::Running);
}

pub(super) async fn a_heartbeat_keeps_what_it_names(yard: Yard) {
    yard.new_task().await;
    let worker = yard.worker("w").await;
    let run = yard.claim_one(&worker).await;

    for _ in 0..20 {
        yard.pass(yard.policy.heartbeat);
        let beaten = yard.heartbeat(&worker, vec![held(&run)]).await.unwrap();
        assert!(
            beaten.lost.is_empty()
                && beaten.expires_at > Some(yard.now() + yard.policy.heartbeat_ttl)
        );
        assert!(yard.sweep(false).await.is_empty());
    }

    assert_eq!(yard.complete(&run).await, Ok(Status::Completed));
}

pub(super) async fn a_heartbeat_promises_no_more_than_the_lease_that_ends_first(yard: Yard) {
    yard.new_task().await;
    yard.new_task().await;
    let worker = yard.worker("w").await;
    let older = yard.claim_one(&worker).await;
    // Not long enough for a lease to be renewed.
    yard.pass(yard.policy.lease / 4);
    let newer = yard.claim_one(&worker).await;
    assert!(older.expires_at < newer.expires_at);

    for held_runs in [[&older, &newer], [&newer, &older]] {
        let beaten = yard.heartbeat(&worker, held_runs.map(held).to_vec());

        assert_eq!(beaten.await.unwrap().expires_at, Some(older.expires_at));
    }
}

pub(super) async fn a_lease_that_is_not_named_expires(yard: Yard) {
    let named = yard.new_task().await;
    let unnamed = yard.new_task().await;
    let worker = yard.worker("w").await;
    let runs = yard.claim(&worker, 2).await;
    let mut lost = Vec::new();
    for _ in 0..9 {
        yard.pass(yard.policy.heartbeat);
        yard.heartbeat(&worker, vec![held(&runs[0])]).await.unwrap();
        lost.extend(yard.sweep(false).await);
    }

    assert_eq!(lost, [unnamed]);
    assert_eq!(yard.status(named).await, Status::Assigned);
}

pub(super) async fn a_heartbeat_tells_what_was_lost_and_cancelled(yard: Yard) {
    let (kept, cancelled, lost) = (
        yard.new_task().await,
        yard.new_task().await,
        yard.new_task().await,
    );
    let worker = yard.worker("w").await;
    let runs = yard.claim(&worker, 3).await;
    assert_eq!(ids(&runs), [kept, cancelled, lost]);
    yard.cancel(cancelled).await.unwrap();
    let stale = Run {
        secret: !runs[2].secret,
        ..runs[2].clone()
    };

    let beaten = yard
        .heartbeat(&worker, vec![held(&runs[0]), held(&runs[1]), held(&stale)])
        .await
        .unwrap();

    assert_eq!((beaten.cancel, beaten.lost), (vec![cancelled], vec![lost]));
}

pub(super) async fn a_heartbeat_cannot_revive_a_lost_lease(yard: Yard) {
    let id = yard.new_task().await;
    let worker = yard.worker("w").await;
    let run = yard.claim_one(&worker).await;
    yard.pass(yard.policy.heartbeat_ttl);
    yard.sweep(false).await;

    let beaten = yard.heartbeat(&worker, vec![held(&run)]).await.unwrap();

    assert_eq!(beaten.lost, [id]);
    assert_eq!(yard.status(id).await, Status::Pending);
}

pub(super) async fn a_worker_registered_again_loses_what_the_older_process_held(yard: Yard) {
    let id = yard.new_task().await;
    let older = yard.worker("w").await;
    let run = yard.claim_one(&older).await;

    let newer = yard.worker("w").await;
    assert_eq!(yard.sweep(true).await, [id]);

    assert_eq!(
        (newer.number, newer.epoch),
        (older.number, older.epoch.next())
    );
    assert_eq!(
        yard.heartbeat(&older, vec![held(&run)]).await,
        Err(Refused::WorkerReplaced)
    );
    assert_eq!(ids(&yard.claim(&newer, 1).await), [id]);
    assert_eq!(yard.complete(&run).await, Err(Refused::StaleLease));
}

pub(super) async fn an_old_candidate_costs_a_later_run_nothing(yard: Yard) {
    yard.new_task().await;
    let gone = yard.worker("gone").await;
    let first = yard.claim_one(&gone).await;
    yard.pass(yard.policy.heartbeat_ttl);
    yard.sweep(false).await;
    let second = yard.claim_one(&yard.worker("here").await).await;

    let runs = vec![(first.slot.run(first.fence), Some(gone.worker))];
    let expired: Expired = yard
        .run(Expire {
            runs,
            sight: Sight::clear(yard.now()),
        })
        .await
        .unwrap();

    assert!(expired.tasks.is_empty());
    assert_eq!(yard.complete(&second).await, Ok(Status::Completed));
}

pub(super) async fn internal_workers_of_an_earlier_server_are_gone_even_in_grace(yard: Yard) {
    let inside = yard.new_task().await;
    let worker = yard.internal_worker("inside", ServerNumber(1)).await;
    let run = yard.claim_one(&worker).await;
    assert_eq!(run.slot.task, inside);
    let outside = yard.new_task().await;
    yard.claim_one(&yard.worker("outside").await).await;
    yard.pass(Duration::from_secs(1));
    let restarted: Joined = yard
        .run(Join {
            held: None,
            alone: true,
        })
        .await
        .unwrap();

    assert_eq!(yard.sweep(true).await, []);
    let gone = yard
        .sweep_with(Sight {
            grace: true,
            alone_since: Some(restarted.server.started_at),
            ..Sight::clear(yard.now())
        })
        .await;

    assert_eq!(gone, [inside], "and not {outside}, whose worker may live");
    assert_eq!(yard.complete(&run).await, Err(Refused::StaleLease));
}

pub(super) async fn progress_and_checkpoint_travel_to_the_next_attempt(yard: Yard) {
    let id = yard.new_task().await;
    let worker = yard.worker("w").await;
    let run = yard.claim_one(&worker).await;
    let progress = Progress {
        fraction: Some(0.5),
        message: Some(Arc::from("half")),
    };
    let checkpoint = Some(Json::stored("{\"at\":5}"));
    let news = Held {
        progress: Some(progress.clone()),
        checkpoint: checkpoint.clone(),
        running: true,
        ..held(&run)
    };
    yard.heartbeat(&worker, vec![news]).await.unwrap();
    let Standing::Leased(lease) = yard.view(id).await.standing else {
        panic!("it is leased")
    };
    assert_eq!(lease.progress, Some(progress));

    yard.pass(yard.policy.heartbeat_ttl);
    yard.sweep(false).await;
    let again = yard.claim_one(&yard.worker("w").await).await;

    assert_eq!((again.checkpoint, again.attempt), (checkpoint, 2));
    assert_eq!(yard.view(id).await.counts().losses, 1);
}

/// Two workers died with these tasks in their hands before anything was heard of them.
async fn suspects(yard: &Yard, count: usize) -> Vec<TaskId> {
    let mut made = Vec::new();
    for _ in 0..count {
        made.push(yard.new_task().await);
    }
    for _ in 0..2 {
        let worker = yard.worker("doomed").await;
        assert_eq!(yard.claim(&worker, count).await.len(), count);
        falls_silent(yard).await;
    }
    made
}

pub(super) async fn a_suspect_is_given_alone(yard: Yard) {
    let made = suspects(&yard, 2).await;
    let innocent = yard.new_task().await;
    let worker = yard.worker("w").await;

    let first = yard.claim(&worker, 10).await;
    assert_eq!(ids(&first), [made[0]]);
    assert_eq!(yard.status(made[0]).await, Status::Running);
    assert!(yard.claim(&worker, 10).await.is_empty());

    assert_eq!(yard.complete(&first[0]).await, Ok(Status::Completed));
    let second = yard.claim(&worker, 10).await;
    assert_eq!(ids(&second), [made[1]]);
    yard.complete(&second[0]).await.unwrap();

    assert_eq!(ids(&yard.claim(&worker, 10).await), [innocent]);
    assert_eq!(
        yard.view(made[0]).await.counts(),
        Counts {
            attempts: 1,
            ..Counts::default()
        }
    );
}

pub(super) async fn runs_lost_twice_with_one_worker_go_out_alone(yard: Yard) {
    let made = [yard.new_task().await, yard.new_task().await];
    for _ in 0..2 {
        let doomed = Claim {
            begin: true,
            ..yard.worker("doomed").await
        };
        assert_eq!(ids(&yard.claim(&doomed, 10).await), made);
        falls_silent(&yard).await;
    }
    let worker = yard.worker("w").await;

    let alone = yard.claim(&worker, 10).await;

    assert_eq!(ids(&alone), [made[0]]);
    assert_eq!(yard.complete(&alone[0]).await, Ok(Status::Completed));
    assert_eq!(ids(&yard.claim(&worker, 10).await), [made[1]]);
    let counts = yard.view(made[1]).await.counts();
    assert_eq!((counts.attempts, counts.losses, counts.failures), (3, 2, 0));
}

pub(super) async fn what_a_worker_kept_for_a_suspect_leaves_is_news_to_nobody(yard: Yard) {
    suspects(&yard, 1).await;
    let worker = yard.worker("w").await;
    yard.claim_one(&worker).await;
    yard.new_task().await;
    let claims = Claims {
        claims: vec![worker],
    };

    let ran = yard.store.run(vec![claims.into()], &yard.policy).await;

    // Two such workers would wake each other without end.
    let topics = ran.unwrap().topics;
    assert!(topics.is_empty(), "{topics:?}");
}

pub(super) async fn a_suspect_that_waited_has_a_worker_emptied_for_it(yard: Yard) {
    let busy = yard.worker("busy").await;
    let long = yard.new_task().await;
    let long_run = yard.claim_one(&busy).await;
    assert_eq!(long_run.slot.task, long);
    let made = suspect_beside(&yard, &busy, &long_run).await;
    let innocent = yard.new_task().await;

    assert_eq!(ids(&yard.claim(&busy, 1).await), [innocent]);
    yard.pass(yard.policy.suspect_patience);
    yard.new_task().await;
    assert!(yard.claim(&busy, 10).await.is_empty());

    yard.complete(&long_run).await.unwrap();
    yard.cancel(innocent).await.unwrap();
    assert_eq!(ids(&yard.claim(&busy, 10).await), [made]);
}

/// One suspect, while `busy` lives on.
pub(super) async fn suspect_beside(yard: &Yard, busy: &Claim, run: &Run) -> TaskId {
    let made = yard.new_task().await;
    for _ in 0..2 {
        let worker = yard.worker("doomed").await;
        assert_eq!(ids(&yard.claim(&worker, 1).await), [made]);
        for _ in 0..3 {
            yard.pass(yard.policy.heartbeat);
            yard.heartbeat(busy, vec![held(run)]).await.unwrap();
        }
        yard.sweep(false).await;
    }
    made
}

pub(super) async fn a_suspect_made_in_a_claims_own_batch_waits_for_the_next(yard: Yard) {
    let made = yard.new_task().await;
    let doomed = yard.worker("doomed").await;
    yard.claim_one(&doomed).await;
    falls_silent(&yard).await;
    let doomed = yard.worker("doomed").await;
    let run = yard.claim_one(&doomed).await;
    yard.pass(yard.policy.heartbeat_ttl);
    let worker = yard.worker("w").await;
    let expire = Expire {
        runs: vec![(run.slot.run(run.fence), Some(doomed.worker))],
        sight: Sight::clear(yard.now()),
    };
    let claims = Claims {
        claims: vec![worker.clone()],
    };

    let replies = yard.batch(vec![expire.into(), claims.into()]).await;

    assert!(replies.iter().all(Result::is_ok), "{replies:?}");
    assert_eq!(yard.status(made).await, Status::Pending);
    assert_eq!(ids(&yard.claim(&worker, 1).await), [made]);
}

pub(super) async fn a_task_that_kills_its_workers_ends(yard: Yard) {
    let id = yard
        .submit(NewTask {
            max_attempts: Some(1),
            max_losses: Some(3),
            ..yard.task()
        })
        .await
        .unwrap();
    let mut workers = 0;
    while !yard.status(id).await.is_final() {
        let worker = yard.worker("doomed").await;
        assert_eq!(ids(&yard.claim(&worker, 5).await), [id]);
        falls_silent(&yard).await;
        workers += 1;
    }

    assert_eq!(workers, 5);
    let view = yard.view(id).await;
    let Standing::Ended(outcome) = &view.standing else {
        panic!("it has ended")
    };
    assert_eq!(
        (
            outcome.status,
            outcome.error.as_ref().map(|error| &*error.code)
        ),
        (Status::Failed, Some("worker_lost"))
    );
    assert_eq!(view.counts().losses, 3);
}

pub(super) async fn nobody_outside_takes_the_name_of_an_internal_worker(yard: Yard) {
    let outside = |name: &'static str| yard.try_register(name, Profile::default(), None);
    let inside = yard.internal_worker("worker-1", ServerNumber(1)).await;
    let id = yard.new_task().await;
    let run = yard.claim_one(&inside).await;

    assert_eq!(
        outside("worker-1").await.err(),
        Some(Refused::WorkerIsInternal)
    );
    assert_eq!(yard.complete(&run).await, Ok(Status::Completed));
    assert_eq!(yard.status(id).await, Status::Completed);

    // However long it was silent, its server gives it the same name when it is back.
    yard.pass(yard.policy.heartbeat_ttl * 100);
    assert_eq!(
        outside("worker-1").await.err(),
        Some(Refused::WorkerIsInternal)
    );
    let again = yard.internal_worker("worker-1", ServerNumber(1)).await;
    assert_eq!(
        (again.number, again.epoch),
        (inside.number, inside.epoch.next())
    );
}

pub(super) async fn nobody_inside_takes_the_name_of_a_living_worker_outside(yard: Yard) {
    let inside = || yard.try_register("worker-1", Profile::default(), Some(ServerNumber(1)));
    let outside = yard.worker("worker-1").await;
    let id = yard.new_task().await;
    let run = yard.claim_one(&outside).await;

    assert_eq!(inside().await.err(), Some(Refused::WorkerIsExternal));
    assert_eq!(yard.complete(&run).await, Ok(Status::Completed));
    assert_eq!(yard.status(id).await, Status::Completed);

    // It may only have waited for its server to come back.
    let patience = yard.policy.heartbeat_ttl + yard.policy.lease;
    yard.pass(patience - Duration::from_millis(1));
    assert_eq!(inside().await.err(), Some(Refused::WorkerIsExternal));
    yard.pass(Duration::from_millis(1));
    let heir = inside().await.unwrap();
    assert_eq!(
        (heir.number, heir.epoch),
        (outside.number, outside.epoch.next())
    );
}
