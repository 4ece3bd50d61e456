//! What is left once everything was taken away.

use std::time::Duration;

use taskyard_core::id::{Fence, SlotKey};
use taskyard_core::lane::Lane;
use taskyard_core::log::{Append, Limits, Line, Owner, Stream};
use taskyard_core::minute::{Events, Minute, MinuteKey};
use taskyard_core::name::Name;
use taskyard_core::query::{List, Query};
use taskyard_core::refused::Refused;
use taskyard_core::rows::{Digest, IdempotencyKey};
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::Claim;
use taskyard_core::verbs::join::{Join, Joined};
use taskyard_core::verbs::set_queue::{QueueSet, SetQueue};
use taskyard_core::verbs::submit::{Begin, NewTask, Submit, Submitted};
use taskyard_core::verbs::tally::{Tallied, Tally};

use super::yard::{Yard, failed};

async fn reset(yard: &Yard) {
    yard.store.reset().await.unwrap().unwrap();
}

/// One row of most tables, and more of some: what is ready, scheduled, leased, has failed once, and has ended.
async fn fill(yard: &Yard) -> Claim {
    let worker = yard.worker("w").await;
    for _ in 0..3 {
        yard.new_task().await;
    }
    let later = NewTask {
        begin: Begin::After(Duration::from_hours(1)),
        unique_key: Some("only".into()),
        ..yard.task()
    };
    yard.submit(later).await.unwrap();
    let runs = yard.claim(&worker, 3).await;
    yard.complete(&runs[0]).await.unwrap();
    yard.report(&runs[1], failed(true)).await.unwrap();
    let late = yard.report(&runs[0], failed(false)).await;
    assert!(late.is_err(), "{late:?}");
    let pause = SetQueue {
        paused: Some(true),
        ..SetQueue::of(Name::path("slow").unwrap())
    };
    let QueueSet(_) = yard.run(pause).await.unwrap();
    let key = MinuteKey {
        minute: MinuteKey::minute_of(yard.now()),
        lane: Lane(1),
    };
    let mut events = Events::default();
    events.counts[0] = 1;
    let tally = Tally {
        minutes: vec![Minute { key, events }],
        ..Tally::default()
    };
    let _: Tallied = yard.run(tally).await.unwrap();
    let owner = Owner {
        run: SlotKey::only(runs[0].slot.task).run(Fence(1)),
        attempt: 1,
        claimed_at: yard.now(),
    };
    let append = Append {
        owner,
        first: None,
        lines: vec![Line {
            at: yard.now(),
            stream: Stream::Stdout,
            text: "said".to_owned(),
        }],
        limits: Limits {
            bytes_max: 1000,
            line_bytes_max: 100,
        },
    };
    yard.store.logs().append(append).await.unwrap();
    worker
}

async fn is_empty(yard: &Yard) {
    let listed = yard.list(List::default()).await;
    assert!(listed.items.is_empty(), "{listed:?}");
    let counts = yard.store.read(Query::Counts).await.unwrap().counts();
    assert!(counts.is_empty(), "{counts:?}");
    let queues = yard.store.read(Query::Queues).await.unwrap().queues();
    assert_eq!(queues, []);
    let everybody = Query::Workers {
        after: None,
        limit: 10,
    };
    let workers = yard.store.read(everybody).await.unwrap().workers();
    assert!(workers.is_empty(), "{workers:?}");
    let found = yard.store.read(Query::Minutes { from: 0 }).await;
    let minutes = found.unwrap().minutes().minutes;
    assert!(minutes.is_empty(), "{minutes:?}");
    let logs = yard.store.logs().tasks(None, 10).await.unwrap();
    assert!(logs.is_empty(), "{logs:?}");
}

pub(super) async fn nothing_is_left_of_what_there_was(yard: Yard) {
    let before = yard.store.incarnation();
    fill(&yard).await;

    reset(&yard).await;

    is_empty(&yard).await;
    assert_ne!(yard.store.incarnation(), before, "it is another database");
    yard.pass(Duration::from_hours(2));
    assert_eq!(yard.promote().await, 0);
    assert!(yard.sweep(false).await.is_empty());
}

