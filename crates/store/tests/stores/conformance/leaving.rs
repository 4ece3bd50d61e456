//! Workers that leave because somebody wants them to: drained, killed, deleted.

use std::sync::Arc;

use taskyard_core::command::Command;
use taskyard_core::id::{Epoch, RunKey, TaskId};
use taskyard_core::name::Name;
use taskyard_core::query::{Answer, AtWork, List, Query};
use taskyard_core::refused::Refused;
use taskyard_core::rows::{End, Progress};
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::{Claim, Run};
use taskyard_core::verbs::drain::{Drain, Drained};
use taskyard_core::verbs::forget::{Forget, Forgotten};
use taskyard_core::verbs::heartbeat::Held;
use taskyard_core::verbs::kill::{Kill, Killed, Part};
use taskyard_core::verbs::register::{Register, Registered};
use taskyard_core::verbs::report::{Report, ReportedBack, RunResult};
use taskyard_core::verbs::submit::NewTask;
use taskyard_core::worker::Profile;

use super::naming::named;
use super::yard::{Yard, completed, held, ids, stranger, token};

async fn drain(yard: &Yard, worker: &Claim) -> Result<Drained, Refused> {
    let worker = worker.worker.clone();
    yard.run(Drain { worker }).await
}

/// With all that it holds; the tasks whose runs went back.
async fn kill(yard: &Yard, worker: &Claim) -> Result<Vec<TaskId>, Refused> {
    let runs = takeable(yard, worker, None, 99).await;
    let killed = kill_with(yard, worker, runs, Part::First).await;
    killed.map(|killed| killed.tasks)
}

async fn kill_with(
    yard: &Yard,
    worker: &Claim,
    runs: Vec<RunKey>,
    part: Part,
) -> Result<Killed, Refused> {
    let worker = worker.worker.clone();
    yard.run(Kill { worker, runs, part }).await
}

async fn takeable(yard: &Yard, worker: &Claim, before: Option<Epoch>, limit: usize) -> Vec<RunKey> {
    let query = Query::Takeable {
        worker: worker.worker.clone(),
        before,
        limit,
    };
    let Ok(Answer::Takeable(runs)) = yard.store.read(query).await else {
        panic!("a query is answered in kind")
    };
    runs
}

