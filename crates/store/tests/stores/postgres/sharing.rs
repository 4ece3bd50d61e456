//! Two servers on one database: neither knows the other, and together they do everything once.

use std::collections::BTreeSet;
use std::sync::Arc;

use taskyard_core::command::Command;
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::order::Priority;
use taskyard_core::refused::Refused;
use taskyard_core::rows::Digest;
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::{Claim, Named};
use taskyard_core::verbs::report::Word;
use taskyard_core::verbs::set_queue::{QueueSet, SetQueue};
use taskyard_core::verbs::submit::{NewTask, Submit, Submitted};

use super::breaking::cut_off;
use super::who_waits;
use crate::conformance::yard::{Yard, held, ids, lane};
use crate::database::Database;

async fn two_yards() -> Option<(Yard, Yard, Arc<Database>)> {
    let database = Arc::new(Database::migrated().await?);
    let one = Yard::over(&database, &database.url()).await;
    let two = Yard::over(&database, &database.url()).await;
    Some((one, two.counting_from(1_000_000), database))
}

/// Of some kind, with a place in one of two lanes.
fn task(yard: &Yard, serial: usize) -> NewTask {
    NewTask {
        lane: lane("default", ["a", "b"][serial % 2], None),
        ..yard.task()
    }
}

#[tokio::test]
async fn each_task_goes_to_one_of_two_servers_that_claim_at_once() {
    let Some((one, two, _database)) = two_yards().await else {
        return;
    };
    let tasks: Vec<_> = (0..300).map(|serial| task(&one, serial)).collect();
    let submitted = one.submit_all(tasks).await.unwrap();
    // It knows its lanes from now on, and that something may be there.
    two.submit_all(vec![task(&two, 0), task(&two, 1)])
        .await
        .unwrap();
    two.store.unsure(None);
    let (here, there) = (one.worker("here").await, two.worker("there").await);

    let (first, second) = tokio::join!(drain(&one, &here), drain(&two, &there));

    let done: BTreeSet<TaskId> = first.iter().chain(&second).copied().collect();
    assert_eq!(
        done.len(),
        first.len() + second.len(),
        "no task went out twice"
    );
    assert!(submitted.ids.iter().all(|id| done.contains(id)));
    assert!(!first.is_empty() && !second.is_empty(), "both had some");
}

/// Until there is nothing left.
async fn drain(yard: &Yard, worker: &Claim) -> Vec<TaskId> {
    let mut done = Vec::new();
    loop {
        yard.store.unsure(None);
        let runs = yard.claim(worker, 7).await;
        if runs.is_empty() {
            return done;
        }
        for run in runs {
            assert_eq!(yard.complete(&run).await, Ok(Status::Completed));
            done.push(run.slot.task);
        }
    }
}

#[tokio::test]
async fn a_lane_has_one_number_whoever_uses_it_first() {
    let Some((one, two, _database)) = two_yards().await else {
        return;
    };
    let of_kind = |yard: &Yard, kind: &str| NewTask {
        lane: lane("default", kind, None),
        ..yard.task()
    };
    one.submit(of_kind(&one, "first")).await.unwrap();
    two.submit(of_kind(&two, "second")).await.unwrap();
    one.submit(of_kind(&one, "second")).await.unwrap();
    two.submit(of_kind(&two, "first")).await.unwrap();

    for kind in ["first", "second"] {
        let key = lane("default", kind, None);
        let number = one.store.lanes().number(&key);
        assert!(number.is_some());
        assert_eq!(number, two.store.lanes().number(&key));
    }
}

#[tokio::test]
async fn servers_that_make_lanes_at_once_give_each_its_own_number() {
    let Some((one, two, _database)) = two_yards().await else {
        return;
    };
    let of_kind = |yard: &Yard, kind: String| NewTask {
        lane: lane("default", &kind, None),
        ..yard.task()
    };
    for n in 0..20 {
        let own = of_kind(&one, format!("one-{n}"));
        let shared = of_kind(&one, format!("both-{n}"));
        let other_own = of_kind(&two, format!("two-{n}"));
        let other_shared = of_kind(&two, format!("both-{n}"));
        let (first, second) = tokio::join!(
            one.submit_all(vec![own, shared]),
            two.submit_all(vec![other_shared, other_own])
        );
        assert!(first.is_ok() && second.is_ok());
    }

    for n in 0..20 {
        let key = lane("default", &format!("both-{n}"), None);
        let number = one.store.lanes().number(&key);
        assert!(number.is_some() && number == two.store.lanes().number(&key));
    }
    let (one, two) = (one.store.lanes(), two.store.lanes());
    let common = one.iter().filter(|(lane, _)| two.key(*lane).is_some());
    for (lane, key) in common {
        assert_eq!(two.key(lane), Some(key));
    }
}

