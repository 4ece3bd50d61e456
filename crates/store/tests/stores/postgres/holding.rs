//! Rows that another server holds: what a batch decides by is waited for, what may as well come later is left out.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use taskyard_core::filter::Filter;
use taskyard_core::id::{Epoch, ServerNumber};
use taskyard_core::lane::Lane;
use taskyard_core::minute::{Events, Minute, MinuteKey, What};
use taskyard_core::name::Name;
use taskyard_core::operation::Act;
use taskyard_core::query::{Answer, Query};
use taskyard_core::retention::Retention;
use taskyard_core::rows::{Digest, IdempotencyKey};
use taskyard_core::status::Status;
use taskyard_core::verbs::cancel::Cancelled;
use taskyard_core::verbs::discard::{Discard, Discarded};
use taskyard_core::verbs::join::{Join, Joined};
use taskyard_core::verbs::proceed::Proceeded;
use taskyard_core::verbs::prune::{Prune, Pruned};
use taskyard_core::verbs::set_queue::{QueueSet, SetQueue};
use taskyard_core::verbs::submit::{Begin, NewTask, Submit, Submitted};
use taskyard_core::verbs::tally::{Tallied, Tally};

use super::who_waits;
use crate::conformance::operating::{begin, piece};
use crate::conformance::yard::{Yard, ids, lane};
use crate::database::Database;

async fn yard() -> Option<(Yard, Arc<Database>)> {
    let database = Arc::new(Database::migrated().await?);
    Some((Yard::over(&database, &database.url()).await, database))
}

/// What `here` answers when another server's change is under way, and is committed once `here` waits for it in this
/// statement. A write that met the change would be a conflict, and the batch be decided again: that costs more, and what
/// a batch only looked at it would not find out.
async fn meets<T>(
    database: &Database,
    change: &str,
    statement: &str,
    here: impl Future<Output = T>,
) -> T {
    let (mut client, beside) = (database.client().await, database.beside().await);
    let theirs = client.transaction().await.unwrap();
    assert_eq!(theirs.execute(change, &[]).await.unwrap(), 1, "{change}");
    let mut here = pin!(here);
    tokio::select! {
        _ = &mut here => panic!("it did not wait for {change:?}"),
        _ = who_waits(&beside, database.name(), statement) => {}
    }
    theirs.commit().await.unwrap();
    here.await
}

#[tokio::test]
async fn a_worker_that_another_server_registers_meanwhile_is_registered_behind_it() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    assert_eq!(yard.worker("w").await.epoch, Epoch(1));

    let change = "update worker set epoch = epoch + 1";
    let again = meets(&database, change, "worker_lock", yard.worker("w")).await;

    assert_eq!(again.epoch, Epoch(3));
}

#[tokio::test]
async fn a_worker_that_another_server_hears_of_meanwhile_loses_nothing() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    let worker = yard.worker("w").await;
    let task = yard.new_task().await;
    yard.claim_one(&worker).await;
    yard.pass(yard.policy.heartbeat_ttl);

    let change = "update worker set expires_at = expires_at * 2";
    let lost = meets(&database, change, "worker_lock", yard.sweep(false)).await;

    assert_eq!(lost, []);
    assert_eq!(yard.status(task).await, Status::Assigned);
}

/// Or its leases would be over before they are known of.
#[tokio::test]
async fn what_waits_for_long_goes_by_the_time_at_which_it_has_what_it_waits_for() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    yard.worker("w").await;
    let (mut client, beside) = (database.client().await, database.beside().await);
    let theirs = client.transaction().await.unwrap();
    theirs
        .execute("update worker set epoch = epoch", &[])
        .await
        .unwrap();

    let again = async {
        yard.worker("w").await;
    };
    let long = async {
        who_waits(&beside, database.name(), "worker_lock").await;
        yard.pass(Duration::from_secs(13));
        theirs.commit().await.unwrap();
    };
    tokio::join!(again, long);

    let row = Query::Worker(Name::plain("w").unwrap());
    let Answer::Worker(Some(row)) = yard.store.read(row).await.unwrap() else {
        panic!("it is registered")
    };
    assert_eq!(row.expires_at, yard.now() + yard.policy.heartbeat_ttl);
}

#[tokio::test]
async fn a_server_that_renews_its_number_meanwhile_keeps_it() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    let join = Join {
        held: None,
        alone: false,
    };
    let first: Joined = yard.run(join).await.unwrap();
    yard.pass(yard.policy.server_ttl);

    let change = "update server set expires_at = expires_at * 2";
    let second = yard.run::<Joined>(join);
    let second = meets(&database, change, "server_lock", second).await;

    let numbers = [first, second.unwrap()].map(|joined| joined.server.number);
    assert_eq!(numbers, [ServerNumber(1), ServerNumber(2)]);
}