/// How the runs ended that these tasks had.
async fn ends(yard: &Yard, tasks: &[TaskId]) -> Vec<Vec<End>> {
    let mut ends = Vec::new();
    for task in tasks {
        let (ended, _) = yard.attempts(*task).await;
        ends.push(ended.iter().map(|it| it.end).collect());
    }
    ends
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
    let Ok(Answer::AtWork(found)) = yard.store.read(Query::AtWork { worker, limit }).await else {
        panic!("a query is answered in kind")
    };
    found.map(|found| *found)
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
        results: vec![RunResult::new(token(&run), completed(), None)],
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

pub(super) async fn a_killed_worker_s_runs_go_elsewhere_at_no_cost(yard: Yard) {
    let (worker, other) = (yard.worker("w").await, yard.worker("other").await);
    let (begun, unbegun) = (yard.new_task().await, yard.new_task().await);
    let runs = yard.claim(&worker, 2).await;
    let running = Held {
        running: true,
        ..held(&runs[0])
    };
    yard.heartbeat(&worker, vec![running]).await.unwrap();

    assert_eq!(kill(&yard, &worker).await, Ok(vec![begun, unbegun]));

    let again = yard.claim(&other, 9).await;
    assert_eq!(ids(&again), [begun, unbegun], "at once, and in their order");
    let attempts: Vec<i32> = again.iter().map(|run| run.attempt).collect();
    assert_eq!(attempts, [2, 1], "only what began counts");
    for (task, attempts) in [(begun, 1), (unbegun, 0)] {
        let counts = yard.view(task).await.counts();
        let found = (counts.attempts, counts.failures, counts.losses);
        assert_eq!((found, counts.lost_in_a_row), ((attempts, 0, 0), 0));
    }
    let released = vec![vec![End::Released]; 2];
    assert_eq!(ends(&yard, &[begun, unbegun]).await, released);
    assert_eq!(yard.complete(&runs[0]).await, Err(Refused::StaleLease));
}

pub(super) async fn nobody_is_a_killed_worker_until_one_registers(yard: Yard) {
    let worker = yard.worker("w").await;
    yard.new_task().await;

    kill(&yard, &worker).await.unwrap();

    let replaced = Refused::WorkerKilled;
    let beaten = yard.heartbeat(&worker, Vec::new()).await;
    assert_eq!(beaten.unwrap_err(), replaced);
    let next = Claim {
        epoch: worker.epoch.next(),
        ..worker.clone()
    };
    for claim in [&worker, &next] {
        assert_eq!(yard.hand(claim, 1).await.unwrap_err(), replaced);
    }
    // Whoever names no epoch is nobody either.
    let report = Report {
        worker: Some((worker.worker.clone(), None)),
        results: Vec::new(),
    };
    assert_eq!(yard.run::<ReportedBack>(report).await, Err(replaced));
    let again = yard.worker("w").await;
    assert_eq!(again.epoch, next.epoch.next());
    assert_eq!(yard.claim(&again, 1).await.len(), 1);
}

pub(super) async fn what_is_exclusive_stays_with_a_killed_worker_until_its_lease_ends(yard: Yard) {
    let (worker, other) = (yard.worker("w").await, yard.worker("other").await);
    let exclusive = NewTask {
        is_exclusive: true,
        ..yard.task()
    };
    let exclusive = yard.submit(exclusive).await.unwrap();
    let plain = yard.new_task().await;
    yard.claim(&worker, 2).await;

    assert_eq!(kill(&yard, &worker).await, Ok(vec![plain]));

    assert_eq!(ids(&yard.claim(&other, 9).await), [plain]);
    assert_eq!(yard.sweep(false).await, []);
    assert_eq!(yard.status(exclusive).await, Status::Assigned);
    yard.pass(yard.policy.lease);
    yard.heartbeat(&other, Vec::new()).await.unwrap();
    assert!(yard.sweep(false).await.contains(&exclusive));
}

pub(super) async fn what_a_killed_worker_holds_goes_back_in_pieces(yard: Yard) {
    let (worker, other) = (yard.worker("w").await, yard.worker("other").await);
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(yard.new_task().await);
    }
    let held = yard.claim(&worker, 4).await;
    let run = |place: usize| held[place].slot.run(held[place].fence);
    assert_eq!(takeable(&yard, &worker, None, 2).await, [run(0), run(1)]);

    let killed = kill_with(&yard, &worker, vec![run(1)], Part::First)
        .await
        .unwrap();

    let epoch = worker.epoch.next();
    assert_eq!(
        (killed.epoch, killed.tasks),
        (Some(epoch), vec![tasks[1]]),
        "no more than was brought"
    );
    assert_eq!(yard.hand(&worker, 1).await, Err(Refused::WorkerKilled));
    // Its name is taken again before the rest goes back. What the new process holds stays.
    let next = yard.worker("w").await;
    let its = yard.claim_one(&next).await;
    assert_eq!(its.slot.task, tasks[1]);
    let left = takeable(&yard, &worker, Some(epoch), 9).await;
    assert_eq!(left, [run(0), run(2), run(3)]);
    let all = [left, vec![run(1), its.slot.run(its.fence)]].concat();
    let killed = kill_with(&yard, &worker, all, Part::Since(epoch))
        .await
        .unwrap();
    assert_eq!(killed.tasks, [tasks[0], tasks[2], tasks[3]]);
    assert_eq!(takeable(&yard, &worker, Some(epoch), 9).await, []);
    assert_eq!(yard.complete(&its).await, Ok(Status::Completed));
    assert_eq!(ids(&yard.claim(&other, 9).await), killed.tasks);
    assert_eq!(ends(&yard, &tasks).await, vec![vec![End::Released]; 4]);
}

/// A batch that fails is run in parts, between which anything may happen.
pub(super) async fn the_second_half_of_a_kill_leaves_a_process_alone_that_took_the_name(
    yard: Yard,
) {
    let worker = yard.worker("w").await;
    let tasks = [yard.new_task().await, yard.new_task().await];
    let runs = yard.claim(&worker, 2).await;
    let [first, second] = halves_of_a_kill(&worker, &runs);

    let killed: Killed = yard.run(first).await.unwrap();
    assert_eq!(killed.tasks, tasks[..1]);
    let next = yard.worker("w").await;
    let its = yard.claim_one(&next).await;
    assert_eq!(its.slot.task, tasks[0]);
    let killed: Killed = yard.run(second).await.unwrap();

    assert_eq!((killed.epoch, &*killed.tasks), (None, &tasks[1..]));
    assert_eq!(yard.complete(&its).await, Ok(Status::Completed));
    assert_eq!(ids(&yard.claim(&next, 1).await), tasks[1..]);
    assert_eq!(yard.sweep(false).await, []);
}

/// Of one that brings all of these; each does its half alone.
fn halves_of_a_kill(worker: &Claim, runs: &[Run]) -> [Command; 2] {
    let whole = Command::from(Kill {
        worker: worker.worker.clone(),
        runs: runs.iter().map(|run| run.slot.run(run.fence)).collect(),
        part: Part::First,
    });
    whole.halves().unwrap()
}

