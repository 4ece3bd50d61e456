//! What a submit promises.

use std::time::Duration;

use taskyard_core::command::Command;
use taskyard_core::filter::Filter;
use taskyard_core::id::TaskId;
use taskyard_core::json::Json;
use taskyard_core::labels::Labels;
use taskyard_core::name::Name;
use taskyard_core::order::Priority;
use taskyard_core::query::{List, TaskView};
use taskyard_core::refused::Refused;
use taskyard_core::retry::Retry;
use taskyard_core::rows::{Digest, IdempotencyKey, Origin, Task};
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::Claim;
use taskyard_core::verbs::prune::{Prune, Pruned};
use taskyard_core::verbs::submit::{Begin, Made, NewTask, Submit, Submitted};

use super::yard::{Yard, ids, lane};

const HOUR: Duration = Duration::from_hours(1);

pub(super) async fn a_new_task_is_pending(yard: Yard) {
    let task = yard.task();

    let id = yard.submit(task.clone()).await.unwrap();

    let view = yard.view(id).await;
    assert_eq!(view.status(), Status::Pending);
    assert_eq!(
        (view.task.input.here(), &*view.lane),
        (Some(&task.input), &task.lane)
    );
    assert_eq!(
        (view.task.limits.max_attempts, view.task.created_at),
        (5, yard.now())
    );
}

pub(super) async fn a_batch_is_stored_whole_and_in_order(yard: Yard) {
    let tasks: Vec<NewTask> = (0..50).map(|_| yard.task()).collect();

    let submitted = yard.submit_all(tasks.clone()).await.unwrap();

    assert!(submitted.ids.iter().eq(tasks.iter().map(|task| &task.id)));
    let worker = yard.worker("w").await;
    assert_eq!(ids(&yard.claim(&worker, 100).await), *submitted.ids);
}

/// Stores write what stands in several rows once, where they find that it does.
pub(super) async fn what_one_task_of_a_batch_has_is_not_its_neighbours(yard: Yard) {
    let before = yard.new_task().await;
    let plain = || yard.task();
    let others = [
        NewTask {
            lane: lane("other", "b", None),
            ..plain()
        },
        NewTask {
            priority: Priority::new(7).unwrap(),
            ..plain()
        },
        NewTask {
            begin: Begin::After(HOUR),
            ..plain()
        },
        NewTask {
            input: Json::stored("[\"longer than others\"]"),
            ..plain()
        },
        NewTask {
            max_attempts: Some(9),
            ..plain()
        },
        NewTask {
            max_losses: Some(4),
            ..plain()
        },
        NewTask {
            timeout: Some(HOUR),
            ..plain()
        },
        NewTask {
            retry: Some(Retry {
                jitter: 0.5,
                ..Retry::default()
            }),
            ..plain()
        },
        NewTask {
            labels: Labels::new([("team", "blue")]).unwrap(),
            ..plain()
        },
        of_client(&yard, "body"),
        NewTask {
            is_exclusive: true,
            ..plain()
        },
        NewTask {
            unique_key: Some("once".into()),
            ..plain()
        },
        NewTask {
            retry_of: Some(before),
            ..plain()
        },
        NewTask {
            origin: Some(Origin::Taskmaster),
            ..plain()
        },
    ];
    // Each stands between two that have none of it.
    let batch = others.into_iter().flat_map(|task| [task, plain()]);
    let alone: Vec<NewTask> = batch.collect();
    let together = alone.iter().map(|task| NewTask {
        id: plain().id,
        unique_key: task.unique_key.as_ref().map(|_| "another".into()),
        ..task.clone()
    });
    let together: Vec<NewTask> = together.collect();

    yard.submit_all(together.clone()).await.unwrap();

    for (alone, together) in alone.into_iter().zip(together) {
        let alone = yard.submit(alone).await.unwrap();
        let expected = Task {
            id: together.id,
            unique_key: together.unique_key,
            ..(*yard.view(alone).await.task).clone()
        };
        assert_eq!(*yard.view(together.id).await.task, expected);
    }
}

