//! Connections that break, waits that end, and texts that cannot be kept.

use std::sync::Arc;

use taskyard_core::command::Command;
use taskyard_core::id::{Fence, SlotKey, TaskId};
use taskyard_core::log::{Append, Limits, Owner};
use taskyard_core::query::{List, Query};
use taskyard_core::rows::{Digest, Failure, IdempotencyKey};
use taskyard_core::status::Status;
use taskyard_core::store::{Cause, Error};
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::report::Word;
use taskyard_core::verbs::submit::{NewTask, Submit};

use super::who_waits;
use crate::conformance::yard::{Yard, ids, lane};
use crate::database::Database;

async fn yard() -> Option<(Yard, Arc<Database>)> {
    let database = Arc::new(Database::migrated().await?);
    Some((Yard::over(&database, &database.url()).await, database))
}

fn submit(task: &NewTask, again: bool) -> Vec<Command> {
    vec![Command::Submit(Submit {
        tasks: vec![task.clone()],
        once: None,
        again,
    })]
}

/// Ends everybody's connection to the database.
pub(super) async fn cut_off(database: &Database) {
    let cut = "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = $1";
    let beside = database.beside().await;
    beside.query(cut, &[&database.name()]).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_broke_between_two_batches_costs_nothing() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    let first = yard.new_task().await;
    assert_eq!(yard.status(first).await, Status::Pending);

    cut_off(&database).await;
    assert_eq!(yard.status(first).await, Status::Pending);
    cut_off(&database).await;
    let second = yard.new_task().await;
    cut_off(&database).await;
    let worker = yard.worker("w").await;
    cut_off(&database).await;
    let runs = yard.claim(&worker, 5).await;

    let tasks: Vec<_> = runs.iter().map(|run| run.slot.task).collect();
    assert_eq!(tasks, [first, second]);
}

#[tokio::test]
async fn what_another_server_made_ready_while_the_connection_was_broken_is_found() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    let other = Yard::over(&database, &database.url()).await;
    let other = other.counting_from(1_000_000);
    let worker = yard.worker("w").await;
    yard.new_task().await;
    // On a new connection it hears of the lane; there is nothing left in it.
    cut_off(&database).await;
    yard.claim_one(&worker).await;
    assert!(yard.claim(&worker, 1).await.is_empty());

    cut_off(&database).await;
    let task = other.new_task().await;

    // Nobody told it to look.
    assert_eq!(ids(&yard.claim(&worker, 1).await), [task]);
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_commit_is_made_anew_and_the_batch_runs_once() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    let worker = yard.worker("w").await;
    let task = yard.new_task().await;
    let run = yard.claim_one(&worker).await;
    let mut client = database.client().await;
    let beside = database.beside().await;
    let holding = client.transaction().await.unwrap();
    let hold = "select from lease for update";
    assert_eq!(holding.execute(hold, &[]).await.unwrap(), 1);

    let trouble = async {
        let pid = who_waits(&beside, database.name(), "from lease").await;
        let cut = "select pg_terminate_backend($1, 10000)";
        beside.query(cut, &[&pid]).await.unwrap();
        who_waits(&beside, database.name(), "from lease").await;
        holding.rollback().await.unwrap();
    };
    let (completed, ()) = tokio::join!(yard.complete(&run), trouble);

    assert_eq!(completed, Ok(Status::Completed));
    assert_eq!(yard.status(task).await, Status::Completed);
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_commit_leaves_its_outcome_unknown() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    // The first one's lane is new; the second one's statement is the one that waits below.
    yard.new_task().await;
    yard.new_task().await;
    let task = yard.task();
    let mut client = database.client().await;
    let beside = database.beside().await;
    let holding = client.transaction().await.unwrap();
    let hold = "lock table task in exclusive mode";
    holding.batch_execute(hold).await.unwrap();

    let trouble = async {
        let pid = who_waits(&beside, database.name(), "insert into task").await;
        let cut = "select pg_terminate_backend($1, 10000)";
        beside.query(cut, &[&pid]).await.unwrap();
        holding.rollback().await.unwrap();
    };
    let (ran, ()) = tokio::join!(yard.store.run(submit(&task, false), &yard.policy), trouble);

    assert!(matches!(ran, Err(Error::Unknown(_))), "{ran:?}");
    // Looked for and sent again, it is there once, whatever became of the first.
    let ran = yard.store.run(submit(&task, true), &yard.policy).await;
    assert!(matches!(ran.unwrap().replies[..], [Ok(Ok(_))]));
    assert_eq!(yard.status(task.id).await, Status::Pending);
}