#[tokio::test]
async fn a_task_is_had_by_its_name_in_a_lane_that_only_another_server_has_heard_of() {
    let Some((one, two, _database)) = two_yards().await else {
        return;
    };
    let key = lane("default", "new", None);
    let task = one.submit(NewTask {
        lane: key.clone(),
        ..one.task()
    });
    let task = task.await.unwrap();
    let worker = two.worker("there").await;
    assert!(two.store.lanes().number(&key).is_none());

    let lane = Arc::new(key.clone());
    let named = Claim {
        task: Some(Named { task, lane }),
        ..worker
    };
    let run = two.claim_one(&named).await;

    assert_eq!((run.slot.task, &*run.lane), (task, &key));
    assert_eq!(two.complete(&run).await, Ok(Status::Completed));
    let number = two.store.lanes().number(&key);
    assert!(number.is_some() && number == one.store.lanes().number(&key));
}

#[tokio::test]
async fn what_another_server_puts_into_a_forgotten_lane_is_found() {
    let Some((mut one, two, database)) = two_yards().await else {
        return;
    };
    one.policy.lanes_max = 1;
    let of_kind = |yard: &Yard, kind: &str| NewTask {
        lane: lane("default", kind, None),
        ..yard.task()
    };
    let worker = one.worker("w").await;
    let first = one.submit(of_kind(&one, "a")).await.unwrap();
    two.submit(of_kind(&two, "a")).await.unwrap();
    assert_eq!(drain(&one, &worker).await.len(), 2);
    // On a new connection it lists the lanes there are; from here on only those that come behind them.
    cut_off(&database).await;
    one.submit(of_kind(&one, "b")).await.unwrap();
    assert!(
        one.store
            .lanes()
            .number(&lane("default", "a", None))
            .is_none()
    );

    let later = two.submit(of_kind(&two, "a")).await.unwrap();

    // Whoever waits looks every moment; the database is asked what waits each second.
    let mut done = Vec::new();
    while !done.contains(&later) {
        done.extend(drain(&one, &worker).await);
    }
    assert!(!done.contains(&first));
    assert_eq!(done.len(), 2);
}

fn chosen_by_client(yard: &Yard, body: &[u8]) -> NewTask {
    NewTask {
        digest: Some(Digest::of(body)),
        ..yard.task()
    }
}

#[tokio::test]
async fn the_same_ids_sent_to_two_servers_are_one_task_each() {
    let Some((one, two, _database)) = two_yards().await else {
        return;
    };
    for _ in 0..20 {
        let tasks: Vec<_> = (0..5).map(|_| chosen_by_client(&one, b"body")).collect();

        let (first, second) =
            tokio::join!(one.submit_all(tasks.clone()), two.submit_all(tasks.clone()));

        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(first.ids, second.ids);
        assert!(
            first.existed() != second.existed(),
            "one of them made all of it"
        );
    }
}

/// Another server's insert of the same id, seen only when it commits.
#[tokio::test]
async fn a_batch_that_meets_an_insert_is_decided_again() {
    let Some((one, _two, database)) = two_yards().await else {
        return;
    };
    let like = one.new_task().await;
    let mine = chosen_by_client(&one, b"mine");
    let mut client = database.client().await;
    let beside = database.beside().await;
    let theirs = client.transaction().await.unwrap();
    let insert = "insert into task
        select $1, lane, order_key, priority, run_at, created_at, max_attempts, max_losses, timeout, backoff,
          backoff_factor, backoff_max, backoff_jitter, labels, digest, input_len, input
        from task where id = $2";
    let values = &[&mine.id.as_uuid() as _, &like.as_uuid() as _];
    assert_eq!(theirs.execute(insert, values).await.unwrap(), 1);

    let other = async {
        who_waits(&beside, database.name(), "insert into task").await;
        theirs.commit().await.unwrap();
    };
    let beside_it = chosen_by_client(&one, b"beside");
    let submit = |task: &NewTask| Command::Submit(Submit::of(vec![task.clone()]));
    let batch = vec![submit(&mine), submit(&beside_it)];
    let (replies, ()) = tokio::join!(one.batch(batch), other);

    assert_eq!(replies[0], Err(Refused::IdTaken(mine.id)));
    let done = replies[1].clone().unwrap();
    assert!(!Submitted::try_from(done).unwrap().existed());
}

