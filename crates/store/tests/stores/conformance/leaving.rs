//! Workers that leave because somebody wants them to: drained and deleted.

use std::sync::Arc;

use taskyard_core::name::Name;
use taskyard_core::query::{AtWork, Query};
use taskyard_core::refused::Refused;
use taskyard_core::rows::Progress;
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::Claim;
use taskyard_core::verbs::drain::{Drain, Drained};
use taskyard_core::verbs::forget::{Forget, Forgotten};
use taskyard_core::verbs::heartbeat::Held;
use taskyard_core::verbs::register::{Register, Registered};
use taskyard_core::verbs::report::{Report, ReportedBack, RunResult};
use taskyard_core::worker::Profile;

use super::killing::kill;
use super::naming::named;
use super::yard::{Yard, completed, held, ids, stranger, token};

async fn drain(yard: &Yard, worker: &Claim) -> Result<Drained, Refused> {
    let worker = worker.worker.clone();
    yard.run(Drain { worker }).await
}

async fn delete(yard: &Yard, worker: &Claim) -> Result<Forgotten, Refused> {
    let forget = Forget {
        workers: vec![worker.worker.clone()],
        is_asked_for: true,
    };
    yard.run(forget).await
}

async fn at_work(yard: &Yard, worker: &Name, limit: usize) -> Option<AtWork> {
    let worker = worker.clone();
    let found = yard
        .store
        .read(Query::AtWork { worker, limit })
        .await
        .unwrap()
        .at_work();
    found.map(|found| *found)
}

pub(super) async fn a_worker_that_leaves_is_offline_until_it_calls_again(yard: Yard) {
    let worker = yard.worker("w").await;
    let is_offline = async || {
        let found = at_work(&yard, &worker.worker, 0).await.unwrap();
        found.view.worker.is_offline(yard.now())
    };
    assert!(!is_offline().await);

    yard.leave(&worker).await.unwrap();
    assert!(is_offline().await);
    yard.leave(&worker).await.unwrap();
    assert!(is_offline().await, "again");

    yard.heartbeat(&worker, Vec::new()).await.unwrap();
    assert!(!is_offline().await, "it was there after all");

    let after = yard.worker("w").await;
    assert_eq!(yard.leave(&worker).await, Err(Refused::WorkerReplaced));
    assert_eq!(
        yard.leave(&stranger(&worker)).await,
        Err(Refused::NoSuchWorker)
    );
    let found = at_work(&yard, &after.worker, 0).await.unwrap();
    assert!(
        !found.view.worker.is_offline(yard.now()),
        "its successor stays"
    );
}

pub(super) async fn a_draining_worker_finishes_what_it_holds_and_gets_nothing_more(yard: Yard) {
    let worker = yard.worker("w").await;
    let (first, second) = (yard.new_task().await, yard.new_task().await);
    let run = yard.claim_one(&worker).await;

    assert_eq!(drain(&yard, &worker).await, Ok(Drained));
    assert_eq!(drain(&yard, &worker).await, Ok(Drained), "again");

    let hand = yard.hand(&worker, 1).await.unwrap();
    assert!(hand.drain && hand.runs.is_empty(), "{hand:?}");
    let beaten = yard.heartbeat(&worker, vec![held(&run)]).await.unwrap();
    assert!(beaten.drain && beaten.lost.is_empty(), "{beaten:?}");
    let report = Report {
        worker: Some((worker.worker.clone(), Some(worker.epoch))),
        results: [RunResult::new(token(&run), completed(), None)].into(),
    };
    let reported: ReportedBack = yard.run(report).await.unwrap();
    assert!(reported.drain, "{reported:?}");
    assert_eq!(yard.status(first).await, Status::Completed);
    assert_eq!(yard.status(second).await, Status::Pending);
    let unknown = drain(&yard, &stranger(&worker)).await;
    assert_eq!(unknown, Err(Refused::NoSuchWorker));
}

pub(super) async fn a_new_process_of_a_draining_worker_works_again(yard: Yard) {
    let before = yard.worker("w").await;
    drain(&yard, &before).await.unwrap();
    let task = yard.new_task().await;

    let worker = yard.worker("w").await;

    let hand = yard.hand(&worker, 1).await.unwrap();
    assert_eq!((hand.drain, ids(&hand.runs)), (false, vec![task]));
}