pub(super) async fn a_task_for_later_is_scheduled_and_promoted_at_its_time(yard: Yard) {
    let worker = yard.worker("w").await;
    let id = yard
        .submit(NewTask {
            begin: Begin::After(HOUR),
            ..yard.task()
        })
        .await
        .unwrap();
    assert_eq!(yard.status(id).await, Status::Scheduled);

    yard.pass(HOUR - Duration::from_micros(1));
    assert_eq!(yard.promote().await, 0);
    assert!(yard.claim(&worker, 1).await.is_empty());

    yard.pass(Duration::from_micros(1));
    assert_eq!(yard.promote().await, 1);
    assert_eq!(ids(&yard.claim(&worker, 1).await), [id]);
}

pub(super) async fn a_time_in_the_past_means_now(yard: Yard) {
    let first = yard.new_task().await;
    let late = yard
        .submit(NewTask {
            begin: Begin::At(yard.now() - HOUR),
            ..yard.task()
        })
        .await
        .unwrap();

    let worker = yard.worker("w").await;

    assert_eq!(ids(&yard.claim(&worker, 2).await), [first, late]);
}

fn of_client(yard: &Yard, body: &str) -> NewTask {
    NewTask {
        digest: Some(Digest::of(body.as_bytes())),
        ..yard.task()
    }
}

pub(super) async fn the_same_id_with_the_same_body_is_the_same_task(yard: Yard) {
    let task = of_client(&yard, "body");
    yard.submit(task.clone()).await.unwrap();

    let again = yard.submit_all(vec![task.clone()]).await.unwrap();

    assert!(again.existed());
    assert_eq!(*again.ids, [task.id]);
    assert_eq!(yard.count().await, 1);
}

pub(super) async fn a_submit_answers_where_its_new_tasks_stand(yard: Yard) {
    let known = of_client(&yard, "body");
    yard.submit(known.clone()).await.unwrap();
    let later = NewTask {
        begin: Begin::After(HOUR),
        ..yard.task()
    };

    let submitted = yard.submit_all(vec![later, known, yard.task()]).await;

    let submitted = submitted.unwrap();
    let (scheduled, pending) = (Made::Now(Status::Scheduled), Made::Now(Status::Pending));
    assert_eq!(submitted.made, [scheduled, Made::Before, pending]);
    assert!(!submitted.existed());
}

pub(super) async fn the_same_id_with_another_body_is_refused(yard: Yard) {
    let task = of_client(&yard, "body");
    yard.submit(task.clone()).await.unwrap();

    let other = NewTask {
        id: task.id,
        ..of_client(&yard, "other")
    };

    assert_eq!(
        yard.submit(other.clone()).await,
        Err(Refused::IdTaken(task.id))
    );
    let both = vec![
        NewTask {
            id: other.id,
            ..of_client(&yard, "x")
        },
        NewTask {
            id: other.id,
            ..of_client(&yard, "y")
        },
    ];
    assert_eq!(yard.submit_all(both).await, Err(Refused::IdTaken(task.id)));
}

pub(super) async fn an_id_of_yesterday_or_tomorrow_is_refused(yard: Yard) {
    let old = of_client(&yard, "body");
    yard.pass(yard.policy.key_life + Duration::from_secs(1));
    let refused = yard.submit(old.clone()).await;
    assert_eq!(refused, Err(not_recent(&yard, old.id)));

    let ahead = TaskId::new(yard.now() + HOUR, 7);
    let early = NewTask {
        id: ahead,
        ..of_client(&yard, "body")
    };
    assert_eq!(yard.submit(early).await, Err(not_recent(&yard, ahead)));
}

pub(super) async fn an_id_of_any_age_is_taken_once_where_nobody_can_send_it_later(yard: Yard) {
    let old = NewTask {
        is_of_any_age: true,
        ..of_client(&yard, "body")
    };
    yard.pass(yard.policy.key_life * 30);

    assert_eq!(yard.submit(old.clone()).await, Ok(old.id));
    let again = yard.submit_all(vec![old.clone()]).await.unwrap();
    assert_eq!(again.made, [Made::Before]);
    let other = NewTask {
        digest: Some(Digest::of(b"other")),
        ..old.clone()
    };
    assert_eq!(yard.submit(other).await, Err(Refused::IdTaken(old.id)));

    let ahead = NewTask {
        id: TaskId::new(yard.now() + HOUR, 7),
        ..old
    };
    let refused = not_recent(&yard, ahead.id);
    assert_eq!(yard.submit(ahead).await, Err(refused));
}