pub(super) async fn an_empty_database_is_emptied_as_often_as_is_asked(yard: Yard) {
    reset(&yard).await;
    let once = yard.store.incarnation();
    reset(&yard).await;

    is_empty(&yard).await;
    assert_ne!(yard.store.incarnation(), once);
    fill(&yard).await;
    reset(&yard).await;
    is_empty(&yard).await;
}

pub(super) async fn who_worked_before_is_unknown_and_its_results_are_refused(yard: Yard) {
    let worker = yard.worker("w").await;
    let task = yard.new_task().await;
    let run = yard.claim_one(&worker).await;

    reset(&yard).await;

    assert_eq!(yard.complete(&run).await, Err(Refused::NoSuchTask));
    assert_eq!(
        yard.heartbeat(&worker, vec![]).await.unwrap_err(),
        Refused::NoSuchWorker
    );
    assert_eq!(
        yard.hand(&worker, 1).await.unwrap_err(),
        Refused::NoSuchWorker
    );
    assert_eq!(yard.cancel(task).await, Err(Refused::NoSuchTask));
    let gone = yard.store.read(Query::Task(task)).await.unwrap().task();
    assert!(gone.is_none(), "{gone:?}");
}

pub(super) async fn no_number_and_no_epoch_of_a_worker_is_given_again(yard: Yard) {
    let (first, other) = (yard.worker("w").await, yard.worker("other").await);
    let second = yard.worker("w").await;

    for _ in 0..2 {
        reset(&yard).await;

        let again = yard.worker("w").await;
        assert!(again.number > other.number && again.number > first.number);
        assert!(again.epoch > second.epoch);
        for before in [&first, &second] {
            let refused = yard.hand(before, 1).await.unwrap_err();
            assert_eq!(refused, Refused::WorkerReplaced);
        }
        assert!(yard.hand(&again, 1).await.is_ok());
    }
}

pub(super) async fn work_goes_on_in_the_lanes_that_there_were(yard: Yard) {
    fill(&yard).await;

    reset(&yard).await;

    let worker = yard.worker("w").await;
    let task = yard.new_task().await;
    let slow = NewTask {
        lane: super::yard::lane("slow", "work", None),
        ..yard.task()
    };
    let slow = yard.submit(slow).await.unwrap();
    let run = yard.claim_one(&worker).await;
    assert_eq!(run.slot.task, task);
    yard.complete(&run).await.unwrap();
    assert_eq!(yard.status(task).await, Status::Completed);
    // Nothing is said of its queue any more, so it is not paused.
    assert_eq!(yard.claim_one(&worker).await.slot.task, slow);
}

pub(super) async fn ids_and_keys_of_before_stand_for_nothing(yard: Yard) {
    let key = IdempotencyKey {
        scope: "anyone".into(),
        key: "key".into(),
    };
    let once = (key, Digest::of(b"body"));
    let (one, other) = (yard.task(), yard.task());
    let submit = |task: &NewTask| Submit {
        tasks: vec![NewTask {
            unique_key: Some("only".into()),
            ..task.clone()
        }],
        once: Some(once.clone()),
        again: false,
    };
    let _: Submitted = yard.run(submit(&one)).await.unwrap();

    reset(&yard).await;

    let anew: Submitted = yard.run(submit(&other)).await.unwrap();
    assert_eq!(&*anew.ids, [other.id]);
    yard.submit(one).await.unwrap();
}

pub(super) async fn servers_stay_what_they_are(yard: Yard) {
    let join = Join {
        held: None,
        alone: true,
    };
    let Joined { server, .. } = yard.run(join).await.unwrap();
    yard.store.count_as(server.number);

    reset(&yard).await;

    let still = Join {
        held: Some(server),
        alone: true,
    };
    let Joined { server: after, .. } = yard.run(still).await.unwrap();
    assert_eq!(after.number, server.number);
}