pub(super) async fn only_an_offline_worker_is_deleted(yard: Yard) {
    let worker = yard.worker("w").await;
    assert_eq!(delete(&yard, &worker).await, Err(Refused::WorkerIsOnline));
    kill(&yard, &worker).await.unwrap();

    assert_eq!(
        delete(&yard, &worker).await,
        Ok(Forgotten { count: 1, ahead: 0 })
    );

    assert!(at_work(&yard, &worker.worker, 9).await.is_none());
    for again in [
        delete(&yard, &worker).await.err(),
        kill(&yard, &worker).await.err(),
        drain(&yard, &worker).await.err(),
    ] {
        assert_eq!(again, Some(Refused::NoSuchWorker));
    }
    let back = yard.worker("w").await;
    assert_eq!(back.number, worker.number);
    assert!(at_work(&yard, &worker.worker, 9).await.is_some());
}

pub(super) async fn a_drained_worker_is_deleted_once_it_holds_nothing(yard: Yard) {
    let worker = yard.worker("w").await;
    yard.new_task().await;
    let run = yard.claim_one(&worker).await;
    drain(&yard, &worker).await.unwrap();
    assert_eq!(delete(&yard, &worker).await, Err(Refused::WorkerIsOnline));
    yard.complete(&run).await.unwrap();

    assert_eq!(
        delete(&yard, &worker).await,
        Ok(Forgotten { count: 1, ahead: 0 })
    );

    assert!(at_work(&yard, &worker.worker, 9).await.is_none());
    // Should its process be there yet, it still drains.
    let beaten = yard.heartbeat(&worker, Vec::new()).await.unwrap();
    assert!(beaten.drain);
}

pub(super) async fn a_drained_worker_gets_no_task_by_its_name(yard: Yard) {
    let worker = yard.worker_with("w", Profile::by_name()).await;
    let (first, second) = (yard.new_task().await, yard.new_task().await);
    let run = named(&yard, &worker, first).await.unwrap();
    drain(&yard, &worker).await.unwrap();

    let refused = named(&yard, &worker, second).await;

    assert_eq!(refused, Err(Refused::WorkerDraining));
    yard.complete(&run).await.unwrap();
}

pub(super) async fn who_registers_if_new_is_no_killed_worker(yard: Yard) {
    let worker = yard.worker("w").await;
    let if_new = || Register {
        name: worker.worker.clone(),
        server: None,
        profile: Arc::default(),
        capacity: 1,
        if_new: true,
    };
    kill(&yard, &worker).await.unwrap();

    let refused = yard.run::<Registered>(if_new()).await;

    assert_eq!(refused, Err(Refused::WorkerKilled));
    delete(&yard, &worker).await.unwrap();
    let again: Registered = yard.run(if_new()).await.unwrap();
    assert_eq!(again.epoch, worker.epoch.next().next());
}

pub(super) async fn a_worker_is_shown_with_what_it_holds(yard: Yard) {
    let (worker, other) = (yard.worker("w").await, yard.worker("other").await);
    let (begun, unbegun) = (yard.new_task().await, yard.new_task().await);
    let runs = yard.claim(&worker, 2).await;
    yard.new_task().await;
    yard.claim_one(&other).await;
    let progress = Progress {
        fraction: Some(0.5),
        message: Some("half".into()),
    };
    let said = Held {
        running: true,
        progress: Some(progress.clone()),
        ..held(&runs[0])
    };
    yard.heartbeat(&worker, vec![said]).await.unwrap();

    let shown = at_work(&yard, &worker.worker, 9).await.unwrap();

    assert_eq!(
        (&shown.view.worker.name, shown.view.held),
        (&worker.worker, 2)
    );
    let runs: Vec<_> = shown.runs.iter().map(|it| (it.task, it.status())).collect();
    let (running, assigned) = (Status::Running, Status::Assigned);
    assert_eq!(runs, [(begun, running), (unbegun, assigned)]);
    let first = &shown.runs[0];
    assert_eq!((first.attempt, first.claimed_at), (1, yard.now()));
    assert_eq!(
        (first.started_at, &first.progress),
        (Some(yard.now()), &Some(progress))
    );
    assert_eq!(
        (&*first.kind.to_string(), &*first.queue.to_string()),
        ("work", "default")
    );
    assert_eq!(shown.runs[1].progress, None);
    assert_eq!(
        at_work(&yard, &worker.worker, 1).await.unwrap().runs.len(),
        1
    );
    assert!(at_work(&yard, &stranger(&worker).worker, 9).await.is_none());
}
