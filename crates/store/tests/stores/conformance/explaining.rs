//! Why a task is not running, or is.

use std::time::Duration;

use taskyard_core::explain::{Explain, Reason, explain};
use taskyard_core::id::TaskId;
use taskyard_core::labels::{Demands, Labels};
use taskyard_core::name::Name;
use taskyard_core::query::Query;
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::Claim;
use taskyard_core::verbs::heartbeat::Held;
use taskyard_core::verbs::report::Word;
use taskyard_core::verbs::set_queue::{QueueSet, SetQueue};
use taskyard_core::verbs::submit::{Begin, NewTask};
use taskyard_core::worker::Profile;

use super::losing::suspect_beside;
use super::naming::named;
use super::yard::{Yard, completed, failed, held, lane};

/// What is said, and what is said where at most two are looked at or counted.
async fn reasons_within(yard: &Yard, task: TaskId, most: usize) -> Vec<Reason> {
    let asked = Explain {
        workers: most,
        before: most,
        ..Explain::new(task, yard.now())
    };
    let around = yard.store.read(Query::Explain(asked)).await.unwrap();
    let around = around.explain().expect("it is there");
    explain(&around, yard.now(), &yard.policy)
}

pub(super) async fn reasons(yard: &Yard, task: TaskId) -> Vec<Reason> {
    reasons_within(yard, task, 100).await
}

fn no_kind(online: usize, by_name: usize) -> Reason {
    Reason::NoWorkerForKind { online, by_name }
}

async fn submit(yard: &Yard, demand: Option<(&str, &str)>) -> TaskId {
    let task = NewTask {
        lane: lane("images", "resize", demand),
        ..yard.task()
    };
    yard.submit(task).await.unwrap()
}

async fn worker(yard: &Yard, name: &str, queue: &str, labels: &[(&str, &str)]) -> Claim {
    let names = |name| Some(vec![Name::path(name).unwrap()]);
    let labels = Labels::new(labels.iter().copied()).unwrap();
    let profile = Profile::new(names("resize"), names(queue), labels);
    yard.worker_with(name, profile).await
}

pub(super) async fn what_workers_lack_is_told_one_after_the_other(yard: Yard) {
    let task = submit(&yard, Some(("gpu", "a100"))).await;
    let nobody = no_kind(0, 0);
    assert_eq!(reasons(&yard, task).await, [nobody]);

    let others = Profile::new(
        Some(vec![Name::path("crop").unwrap()]),
        None,
        Labels::default(),
    );
    yard.worker_with("crops", others).await;
    assert_eq!(reasons(&yard, task).await, [no_kind(1, 0)]);

    worker(&yard, "elsewhere", "mail", &[("gpu", "a100")]).await;
    let no_queue = Reason::NoWorkerForQueue { workers: 1 };
    assert_eq!(reasons(&yard, task).await, [no_queue]);

    worker(&yard, "plain", "images", &[("gpu", "none")]).await;
    let unmet = Reason::RequiresUnmet {
        workers: 1,
        demands: Demands::new([("gpu", "a100")]).unwrap(),
    };
    assert_eq!(reasons(&yard, task).await, [unmet]);

    worker(&yard, "fits", "images", &[("gpu", "a100")]).await;
    let free = Reason::WaitsForClaim { workers: 1 };
    assert_eq!(reasons(&yard, task).await, [free]);

    yard.pass(yard.policy.heartbeat_ttl);
    assert_eq!(reasons(&yard, task).await, [no_kind(0, 0)]);
}

pub(super) async fn who_takes_what_it_names_is_not_waited_for(yard: Yard) {
    let task = submit(&yard, Some(("gpu", "a100"))).await;
    let by_name = yard.worker_with("by-name", Profile::by_name()).await;

    assert_eq!(reasons(&yard, task).await, [no_kind(1, 1)]);

    worker(&yard, "fits", "images", &[("gpu", "a100")]).await;
    let free = Reason::WaitsForClaim { workers: 1 };
    assert_eq!(reasons(&yard, task).await, [free]);
    // It gets nothing but what it names, and that whatever the task demands.
    assert!(yard.claim(&by_name, 1).await.is_empty());
    assert!(named(&yard, &by_name, task).await.is_ok());
}

