//! Commands of the `taskmaster` routes where none may be run: they end when their time comes, whoever is there.

use std::time::Duration;

use taskyard_core::explain::Reason;
use taskyard_core::order::Priority;
use taskyard_core::query::Standing;
use taskyard_core::rows::Origin;
use taskyard_core::slot::Counts;
use taskyard_core::status::Status;
use taskyard_core::verbs::patch::{Patch, Patched};
use taskyard_core::verbs::submit::{Begin, NewTask};

use super::explaining::reasons;
use super::yard::{Yard, ids, lane};

const WHY: &str = "none may be run";
const HOUR: Duration = Duration::from_hours(1);

fn command(yard: &Yard, begin: Begin) -> NewTask {
    NewTask {
        lane: lane("default", "command", None),
        begin,
        origin: Some(Origin::Taskmaster),
        ..yard.task()
    }
}

pub(super) async fn a_refused_command_ends_at_its_time_and_goes_to_nobody(mut yard: Yard) {
    yard.policy.commands_refused = Some(WHY);
    let worker = yard.worker("w").await;
    let now = yard.submit(command(&yard, Begin::Now)).await.unwrap();
    let later = command(&yard, Begin::After(HOUR));
    let later = yard.submit(later).await.unwrap();
    assert!(yard.claim(&worker, 9).await.is_empty());
    assert_eq!(yard.status(now).await, Status::Scheduled);

    assert_eq!(yard.promote().await, 1);
    assert!(yard.claim(&worker, 9).await.is_empty());

    assert_eq!(yard.status(later).await, Status::Scheduled);
    let view = yard.view(now).await;
    let Standing::Ended(outcome) = &view.standing else {
        panic!("it has ended: {view:?}")
    };
    assert_eq!(outcome.status, Status::Failed);
    let error = outcome.error.as_ref().unwrap();
    assert_eq!(
        (&*error.code, &*error.message),
        ("command_not_allowed", WHY)
    );
    assert_eq!((outcome.worker, outcome.counts), (None, Counts::default()));
    yard.pass(HOUR);
    assert_eq!(yard.promote().await, 1);
    assert_eq!(yard.status(later).await, Status::Failed);
}

pub(super) async fn only_commands_of_the_older_routes_are_refused(mut yard: Yard) {
    yard.policy.commands_refused = Some(WHY);
    let worker = yard.worker("w").await;
    let ours = NewTask {
        origin: None,
        ..command(&yard, Begin::Now)
    };
    let ours = yard.submit(ours).await.unwrap();
    let later = NewTask {
        origin: None,
        ..command(&yard, Begin::After(HOUR))
    };
    let later = yard.submit(later).await.unwrap();
    let other = NewTask {
        begin: Begin::After(HOUR),
        origin: Some(Origin::Simple),
        ..yard.task()
    };
    let other = yard.submit(other).await.unwrap();

    assert_eq!(ids(&yard.claim(&worker, 9).await), [ours]);
    yard.pass(HOUR);
    assert_eq!(yard.promote().await, 2);
    assert_eq!(ids(&yard.claim(&worker, 9).await), [later, other]);
}

pub(super) async fn a_command_is_judged_when_its_time_comes(mut yard: Yard) {
    let worker = yard.worker("w").await;
    yard.policy.commands_refused = Some(WHY);
    let scheduled = command(&yard, Begin::After(HOUR));
    let scheduled = yard.submit(scheduled).await.unwrap();
    yard.policy.commands_refused = None;
    yard.pass(HOUR);
    assert_eq!(yard.promote().await, 1);
    assert_eq!(ids(&yard.claim(&worker, 9).await), [scheduled]);

    let scheduled = command(&yard, Begin::After(HOUR));
    let scheduled = yard.submit(scheduled).await.unwrap();
    yard.policy.commands_refused = Some(WHY);
    yard.pass(HOUR);
    assert_eq!(yard.promote().await, 1);
    assert_eq!(yard.status(scheduled).await, Status::Failed);
}

pub(super) async fn a_refused_command_called_now_is_judged_now(mut yard: Yard) {
    yard.policy.commands_refused = Some(WHY);
    let worker = yard.worker("w").await;
    let task = command(&yard, Begin::After(HOUR));
    let task = yard.submit(task).await.unwrap();
    let patch = Patch {
        task,
        priority: None,
        begin: Some(Begin::Now),
    };
    yard.run::<Patched>(patch).await.unwrap();

    assert!(yard.claim(&worker, 9).await.is_empty());
    assert_eq!(yard.promote().await, 1);
    assert_eq!(yard.status(task).await, Status::Failed);
}

/// Commands were of another kind once where none were run.
pub(super) async fn a_command_of_the_older_kind_is_refused_by_itself(mut yard: Yard) {
    yard.policy.commands_refused = Some(WHY);
    let worker = yard.worker("w").await;
    let task = NewTask {
        lane: lane("default", "command-refused", None),
        ..command(&yard, Begin::After(HOUR))
    };
    let task = yard.submit(task).await.unwrap();
    yard.pass(HOUR);

    assert_eq!(yard.promote().await, 1);
    assert!(yard.claim(&worker, 9).await.is_empty());
    assert_eq!(yard.status(task).await, Status::Failed);
}

pub(super) async fn a_command_that_is_ready_is_judged_again_only_for_another_time(mut yard: Yard) {
    let worker = yard.worker("w").await;
    let moved = yard.submit(command(&yard, Begin::Now)).await.unwrap();
    let put_off = yard.submit(command(&yard, Begin::Now)).await.unwrap();
    yard.policy.commands_refused = Some(WHY);
    let first = Patch {
        task: moved,
        priority: Some(Priority::new(5).unwrap()),
        begin: None,
    };
    yard.run::<Patched>(first).await.unwrap();
    let later = Patch {
        task: put_off,
        priority: None,
        begin: Some(Begin::After(HOUR)),
    };
    yard.run::<Patched>(later).await.unwrap();

    assert_eq!(yard.status(moved).await, Status::Pending);
    assert_eq!(yard.promote().await, 0);
    assert_eq!(ids(&yard.claim(&worker, 9).await), [moved]);
    yard.pass(HOUR);
    assert_eq!(yard.promote().await, 1);
    assert_eq!(yard.status(put_off).await, Status::Failed);
}

pub(super) async fn why_a_command_will_fail_is_told_alone(mut yard: Yard) {
    let at = yard.now() + HOUR;
    let task = command(&yard, Begin::At(at));
    let task = yard.submit(task).await.unwrap();
    let nobody = Reason::NoWorkerForKind {
        online: 0,
        by_name: 0,
    };
    assert_eq!(
        reasons(&yard, task).await,
        [Reason::WaitsForRunAt(at), nobody]
    );

    yard.policy.commands_refused = Some(WHY);

    let refused = Reason::CommandNotAllowed(at);
    assert_eq!(reasons(&yard, task).await, [refused]);
}
