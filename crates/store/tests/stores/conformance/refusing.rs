//! Commands of the `taskmaster` routes where none may be run: they end when their time comes, whoever is there.

use std::time::Duration;

use taskyard_core::query::Standing;
use taskyard_core::rows::Origin;
use taskyard_core::slot::Counts;
use taskyard_core::status::Status;
use taskyard_core::verbs::patch::{Patch, Patched};
use taskyard_core::verbs::submit::{Begin, NewTask};

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