fn not_recent(yard: &Yard, id: TaskId) -> Refused {
    Refused::IdNotRecent {
        id,
        life: yard.policy.key_life,
        skew: yard.policy.clock_skew,
    }
}

pub(super) async fn one_bad_task_refuses_its_whole_batch(yard: Yard) {
    let old = of_client(&yard, "body");
    yard.pass(yard.policy.key_life + Duration::from_secs(1));

    let refused = yard
        .submit_all(vec![yard.task(), old.clone(), yard.task()])
        .await;

    assert_eq!(refused, Err(not_recent(&yard, old.id)));
    assert!(
        yard.list(List {
            limit: 10,
            ..List::default()
        })
        .await
        .items
        .is_empty()
    );
}

fn once(yard: &Yard, key: &str, body: &str) -> Submit {
    let key = IdempotencyKey {
        scope: "POST /tasks".into(),
        key: key.into(),
    };
    Submit {
        tasks: vec![yard.task()],
        once: Some((key, Digest::of(body.as_bytes()))),
        again: false,
    }
}

pub(super) async fn the_same_idempotency_key_answers_the_same_ids(yard: Yard) {
    let first: Submitted = yard.run(once(&yard, "k", "body")).await.unwrap();

    let again: Submitted = yard.run(once(&yard, "k", "body")).await.unwrap();
    assert!(again.existed() && !first.existed());
    assert_eq!(again.ids, first.ids);

    let twins: Vec<Command> = vec![
        once(&yard, "t", "body").into(),
        once(&yard, "t", "body").into(),
    ];
    let replies = yard.batch(twins).await;
    let ids = replies
        .into_iter()
        .map(|reply| Submitted::try_from(reply.unwrap()).unwrap().ids);
    let ids: Vec<_> = ids.collect();
    assert_eq!(ids[0], ids[1]);
    assert_eq!(yard.count().await, 2);
}

pub(super) async fn an_idempotency_key_with_another_body_is_refused(yard: Yard) {
    yard.run::<Submitted>(once(&yard, "k", "body"))
        .await
        .unwrap();

    let other = yard.run::<Submitted>(once(&yard, "k", "other")).await;

    assert_eq!(other, Err(Refused::KeyReused));
}

pub(super) async fn an_idempotency_key_is_forgotten_after_its_life(yard: Yard) {
    let first: Submitted = yard.run(once(&yard, "k", "body")).await.unwrap();
    assert_eq!(
        yard.run::<Pruned>(Prune { limit: 10, skip: 0 })
            .await
            .unwrap()
            .count,
        0
    );

    yard.pass(yard.policy.key_life + Duration::from_secs(1));
    let behind = Prune { limit: 10, skip: 1 };
    assert_eq!(yard.run::<Pruned>(behind).await.unwrap().count, 0);
    assert_eq!(
        yard.run::<Pruned>(Prune { limit: 10, skip: 0 })
            .await
            .unwrap()
            .count,
        1
    );

    let later: Submitted = yard.run(once(&yard, "k", "other")).await.unwrap();
    assert_ne!(later.ids, first.ids);
}

pub(super) async fn the_oldest_keys_are_forgotten_first(yard: Yard) {
    for key in ["older", "newer"] {
        let once = once(&yard, key, "body");
        yard.run::<Submitted>(once).await.unwrap();
        yard.pass(Duration::from_secs(1));
    }
    yard.pass(yard.policy.key_life);
    let prune = Prune { limit: 1, skip: 0 };

    // Which of them it finds shows where that one is taken anew before.
    let batch = vec![once(&yard, "older", "other").into(), prune.into()];
    let found = yard.batch(batch).await.remove(1).unwrap();

    assert_eq!(Pruned::try_from(found).unwrap().count, 0);
    let pruned: Pruned = yard.run(Prune { limit: 10, ..prune }).await.unwrap();
    assert_eq!(pruned.count, 1);
}