/// Each holds a row that the other waits for; the database ends the one that finds that out.
#[tokio::test]
async fn a_batch_that_waited_in_a_circle_is_decided_again() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let database = Arc::new(database);
    // Time enough for the circle to close before this one looks for it; the other never does.
    let url = format!("{}?options=-c%20deadlock_timeout%3D2s", database.url());
    let yard = Yard::over(&database, &url).await;
    let worker = yard.worker("w").await;
    yard.new_task().await;
    let run = yard.claim_one(&worker).await;
    yard.pass(yard.policy.lease / 2);
    let (mut client, beside) = (database.client().await, database.beside().await);
    let never = "set deadlock_timeout = '1h'";
    client.batch_execute(never).await.unwrap();
    let theirs = client.transaction().await.unwrap();
    let hold = "select from lease for update";
    assert_eq!(theirs.execute(hold, &[]).await.unwrap(), 1);

    let other = async {
        who_waits(&beside, database.name(), "lease_lock").await;
        let hold = "select from worker for update";
        assert_eq!(theirs.execute(hold, &[]).await.unwrap(), 1);
        theirs.commit().await.unwrap();
    };
    let (beaten, ()) = tokio::join!(yard.heartbeat(&worker, vec![held(&run)]), other);

    assert!(beaten.unwrap().lost.is_empty());
}

#[tokio::test]
async fn a_worker_that_registers_at_two_servers_at_once_is_replaced_once() {
    let Some((one, two, _database)) = two_yards().await else {
        return;
    };
    for name in ["w1", "w2", "w3", "w4", "w5"] {
        let (first, second) = tokio::join!(one.worker(name), two.worker(name));

        assert_eq!(first.number, second.number);
        assert_ne!(first.epoch, second.epoch);
    }
    let (first, second) = tokio::join!(one.worker("x"), two.worker("y"));
    assert_ne!(first.number, second.number);
}

#[tokio::test]
async fn a_queue_that_another_server_pauses_and_lets_go_on_is_served_so() {
    let Some((one, two, _database)) = two_yards().await else {
        return;
    };
    let pause = |paused| SetQueue {
        paused: Some(paused),
        ..SetQueue::of(Name::path("default").unwrap())
    };
    let worker = one.worker("here").await;
    let first = one.new_task().await;
    let second = one.new_task().await;

    for (paused_by, let_go_by, task) in [(&two, &one, first), (&one, &two, second)] {
        paused_by.run::<QueueSet>(pause(true)).await.unwrap();
        assert_eq!(one.claim(&worker, 1).await, []);
        let_go_by.run::<QueueSet>(pause(false)).await.unwrap();

        // A claim that finds out is not to wait, and has it when it looks again.
        let hand = one.hand(&worker, 1).await.unwrap();
        assert!(!hand.dry || !hand.runs.is_empty(), "it waits: {hand:?}");
        let mut runs = hand.runs;
        if runs.is_empty() {
            runs = one.claim(&worker, 1).await;
        }
        assert_eq!(ids(&runs), [task]);
        one.complete(&runs[0]).await.unwrap();
    }
}

#[tokio::test]
async fn a_suspect_that_another_server_made_is_found_once_that_is_looked_for() {
    let Some((one, two, _database)) = two_yards().await else {
        return;
    };
    // Both know the lane from now on.
    one.new_task().await;
    let worker = one.worker("here").await;
    let run = one.claim_one(&worker).await;
    one.complete(&run).await.unwrap();
    let task = two.new_task().await;
    for _ in 0..2 {
        let dies = two.worker("dies").await;
        assert_eq!(ids(&two.claim(&dies, 1).await), [task]);
        // Another process of its name tells of its end.
        two.worker("dies").await;
        assert_eq!(two.sweep(true).await, [task]);
    }
    let holder = two.claim_one(&two.worker("there").await).await;
    one.store.unsure(None);
    assert_eq!(
        one.claim(&worker, 1).await,
        [],
        "it sees that nothing is there"
    );
    // Suspected still.
    two.report(&holder, Word::Released).await.unwrap();

    one.store.unsure(None);

    assert_eq!(ids(&one.claim(&worker, 1).await), [task]);
    assert_eq!(one.status(task).await, Status::Running, "given alone");
}

/// No hint tells of it here.
#[tokio::test]
async fn what_another_server_puts_before_the_known_beginning_of_a_lane_is_found() {
    let Some((one, two, _database)) = two_yards().await else {
        return;
    };
    let worker = one.worker("here").await;
    let before = async || {
        let urgent = NewTask {
            priority: Priority::new(5).unwrap(),
            ..two.task()
        };
        two.submit(urgent).await.unwrap()
    };
    let first = one.new_task().await;
    let second = one.new_task().await;
    assert_eq!(ids(&one.claim(&worker, 1).await), [first]);

    let urgent = before().await;
    one.store.unsure(None);
    assert_eq!(ids(&one.claim(&worker, 2).await), [urgent, second]);
    assert_eq!(one.claim(&worker, 1).await, [], "the lane is empty");

    let urgent = before().await;
    one.store.unsure(None);
    assert_eq!(ids(&one.claim(&worker, 1).await), [urgent]);
}