#[tokio::test]
async fn a_connection_that_breaks_between_the_parts_of_a_batch_undoes_none_of_those_before() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    let worker = yard.worker("w").await;
    let tasks: Vec<NewTask> = (0..4).map(|_| yard.task()).collect();
    yard.place.refuse(tasks[1].id).await;
    let (client, beside) = (database.client().await, database.beside().await);
    let hold = format!(
        "create function hold() returns trigger language plpgsql as
            'begin perform pg_advisory_xact_lock(1); return new; end';
        create trigger hold before insert on task for each row
            when (new.id = '{}') execute function hold();
        select pg_advisory_lock(1)",
        tasks[2].id
    );
    client.batch_execute(&hold).await.unwrap();

    let trouble = async {
        let pid = who_waits(&beside, database.name(), "insert into task").await;
        let cut = "select pg_terminate_backend($1, 10000)";
        beside.query(cut, &[&pid]).await.unwrap();
    };
    let batch = tasks.iter().flat_map(|task| submit(task, false)).collect();
    let (answers, ()) = tokio::join!(yard.answers(batch), trouble);

    assert!(
        matches!(
            answers[..],
            [
                Ok(Ok(_)),
                Err(Error::Failed(_)),
                Err(Error::Unknown(_)),
                Err(Error::Unknown(_))
            ]
        ),
        "{answers:?}"
    );
    drop(client);
    let again = yard.answers(submit(&tasks[3], true)).await;
    assert!(matches!(again[..], [Ok(Ok(_))]), "{again:?}");
    let runs = yard.claim(&worker, 5).await;
    assert_eq!(ids(&runs), [tasks[0].id, tasks[3].id]);
}

#[tokio::test]
async fn a_wait_for_a_lock_ends_and_the_batch_did_not_happen() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let database = Arc::new(database);
    let url = format!("{}?options=-c%20lock_timeout%3D200ms", database.url());
    let yard = Yard::over(&database, &url).await;
    yard.new_task().await;
    let task = yard.task();
    let mut client = database.client().await;
    let holding = client.transaction().await.unwrap();
    let hold = "lock table task in exclusive mode";
    holding.batch_execute(hold).await.unwrap();

    let ran = yard.store.run(submit(&task, false), &yard.policy).await;

    let Err(Error::Unavailable(away)) = ran else {
        panic!("not what a wait ends with: {ran:?}")
    };
    assert_eq!(away.cause, Cause::Held);
    assert!(away.detail.contains("lock timeout"), "{away}");
    holding.rollback().await.unwrap();
    let ran = yard.store.run(submit(&task, false), &yard.policy).await;
    assert!(matches!(ran.unwrap().replies[..], [Ok(Ok(_))]));
}

#[tokio::test]
async fn a_database_that_lets_nobody_in_is_unavailable_until_it_does() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    yard.new_task().await;
    let beside = database.beside().await;
    let close = format!("alter database {} allow_connections false", database.name());
    beside.batch_execute(&close).await.unwrap();
    cut_off(&database).await;

    let ran = yard
        .store
        .run(submit(&yard.task(), false), &yard.policy)
        .await;
    assert!(matches!(ran, Err(Error::Unavailable(_))), "{ran:?}");
    let read = yard.store.read(Query::Ping).await;
    assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");

    let open = close.replace("false", "true");
    beside.batch_execute(&open).await.unwrap();
    yard.new_task().await;
    assert!(yard.store.read(Query::Ping).await.is_ok());
}

/// As a standby is before it is promoted. A connection goes by what it was told at its begin.
#[tokio::test]
async fn a_database_that_takes_no_writes_is_unavailable_until_it_does() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    let beside = database.beside().await;
    let set_to = async |value: &str| {
        let name = database.name();
        let set = format!("alter database {name} set default_transaction_read_only = {value}");
        beside.batch_execute(&set).await.unwrap();
    };
    yard.new_task().await;
    set_to("on").await;
    cut_off(&database).await;

    let ran = yard
        .store
        .run(submit(&yard.task(), false), &yard.policy)
        .await;
    assert!(matches!(ran, Err(Error::Unavailable(_))), "{ran:?}");

    set_to("off").await;
    yard.new_task().await;
}