pub(super) async fn a_key_that_is_forgotten_and_taken_in_one_batch_stands_for_what_took_it(
    yard: Yard,
) {
    let first: Submitted = yard.run(once(&yard, "k", "body")).await.unwrap();
    yard.pass(yard.policy.key_life + Duration::from_secs(1));
    let prune = Prune { limit: 10, skip: 0 };

    let batch = vec![prune.into(), once(&yard, "k", "other").into()];
    let taken = yard.batch(batch).await.remove(1).unwrap();

    let taken = Submitted::try_from(taken).unwrap();
    assert_ne!(taken.ids, first.ids);
    let again: Submitted = yard.run(once(&yard, "k", "other")).await.unwrap();
    assert_eq!(again.ids, taken.ids);
}

pub(super) async fn a_key_that_is_taken_anew_before_it_is_forgotten_stays(yard: Yard) {
    yard.run::<Submitted>(once(&yard, "k", "body"))
        .await
        .unwrap();
    yard.pass(yard.policy.key_life + Duration::from_secs(1));
    let prune = Prune { limit: 10, skip: 0 };

    let batch = vec![once(&yard, "k", "other").into(), prune.into()];
    let mut answers = yard.batch(batch).await;

    let pruned = Pruned::try_from(answers.remove(1).unwrap()).unwrap();
    assert_eq!(pruned.count, 0);
    let taken = Submitted::try_from(answers.remove(0).unwrap()).unwrap();
    let again: Submitted = yard.run(once(&yard, "k", "other")).await.unwrap();
    assert_eq!(again.ids, taken.ids);
}

pub(super) async fn a_batch_takes_the_lanes_that_are_left_and_no_more(mut yard: Yard) {
    yard.policy.lanes_max = 3;
    let of = |kind: &str| NewTask {
        lane: lane("default", kind, None),
        ..yard.task()
    };
    yard.submit(of("a")).await.unwrap();

    let fits = yard
        .submit_all(vec![of("b"), of("a"), of("b"), of("c")])
        .await;
    let refused = yard.submit_all(vec![of("c"), of("d"), of("e")]).await;

    assert!(fits.is_ok());
    assert_eq!(refused, Err(Refused::TooManyLanes(3)));
    for kind in ["a", "b", "c"] {
        assert!(yard.submit(of(kind)).await.is_ok());
    }
}

pub(super) async fn too_many_lanes_are_refused(mut yard: Yard) {
    yard.policy.lanes_max = 2;
    for kind in ["a", "b"] {
        yard.submit(NewTask {
            lane: lane("default", kind, None),
            ..yard.task()
        })
        .await
        .unwrap();
    }

    let third = yard
        .submit(NewTask {
            lane: lane("default", "c", None),
            ..yard.task()
        })
        .await;

    assert_eq!(third, Err(Refused::TooManyLanes(2)));
    assert!(
        yard.submit(NewTask {
            lane: lane("default", "a", None),
            ..yard.task()
        })
        .await
        .is_ok()
    );
}

pub(super) async fn a_refused_submit_uses_up_no_lane(mut yard: Yard) {
    yard.policy.lanes_max = 3;
    let of = |kind: &str| NewTask {
        lane: lane("default", kind, None),
        ..yard.task()
    };
    let taken = of_client(&yard, "body");
    yard.submit(taken.clone()).await.unwrap();
    yard.run::<Submitted>(once(&yard, "k", "body"))
        .await
        .unwrap();

    for n in 0..10 {
        let reused = Submit {
            tasks: vec![of(&format!("reused-{n}"))],
            ..once(&yard, "k", "other")
        };
        let kind = lane("default", &format!("taken-{n}"), None);
        let other_body = NewTask {
            id: taken.id,
            lane: kind,
            ..of_client(&yard, "other")
        };
        let half_bad = vec![of(&format!("beside-{n}")), other_body];
        assert_eq!(yard.run::<Submitted>(reused).await, Err(Refused::KeyReused));
        let refused = yard.submit_all(half_bad).await;
        assert_eq!(refused, Err(Refused::IdTaken(taken.id)));
    }

    // In one batch with a submit that is taken, each of a lane of its own.
    let batch: Vec<Command> = vec![
        Submit {
            tasks: vec![of("first")],
            ..once(&yard, "k2", "body")
        }
        .into(),
        Submit {
            tasks: vec![of("never")],
            ..once(&yard, "k2", "other")
        }
        .into(),
    ];
    let replies = yard.batch(batch).await;
    assert_eq!(replies[1], Err(Refused::KeyReused));

    assert!(yard.submit(of("second")).await.is_ok());
    let third = yard.submit(of("third")).await;
    assert_eq!(third, Err(Refused::TooManyLanes(3)));
}

