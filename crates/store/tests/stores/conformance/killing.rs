//! Workers that are killed: what they hold goes back, and nobody is them.

use taskyard_core::command::Command;
use taskyard_core::id::{Epoch, RunKey, TaskId};
use taskyard_core::query::{List, Query};
use taskyard_core::refused::Refused;
use taskyard_core::rows::End;
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::{Claim, Run};
use taskyard_core::verbs::heartbeat::Held;
use taskyard_core::verbs::kill::{Kill, Killed, Part};
use taskyard_core::verbs::report::{Report, ReportedBack};
use taskyard_core::verbs::submit::NewTask;

use super::yard::{Yard, held, ids, stranger};

/// A worker that was given so many tasks.
async fn holding(yard: &Yard, count: usize) -> (Claim, Vec<TaskId>, Vec<Run>) {
    let worker = yard.worker("w").await;
    let tasks = (0..count).map(|_| yard.task()).collect();
    let tasks = yard.submit_all(tasks).await.unwrap().ids.to_vec();
    let runs = yard.claim(&worker, count).await;
    assert_eq!(ids(&runs), tasks);
    (worker, tasks, runs)
}

/// Says that these run.
async fn begin(yard: &Yard, worker: &Claim, runs: &[Run]) {
    let running = runs.iter().map(|run| Held {
        running: true,
        ..held(run)
    });
    yard.heartbeat(worker, running.collect()).await.unwrap();
}

/// With all that it holds; the tasks whose runs went back.
pub(super) async fn kill(yard: &Yard, worker: &Claim) -> Result<Vec<TaskId>, Refused> {
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
    yard.store.read(query).await.unwrap().takeable()
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
        results: [].into(),
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
    let (worker, tasks, held) = holding(&yard, 4).await;
    let other = yard.worker("other").await;
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
    let (worker, tasks, runs) = holding(&yard, 2).await;
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
    let (worker, tasks, runs) = holding(&yard, 4).await;
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
    let (worker, tasks, runs) = holding(&yard, 2).await;
    begin(&yard, &worker, &runs).await;
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
    let (worker, _, runs) = holding(&yard, HELD).await;
    begin(&yard, &worker, &runs).await;
    let first = takeable(&yard, &worker, None, 500).await;
    let killed = kill_with(&yard, &worker, first, Part::First).await.unwrap();
    assert_eq!(killed.tasks.len(), 500);

    // Who killed it dies over the rest, and the sweep finds a process that has its name.
    let next = yard.worker("w").await;
    let its = yard.claim(&next, 100).await;
    begin(&yard, &next, &its).await;
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