pub(super) async fn busy_workers_and_those_before_it_are_counted(yard: Yard) {
    let fits = worker(&yard, "fits", "images", &[]).await;
    let mut tasks = Vec::new();
    for _ in 0..12 {
        tasks.push(submit(&yard, None).await);
    }
    let free = Reason::WaitsForClaim { workers: 1 };
    assert_eq!(reasons(&yard, tasks[0]).await, [free]);
    let in_turn = |before| Reason::WaitsInTurn { before };
    assert_eq!(reasons(&yard, tasks[11]).await, [in_turn(11)]);
    assert_eq!(reasons_within(&yard, tasks[11], 2).await, [in_turn(2)]);

    // As many as it says that it runs at once.
    yard.claim(&fits, 8).await;

    let busy = Reason::WorkersBusy { workers: 1 };
    assert_eq!(reasons(&yard, tasks[8]).await, std::slice::from_ref(&busy));
    assert_eq!(reasons(&yard, tasks[11]).await, [busy, in_turn(3)]);
    assert_eq!(reasons(&yard, tasks[0]).await, [Reason::Assigned]);
}

pub(super) async fn a_paused_queue_and_a_time_to_come_are_told(yard: Yard) {
    worker(&yard, "fits", "images", &[]).await;
    let pause = SetQueue {
        paused: Some(true),
        ..SetQueue::of(Name::path("images").unwrap())
    };
    let QueueSet(_) = yard.run(pause).await.unwrap();
    let later = NewTask {
        lane: lane("images", "crop", None),
        begin: Begin::At(yard.now() + Duration::from_hours(1)),
        ..yard.task()
    };
    let later = yard.submit(later).await.unwrap();
    let now = submit(&yard, None).await;

    let at = Reason::WaitsForRunAt(yard.now() + Duration::from_hours(1));
    let no_kind = no_kind(1, 0);
    assert_eq!(
        reasons(&yard, later).await,
        [at, Reason::QueuePaused, no_kind]
    );
    assert_eq!(reasons(&yard, now).await, [Reason::QueuePaused]);
}

pub(super) async fn what_became_of_a_run_is_told(yard: Yard) {
    let one = yard.worker("one").await;
    let task = yard.new_task().await;
    let run = yard.claim_one(&one).await;
    let began = Held {
        running: true,
        ..held(&run)
    };
    yard.heartbeat(&one, vec![began]).await.unwrap();
    assert_eq!(reasons(&yard, task).await, [Reason::Running]);
    yard.report(&run, failed(true)).await.unwrap();
    let again = yard.view(task).await.run_at();
    assert_eq!(reasons(&yard, task).await, [Reason::WaitsForRetry(again)]);

    yard.pass(Duration::from_secs(20));
    yard.promote().await;
    let run = yard.claim_one(&one).await;
    let wait = Duration::from_secs(7);
    yard.report(&run, Word::Snoozed { wait }).await.unwrap();
    let later = Reason::WaitsForSnooze(yard.now() + wait);
    assert_eq!(reasons(&yard, task).await, [later]);

    yard.pass(wait);
    yard.promote().await;
    let run = yard.claim_one(&one).await;
    yard.report(&run, completed()).await.unwrap();
    assert_eq!(
        reasons(&yard, task).await,
        [Reason::Ended(Status::Completed)]
    );
}

pub(super) async fn a_silent_worker_and_what_it_has_are_told(yard: Yard) {
    let exclusive = NewTask {
        is_exclusive: true,
        ..yard.task()
    };
    let exclusive = yard.submit(exclusive).await.unwrap();
    let plain = yard.new_task().await;
    let one = yard.worker("one").await;
    yard.claim(&one, 2).await;
    let ends = yard.now() + yard.policy.lease;
    yard.pass(yard.policy.heartbeat_ttl);

    let of = [exclusive, plain];
    let told = [reasons(&yard, of[0]).await, reasons(&yard, of[1]).await];

    assert_eq!(told[0], [Reason::ExclusiveLease(ends), Reason::Assigned]);
    assert_eq!(told[1], [Reason::WorkerSilent(ends), Reason::Assigned]);
}

pub(super) async fn a_suspect_waits_for_an_empty_hand(yard: Yard) {
    let busy = yard.worker("busy").await;
    yard.new_task().await;
    let run = yard.claim_one(&busy).await;
    let suspect = suspect_beside(&yard, &busy, &run).await;
    let told = [
        Reason::Suspect { lost: 2 },
        Reason::WorkersBusy { workers: 1 },
    ];
    assert_eq!(reasons(&yard, suspect).await, told);

    yard.complete(&run).await.unwrap();

    assert_eq!(reasons(&yard, suspect).await, told[..1]);
}

pub(super) async fn what_is_not_there_is_not_explained(yard: Yard) {
    let asked = Explain::new(yard.task().id, yard.now());
    let found = yard.store.read(Query::Explain(asked)).await.unwrap();
    assert!(found.explain().is_none());
}