/// How often a store looks for lanes to forget.
const FORGET_EVERY: Duration = Duration::from_secs(1);

fn of_kind(yard: &Yard, kind: &str) -> NewTask {
    NewTask {
        lane: lane("default", kind, None),
        ..yard.task()
    }
}

pub(super) async fn lanes_whose_tasks_have_ended_make_room(mut yard: Yard) {
    yard.policy.lanes_max = 2;
    let worker = yard.worker("w").await;
    let first = yard.submit(of_kind(&yard, "a")).await.unwrap();
    let second = yard.submit(of_kind(&yard, "b")).await.unwrap();
    let refused = Err(Refused::TooManyLanes(2));
    assert_eq!(yard.submit(of_kind(&yard, "c")).await, refused);

    let run = yard.claim_one(&worker).await;
    yard.complete(&run).await.unwrap();
    // It has just been looked for some.
    assert_eq!(yard.submit(of_kind(&yard, "c")).await, refused);
    yard.pass(FORGET_EVERY);
    let third = yard.submit(of_kind(&yard, "c")).await.unwrap();

    // What has ended is still shown and found by its kind.
    assert_eq!(yard.view(first).await.lane.kind.as_str(), "a");
    let listed = yard.list(List {
        filter: Filter {
            kind: Some(Name::path("a").unwrap()),
            ..Filter::default()
        },
        limit: 10,
        ..List::default()
    });
    let listed = listed.await.items;
    assert_eq!(
        listed.iter().map(|view| view.task.id).collect::<Vec<_>>(),
        [first]
    );
    assert_eq!(ids(&yard.claim(&worker, 9).await), [second, third]);
    // It comes back like any other, and is the lane that it was.
    yard.pass(FORGET_EVERY);
    assert_eq!(yard.submit(of_kind(&yard, "a")).await, refused);
    yard.cancel(second).await.unwrap();
    yard.pass(FORGET_EVERY);
    let again = yard.submit(of_kind(&yard, "a")).await.unwrap();
    let lane_of = |view: TaskView| view.task.lane;
    assert_eq!(
        lane_of(yard.view(again).await),
        lane_of(yard.view(first).await)
    );
    assert_eq!(ids(&yard.claim(&worker, 9).await), [again]);
}

pub(super) async fn whatever_is_open_keeps_its_lane(mut yard: Yard) {
    yard.policy.lanes_max = 4;
    let worker = yard.worker("w").await;
    let held = yard.submit(of_kind(&yard, "held")).await.unwrap();
    assert_eq!(ids(&yard.claim(&worker, 1).await), [held]);
    let begun = yard.submit(of_kind(&yard, "begun")).await.unwrap();
    let begin = Claim {
        begin: true,
        ..worker.clone()
    };
    assert_eq!(ids(&yard.claim(&begin, 1).await), [begun]);
    let later = NewTask {
        begin: Begin::After(HOUR),
        ..of_kind(&yard, "scheduled")
    };
    yard.submit(later).await.unwrap();
    yard.submit(of_kind(&yard, "ready")).await.unwrap();

    yard.pass(FORGET_EVERY);
    let fifth = yard.submit(of_kind(&yard, "fifth")).await;

    assert_eq!(fifth, Err(Refused::TooManyLanes(4)));
}