#[tokio::test]
async fn a_full_disk_is_told_apart_and_the_next_batch_is_tried_again() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    let client = database.client().await;
    // What PostgreSQL says when a table cannot grow.
    let fill = "create function fill() returns trigger language plpgsql as
            'begin raise exception ''could not extend file'' using errcode = ''disk_full''; end';
        create trigger fill before insert on task for each row execute function fill()";
    client.batch_execute(fill).await.unwrap();
    let task = yard.task();

    let ran = yard.store.run(submit(&task, false), &yard.policy).await;

    assert!(matches!(ran, Err(Error::Full)), "{ran:?}");
    client
        .batch_execute("drop trigger fill on task")
        .await
        .unwrap();
    let ran = yard.store.run(submit(&task, false), &yard.policy).await;
    assert!(matches!(ran.unwrap().replies[..], [Ok(Ok(_))]));
}

#[tokio::test]
async fn a_failure_may_say_anything_but_the_null_character_is_not_kept() {
    let Some((yard, _database)) = yard().await else {
        return;
    };
    let task = yard.new_task().await;
    let worker = yard.worker("w").await;
    let run = yard.claim_one(&worker).await;

    let error = Failure::new("od\0d", "it\0broke");
    let failed = Word::Failed {
        error,
        retry: false,
    };
    assert_eq!(yard.report(&run, failed).await, Ok(Status::Failed));

    let view = format!("{:?}", yard.view(task).await.standing);
    assert!(
        view.contains("it\u{fffd}broke") && view.contains("od\u{fffd}d"),
        "{view}"
    );
}

#[tokio::test]
async fn a_command_that_cannot_be_kept_fails_alone() {
    let Some((yard, _database)) = yard().await else {
        return;
    };
    let (scope, key) = ("scope".into(), "a\0key".into());
    let once = Some((IdempotencyKey { scope, key }, Digest::of(b"request")));
    let tasks = vec![yard.task()];
    let bad = Command::Submit(Submit {
        tasks,
        once,
        again: false,
    });

    let answers = yard.answers(vec![bad]).await;

    assert!(
        matches!(answers[..], [Err(Error::Failed(_))]),
        "{answers:?}"
    );
    yard.new_task().await;
}

#[tokio::test]
async fn a_list_names_what_the_database_fails_over_and_shows_the_others() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    let mut tasks = Vec::new();
    for index in 0..9 {
        let kind = if index % 4 == 2 { "bad" } else { "good" };
        let task = NewTask {
            lane: lane("default", kind, None),
            ..yard.task()
        };
        tasks.push(yard.submit(task).await.unwrap());
    }
    // As if a part of the row that lies elsewhere were lost.
    let break_down = "create function broken() returns text language plpgsql as
          $$ begin raise exception 'missing chunk' using errcode = 'data_corrupted'; end $$;
        alter table lane rename to kept;
        create view lane as
          select number, queue, kind, case when kind = 'bad' then broken() else demands end as demands from kept";
    let beside = database.client().await;
    beside.batch_execute(break_down).await.unwrap();

    let listed = yard.list(List {
        limit: 50,
        ..List::default()
    });
    let listed = listed.await;

    let (bad, mut good): (Vec<usize>, Vec<usize>) = (0..9).partition(|index| index % 4 == 2);
    good.reverse();
    let items: Vec<TaskId> = listed.items.iter().map(|view| view.task.id).collect();
    assert_eq!(
        items,
        good.iter().map(|index| tasks[*index]).collect::<Vec<_>>()
    );
    assert_eq!(listed.unreadable, [tasks[bad[1]], tasks[bad[0]]]);
    assert_eq!(listed.next, None);
}

#[tokio::test]
async fn a_log_that_cannot_be_read_keeps_none_of_the_others_away() {
    let Some((yard, database)) = yard().await else {
        return;
    };
    let tasks: Vec<TaskId> = (0..4).map(|_| yard.task().id).collect();
    let line_of = |task: TaskId| Append {
        owner: Owner {
            run: SlotKey::only(task).run(Fence(1)),
            attempt: 1,
            claimed_at: Timestamp::default(),
        },
        first: None,
        lines: Vec::new(),
        limits: Limits {
            bytes_max: 1000,
            line_bytes_max: 100,
        },
    };
    let append = |task| yard.store.logs().append(line_of(task));
    append(tasks[2]).await.unwrap();
    let client = database.client().await;
    let damage = "update log_run set bytes = -1";
    client.batch_execute(damage).await.unwrap();

    // What comes while the first is written is taken together.
    let appends = (0..100).map(|serial| append(tasks[serial % 4]));
    let appended = futures_util::future::join_all(appends).await;

    for (serial, appended) in appended.iter().enumerate() {
        if serial % 4 == 2 {
            assert!(matches!(appended, Err(Error::Unreadable(_))));
        } else {
            assert!(appended.is_ok(), "{serial}: {appended:?}");
        }
    }
}
