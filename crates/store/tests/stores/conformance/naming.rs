//! Those who say which: one task that a worker names, and the name of a worker that is there already.

use std::sync::Arc;
use std::time::Duration;

use taskyard_core::id::{Epoch, ServerNumber, TaskId};
use taskyard_core::labels::Labels;
use taskyard_core::name::Name;
use taskyard_core::query::{Holding, Query};
use taskyard_core::refused::{Refused, Unfit};
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::{Claim, Named, Run};
use taskyard_core::verbs::register::{Register, Registered};
use taskyard_core::verbs::set_queue::{QueueSet, SetQueue};
use taskyard_core::verbs::submit::{Begin, NewTask};
use taskyard_core::worker::Profile;

use super::losing::suspect_beside;
use super::yard::{Yard, ids, lane, token};

fn naming(worker: &Claim, task: TaskId) -> Claim {
    Claim {
        task: Some(Named {
            task,
            lane: Arc::new(lane("default", "work", None)),
        }),
        begin: true,
        ..worker.clone()
    }
}

pub(super) async fn named(yard: &Yard, worker: &Claim, task: TaskId) -> Result<Run, Refused> {
    let hand = yard.deal(vec![naming(worker, task)]).await.remove(0)?;
    let [run] = &hand.runs[..] else {
        panic!("who names a task gets it or is refused: {hand:?}")
    };
    Ok(run.clone())
}

pub(super) async fn who_names_a_free_task_gets_it_and_no_other(yard: Yard) {
    let worker = yard.worker("w").await;
    let first = yard.new_task().await;
    let second = yard.new_task().await;

    let run = named(&yard, &worker, second).await.unwrap();

    assert_eq!((run.slot.task, run.attempt), (second, 1));
    assert!(run.input.is_some());
    assert_eq!(yard.status(second).await, Status::Running);
    assert_eq!(yard.status(first).await, Status::Pending);
    assert_eq!(yard.complete(&run).await, Ok(Status::Completed));
}

pub(super) async fn a_task_that_is_not_free_is_refused_to_who_names_it(yard: Yard) {
    let (worker, other) = (yard.worker("w").await, yard.worker("other").await);
    let later = yard.submit(NewTask {
        begin: Begin::After(Duration::from_secs(9)),
        ..yard.task()
    });
    let later = later.await.unwrap();
    let task = yard.new_task().await;
    let unknown = yard.task().id;
    assert_eq!(
        named(&yard, &worker, later).await,
        Err(Refused::NotClaimable)
    );
    assert_eq!(
        named(&yard, &worker, unknown).await,
        Err(Refused::NoSuchTask)
    );

    let run = named(&yard, &worker, task).await.unwrap();
    for who in [&worker, &other] {
        assert_eq!(named(&yard, who, task).await, Err(Refused::NotClaimable));
    }
    yard.complete(&run).await.unwrap();
    assert_eq!(named(&yard, &other, task).await, Err(Refused::NotClaimable));

    yard.pass(Duration::from_secs(9));
    yard.promote().await;
    assert_eq!(named(&yard, &other, later).await.unwrap().slot.task, later);
}

pub(super) async fn of_two_who_name_one_task_the_first_gets_it(yard: Yard) {
    let (one, two) = (yard.worker("one").await, yard.worker("two").await);
    let task = yard.new_task().await;

    let hands = yard
        .deal(vec![naming(&one, task), naming(&two, task)])
        .await;

    assert_eq!(ids(&hands[0].as_ref().unwrap().runs), [task]);
    assert_eq!(hands[1], Err(Refused::NotClaimable));
}

pub(super) async fn a_named_task_goes_before_the_deal_of_its_batch(yard: Yard) {
    let (one, two) = (yard.worker("one").await, yard.worker("two").await);
    let task = yard.new_task().await;
    let other = yard.new_task().await;
    let greedy = Claim { limit: 9, ..one };

    let hands = yard.deal(vec![greedy, naming(&two, task)]).await;

    assert_eq!(ids(&hands[0].as_ref().unwrap().runs), [other]);
    assert_eq!(ids(&hands[1].as_ref().unwrap().runs), [task]);
}

pub(super) async fn who_could_not_be_dealt_a_task_cannot_name_it(yard: Yard) {
    let kinds = Some(vec![Name::path("other").unwrap()]);
    let profile = Profile::new(kinds, None, Labels::default());
    let narrow = yard.worker_with("narrow", profile).await;
    let replaced = yard.worker("w").await;
    let worker = yard.worker("w").await;
    let task = yard.new_task().await;

    let to_narrow = named(&yard, &narrow, task).await;
    let to_replaced = named(&yard, &replaced, task).await;

    assert_eq!(to_narrow, Err(Refused::WorkerUnfit(Unfit::Kind)));
    assert_eq!(to_replaced, Err(Refused::WorkerReplaced));
    // It was passed over by nobody meanwhile.
    assert_eq!(ids(&yard.claim(&worker, 1).await), [task]);
}