pub(super) async fn the_second_half_of_a_kill_goes_on_with_it(yard: Yard) {
    let worker = yard.worker("w").await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(yard.new_task().await);
    }
    let runs = yard.claim(&worker, 4).await;
    let [first, second] = halves_of_a_kill(&worker, &runs);

    let mut killed = Vec::new();
    for part in [vec![first], second.halves().unwrap().into()].concat() {
        let part: Killed = yard.run(part).await.unwrap();
        assert_eq!(part.epoch, Some(worker.epoch.next()));
        killed.extend(part.tasks);
    }

    assert_eq!(killed, tasks);
}

pub(super) async fn what_nobody_takes_from_a_killed_worker_the_sweep_takes_in_the_same_way(
    yard: Yard,
) {
    let worker = yard.worker("w").await;
    let tasks = [yard.new_task().await, yard.new_task().await];
    let runs = yard.claim(&worker, 2).await;
    let running = runs.iter().map(|run| Held {
        running: true,
        ..held(run)
    });
    yard.heartbeat(&worker, running.collect()).await.unwrap();
    kill_with(&yard, &worker, Vec::new(), Part::First)
        .await
        .unwrap();

    assert_eq!(yard.sweep(true).await, tasks, "without any doubt");

    assert_eq!(ends(&yard, &tasks).await, vec![vec![End::Released]; 2]);
    for task in tasks {
        let counts = yard.view(task).await.counts();
        assert_eq!((counts.losses, counts.failures), (0, 0));
    }
    // Once more finds it done.
    let again = kill_with(&yard, &worker, Vec::new(), Part::First)
        .await
        .unwrap();
    assert_eq!(again.epoch, Some(worker.epoch.next()));
}

pub(super) async fn a_name_that_is_taken_before_all_went_back_costs_no_task_a_loss(yard: Yard) {
    const HELD: usize = 1_200;
    let worker = yard.worker("w").await;
    let tasks = (0..HELD).map(|_| yard.task()).collect();
    yard.submit_all(tasks).await.unwrap();
    begin(&yard, &worker, HELD).await;
    let first = takeable(&yard, &worker, None, 500).await;
    let killed = kill_with(&yard, &worker, first, Part::First).await.unwrap();
    assert_eq!(killed.tasks.len(), 500);

    // Who killed it dies over the rest, and the sweep finds a process that has its name.
    let next = yard.worker("w").await;
    let its = begin(&yard, &next, 100).await;
    let swept = yard.sweep(false).await;

    assert_eq!(swept.len(), HELD - 500);
    assert_eq!(yard.sweep(false).await, []);
    let mut after = None;
    loop {
        let page = List {
            after,
            limit: 1_000,
            ..List::default()
        };
        let listed = yard.list(page).await;
        for view in &listed.items {
            let counts = view.counts();
            let cost = (counts.failures, counts.losses, counts.lost_in_a_row);
            assert_eq!(cost, (0, 0, 0), "{view:?}");
            let is_held = its.iter().any(|run| run.slot.task == view.task.id);
            assert_eq!(view.status() == Status::Running, is_held, "{view:?}");
        }
        after = listed.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(yard.complete(&its[0]).await, Ok(Status::Completed));
    assert_eq!(ends(&yard, &swept[..1]).await, [[End::Released]]);
    // The same once more: what was held since goes back as well.
    assert_eq!(kill(&yard, &next).await.map(|tasks| tasks.len()), Ok(99));
}

/// Takes so many and says that they run.
async fn begin(yard: &Yard, worker: &Claim, count: usize) -> Vec<Run> {
    let runs = yard.claim(worker, count).await;
    assert_eq!(runs.len(), count);
    let running = runs.iter().map(|run| Held {
        running: true,
        ..held(run)
    });
    yard.heartbeat(worker, running.collect()).await.unwrap();
    runs
}

pub(super) async fn killing_what_is_offline_changes_nothing(yard: Yard) {
    let worker = yard.worker("w").await;
    yard.new_task().await;
    let run = yard.claim_one(&worker).await;
    yard.pass(yard.policy.heartbeat_ttl);

    assert_eq!(kill(&yard, &worker).await, Ok(vec![]));

    // It was only slow.
    let beaten = yard.heartbeat(&worker, vec![held(&run)]).await.unwrap();
    assert!(beaten.lost.is_empty(), "{beaten:?}");
    assert_eq!(kill(&yard, &worker).await, Ok(vec![run.slot.task]));
    assert_eq!(kill(&yard, &worker).await, Ok(vec![]));
    let unknown = kill(&yard, &stranger(&worker)).await;
    assert_eq!(unknown, Err(Refused::NoSuchWorker));
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