fn under_key(yard: &Yard, key: &str) -> Submit {
    let (scope, key) = ("scope".into(), key.into());
    Submit {
        tasks: vec![yard.task()],
        once: Some((IdempotencyKey { scope, key }, Digest::of(b"request"))),
        again: false,
    }
}

#[tokio::test]
async fn a_key_that_another_server_prunes_meanwhile_stands_for_nothing() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    let first: Submitted = yard.run(under_key(&yard, "k")).await.unwrap();

    let change = "delete from idempotency";
    let second = yard.run::<Submitted>(under_key(&yard, "k"));
    let second = meets(&database, change, "idempotency_lock", second).await;

    let second = second.unwrap();
    assert!(!second.existed());
    assert_ne!(first.ids, second.ids);
}

#[tokio::test]
async fn a_unique_key_that_another_server_gives_to_a_task_meanwhile_is_that_tasks() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    let unique = || NewTask {
        unique_key: Some("key".into()),
        ..yard.task()
    };
    let ended = yard.submit(unique()).await.unwrap();
    yard.cancel(ended).await.unwrap();
    let theirs = yard.new_task().await;

    let change = format!("update unique_key set task = '{theirs}'");
    let had = meets(&database, &change, "unique_lock", yard.submit(unique())).await;

    assert_eq!(had, Ok(theirs));
}

#[tokio::test]
async fn a_piece_of_an_operation_that_another_server_does_meanwhile_is_done_once() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    let tasks = [yard.new_task().await, yard.new_task().await];
    for task in tasks {
        yard.cancel(task).await.unwrap();
    }
    let operation = begin(&yard, Act::Retry, Filter::default()).await;
    let piece = piece(&yard, &operation, 1).await;

    let change = format!("update operation set cursor = '{}', done = 1", tasks[1]);
    let again = yard.run::<Proceeded>(piece);
    let again = meets(&database, &change, "operation_lock", again).await;

    assert_eq!(again.unwrap().operation, None);
    assert_eq!(yard.count().await, tasks.len());
}

#[tokio::test]
async fn what_another_server_says_of_a_queue_meanwhile_stays_said() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    let queue = || SetQueue::of(Name::path("default").unwrap());
    let timeout = Some(Some(Duration::from_secs(5)));
    let first = SetQueue { timeout, ..queue() };
    yard.run::<QueueSet>(first).await.unwrap();
    let second = SetQueue {
        paused: Some(true),
        ..queue()
    };

    let change = "update queue set max_attempts = 7";
    let set = yard.run::<QueueSet>(second);
    let QueueSet(set) = meets(&database, change, "queue_lock", set).await.unwrap();

    assert_eq!((set.is_paused, set.defaults.max_attempts), (true, Some(7)));
}

/// A minute is one server's alone; what holds it may be a connection of that server's own that broke.
#[tokio::test]
async fn what_is_added_to_a_minute_meanwhile_is_added_to() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    yard.new_task().await;
    let minute = MinuteKey::minute_of(yard.now());
    let tally = || {
        let lane = Lane(1);
        let mut events = Events::default();
        events.counts[What::Submitted as usize] = 3;
        let key = MinuteKey { minute, lane };
        Tally {
            minutes: vec![Minute { key, events }],
            ..Tally::default()
        }
    };
    yard.run::<Tallied>(tally()).await.unwrap();

    let change = "update minute set submitted = submitted + 70";
    let added = yard.run::<Tallied>(tally());
    meets(&database, change, "minute_lock", added)
        .await
        .unwrap();

    let found = yard.store.read(Query::Minutes { from: minute }).await;
    let rows = found.unwrap().minutes().minutes;
    let submitted: Vec<i64> = rows
        .iter()
        .map(|row| row.events.count(What::Submitted))
        .collect();
    assert_eq!(submitted, [76]);
}

#[tokio::test]
async fn an_ended_task_that_another_server_holds_keeps_no_other_from_going() {
    let Some((mut yard, database)) = yard().await else {
        return;
    };
    yard.policy.retention = Retention::all(Duration::ZERO);
    let tasks = vec![yard.new_task().await, yard.new_task().await];
    for task in &tasks {
        yard.cancel(*task).await.unwrap();
    }
    yard.pass(yard.policy.key_life + Duration::from_secs(1));
    let mut client = database.client().await;
    let theirs = client.transaction().await.unwrap();
    let hold = "select from outcome where task = $1 for update";
    assert_eq!(
        theirs.execute(hold, &[&tasks[0].as_uuid()]).await.unwrap(),
        1
    );
    let discard = async || {
        let tasks = tasks.clone();
        yard.run::<Discarded>(Discard { tasks }).await.unwrap()
    };

    assert_eq!(discard().await.count, 1);
    assert_eq!(yard.count().await, 1);

    theirs.rollback().await.unwrap();
    assert_eq!(discard().await.count, 1);
    assert_eq!(yard.count().await, 0);
}