pub(super) async fn nothing_of_a_paused_queue_is_had_by_its_name(yard: Yard) {
    let worker = yard.worker("w").await;
    let task = yard.new_task().await;
    let set = async |paused| {
        let change = SetQueue {
            paused: Some(paused),
            ..SetQueue::of(Name::path("default").unwrap())
        };
        yard.run::<QueueSet>(change).await.unwrap();
    };

    set(true).await;
    assert_eq!(
        named(&yard, &worker, task).await,
        Err(Refused::NotClaimable)
    );
    set(false).await;

    assert!(named(&yard, &worker, task).await.is_ok());
}

pub(super) async fn a_suspect_is_had_by_its_name_with_an_empty_hand_only(yard: Yard) {
    yard.new_task().await;
    let busy = yard.worker("busy").await;
    let long_run = yard.claim_one(&busy).await;
    let suspect = suspect_beside(&yard, &busy, &long_run).await;
    let free = yard.worker("free").await;
    let next = yard.new_task().await;
    assert_eq!(
        named(&yard, &busy, suspect).await,
        Err(Refused::NotClaimable)
    );

    let run = named(&yard, &free, suspect).await.unwrap();

    // Alone: it gets nothing else, by whatever claim.
    assert_eq!(named(&yard, &free, next).await, Err(Refused::NotClaimable));
    assert!(yard.claim(&free, 1).await.is_empty());
    yard.complete(&run).await.unwrap();
    assert!(named(&yard, &free, next).await.is_ok());
}

pub(super) async fn who_gets_a_suspect_by_its_name_gets_nothing_else_in_that_batch(yard: Yard) {
    yard.new_task().await;
    let busy = yard.worker("busy").await;
    let long_run = yard.claim_one(&busy).await;
    let suspect = suspect_beside(&yard, &busy, &long_run).await;
    let free = yard.worker("free").await;
    yard.new_task().await;
    let any = Claim {
        limit: 9,
        ..free.clone()
    };

    let hands = yard.deal(vec![any, naming(&free, suspect)]).await;

    assert_eq!(ids(&hands[0].as_ref().unwrap().runs), []);
    assert_eq!(ids(&hands[1].as_ref().unwrap().runs), [suspect]);
}

pub(super) async fn who_registers_if_new_stays_as_it_is(yard: Yard) {
    let narrow = Profile::new(Some(Vec::new()), None, Labels::default());
    let first = yard.worker_with("w", narrow).await;
    let server = ServerNumber(1);
    yard.internal_worker("worker-1", server).await;
    let if_new = |name: &str| Register {
        name: Name::plain(name).unwrap(),
        server: None,
        profile: Arc::default(),
        capacity: 1,
        if_new: true,
    };

    let again: Registered = yard.run(if_new("w")).await.unwrap();
    let fresh: Registered = yard.run(if_new("fresh")).await.unwrap();
    let internal = yard.run::<Registered>(if_new("worker-1")).await;

    assert_eq!((again.number, again.epoch), (first.number, first.epoch));
    assert_eq!(fresh.epoch, Epoch(1));
    assert_eq!(internal, Err(Refused::WorkerIsInternal));
    yard.new_task().await;
    let theirs = yard.claim(&first, 1).await;
    assert!(theirs.is_empty(), "its kinds are as they were");
}

pub(super) async fn it_is_told_what_a_worker_holds(yard: Yard) {
    let holdings = async |worker, limit| {
        let query = Query::Holdings { worker, limit };
        yard.store.read(query).await.unwrap().holdings()
    };
    let (one, two) = (yard.worker("one").await, yard.worker("two").await);
    for _ in 0..3 {
        yard.new_task().await;
    }
    let run = yard.claim_one(&two).await;
    let runs = yard.claim(&one, 2).await;
    let held = |by: &Claim, run: &Run| Holding {
        by: (by.number, by.epoch),
        token: token(run),
    };
    let of_one = [held(&one, &runs[0]), held(&one, &runs[1])];

    assert_eq!(holdings(Some(one.number), 9).await, of_one);
    assert_eq!(holdings(None, 2).await, of_one);
    let all = [&of_one[..], &[held(&two, &run)]].concat();
    assert_eq!(holdings(None, 9).await, all);
    yard.complete(&run).await.unwrap();
    assert_eq!(holdings(Some(two.number), 9).await, []);
}