#[tokio::test]
async fn what_is_due_and_held_by_another_server_holds_up_nothing_else() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    for seconds in [1, 2] {
        let task = NewTask {
            begin: Begin::After(Duration::from_secs(seconds)),
            ..yard.task()
        };
        yard.submit(task).await.unwrap();
    }
    yard.pass(Duration::from_secs(3));
    let mut client = database.client().await;
    let theirs = client.transaction().await.unwrap();
    let hold = "select from scheduled order by run_at limit 1 for update";
    assert_eq!(theirs.execute(hold, &[]).await.unwrap(), 1);

    assert_eq!(yard.promote().await, 1);

    theirs.rollback().await.unwrap();
    assert_eq!(yard.promote().await, 1);
}

#[tokio::test]
async fn an_old_key_that_another_server_holds_keeps_no_other_from_going() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    for key in ["a", "b"] {
        yard.run::<Submitted>(under_key(&yard, key)).await.unwrap();
    }
    yard.pass(yard.policy.key_life + Duration::from_secs(1));
    let mut client = database.client().await;
    let theirs = client.transaction().await.unwrap();
    let hold = "select from idempotency where key = 'a' for update";
    assert_eq!(theirs.execute(hold, &[]).await.unwrap(), 1);
    let prune = async || {
        yard.run::<Pruned>(Prune { limit: 10, skip: 0 })
            .await
            .unwrap()
    };

    assert_eq!(prune().await.count, 1);

    theirs.rollback().await.unwrap();
    assert_eq!(prune().await.count, 1);
}

/// Wherever a task stands: the row moves, and says the same.
#[tokio::test]
async fn a_task_whose_row_another_server_rewrites_meanwhile_is_cancelled_where_it_stands() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    let worker = yard.worker("w").await;
    let leased = yard.new_task().await;
    yard.claim_one(&worker).await;
    let ready = yard.new_task().await;
    let later = NewTask {
        begin: Begin::After(Duration::from_secs(9)),
        ..yard.task()
    };
    let scheduled = yard.submit(later).await.unwrap();

    for (task, table) in [
        (leased, "lease"),
        (ready, "ready"),
        (scheduled, "scheduled"),
    ] {
        let change = format!("update {table} set has_carry = has_carry");
        let statement = format!("{table}_lock");
        let cancelled = meets(&database, &change, &statement, yard.cancel(task)).await;

        assert_eq!(cancelled, Ok(Cancelled), "{table}");
        assert_eq!(yard.status(task).await, Status::Cancelled, "{table}");
    }
}

/// Numbers are given in the order in which others see them: who lists what is behind the last one misses none.
#[tokio::test]
async fn a_lane_that_another_server_numbers_meanwhile_is_counted_on_from() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    yard.new_task().await;
    let ours = NewTask {
        lane: lane("default", "ours", None),
        ..yard.task()
    };

    let change = "insert into lane (number, queue, kind, demands)
        select number + 1, queue, 'theirs', demands from lane";
    let submitted = meets(&database, change, "lane_lock", yard.submit(ours)).await;

    submitted.unwrap();
    let number = |kind| yard.store.lanes().number(&lane("default", kind, None));
    let (first, ours) = (number("work").unwrap(), number("ours").unwrap());
    assert_eq!(ours.0, first.0 + 2);
}

#[tokio::test]
async fn a_task_that_another_server_holds_keeps_no_other_from_being_claimed() {
    // What is picked from one lane and what from several are statements of their own.
    for kinds in [&["a"][..], &["a", "b"]] {
        let Some((yard, database)) = yard().await else {
            return;
        };
        let worker = yard.worker("w").await;
        let mut tasks = Vec::new();
        for serial in 0..4 {
            let lane = lane("default", kinds[serial % kinds.len()], None);
            let task = NewTask {
                lane,
                ..yard.task()
            };
            tasks.push(yard.submit(task).await.unwrap());
        }
        let mut client = database.client().await;
        let theirs = client.transaction().await.unwrap();
        let hold = "select from ready order by order_key, task limit 1 for update";
        assert_eq!(theirs.execute(hold, &[]).await.unwrap(), 1);

        // As many as are asked for, though the first cannot be had.
        let runs = yard.claim(&worker, 2).await;
        assert_eq!(ids(&runs), tasks[1..3], "of {kinds:?}");

        theirs.rollback().await.unwrap();
        yard.store.unsure(None);
        let runs = yard.claim(&worker, 9).await;
        assert_eq!(ids(&runs), [tasks[0], tasks[3]], "of {kinds:?}");
    }
}
