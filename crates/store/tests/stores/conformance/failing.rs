//! Commands that the database refuses, and rows over which the rules break down: who fails, and who does not.

use std::collections::BTreeMap;
use std::time::Duration;

use taskyard_core::command::{Answer, Command, Done};
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::query::Query;
use taskyard_core::refused::Refused;
use taskyard_core::status::Status;
use taskyard_core::store::Error;
use taskyard_core::verbs::cancel::Cancel;
use taskyard_core::verbs::claim::{Claim, Claims, Dealt, Run};
use taskyard_core::verbs::expire::{Expire, Sight};
use taskyard_core::verbs::heartbeat::Held;
use taskyard_core::verbs::patch::Patch;
use taskyard_core::verbs::promote::{Promote, Promoted};
use taskyard_core::verbs::report::{Report, ReportedBack, Word};
use taskyard_core::verbs::submit::{Begin, NewTask, Submit};
use taskyard_core::worker::Profile;

use super::yard::{Yard, completed, held, ids, lane, report};

const SECOND: Duration = Duration::from_secs(1);

fn submit(task: &NewTask) -> Command {
    let tasks = vec![task.clone()];
    Command::Submit(Submit::of(tasks))
}

fn failed_alone(answer: &Answer) -> bool {
    matches!(answer, Err(Error::Failed(_)))
}

/// How each command of a batch went: done, or failed. None is refused by the rules.
fn went(answers: &[Answer]) -> String {
    let went = answers.iter().map(|answer| match answer {
        Ok(Ok(_)) => '+',
        Err(Error::Failed(_)) => '-',
        other => panic!("neither done nor failed: {other:?}"),
    });
    went.collect()
}

async fn counts(yard: &Yard) -> BTreeMap<Status, i64> {
    let counted = yard.store.read(Query::Counts).await.unwrap().counts();
    let mut counts = BTreeMap::new();
    for (status, tasks) in counted.iter().flat_map(|counted| counted.tasks.iter()) {
        *counts.entry(status).or_default() += tasks;
    }
    counts
}

async fn is_there(yard: &Yard, task: TaskId) -> bool {
    yard.store
        .read(Query::Task(task))
        .await
        .unwrap()
        .task()
        .is_some()
}

/// A worker that runs this kind only.
async fn runs_only(yard: &Yard, name: &str, kind: &str) -> Claim {
    let kinds = Some(vec![Name::path(kind).unwrap()]);
    let profile = Profile::new(kinds, None, Default::default());
    yard.worker_with(name, profile).await
}

pub(super) async fn a_command_that_the_database_refuses_fails_alone(yard: Yard) {
    let worker = yard.worker("w").await;
    let before = yard.new_task().await;
    let tasks: Vec<NewTask> = (0..9)
        .map(|index| NewTask {
            lane: lane("default", ["a", "b", "c"][index % 3], None),
            ..yard.task()
        })
        .collect();
    yard.place.refuse(tasks[4].id).await;
    let mut batch: Vec<Command> = tasks.iter().map(submit).collect();
    batch.push(Command::Cancel(Cancel { task: before }));
    batch.push(Command::Cancel(Cancel { task: tasks[1].id }));

    let answers = yard.answers(batch).await;

    assert_eq!(went(&answers), "++++-++++++");
    for (task, answer) in tasks.iter().zip(&answers) {
        if let Ok(Ok(Done::Submit(submitted))) = answer {
            assert_eq!(*submitted.ids, [task.id]);
        }
    }
    assert!(!is_there(&yard, tasks[4].id).await);
    let expected = [(Status::Pending, 7), (Status::Cancelled, 2)];
    assert_eq!(counts(&yard).await, BTreeMap::from(expected));
    let waiting = [0, 2, 3, 5, 6, 7, 8].map(|index| tasks[index].id);
    assert_eq!(ids(&yard.claim(&worker, 20).await), waiting);
}

pub(super) async fn a_command_over_which_the_rules_break_down_fails_alone(yard: Yard) {
    let worker = yard.worker("w").await;
    for _ in 0..8 {
        yard.new_task().await;
    }
    let runs = yard.claim(&worker, 8).await;
    for lost in [2, 3, 6] {
        yard.place.lose(runs[lost].slot.task).await;
    }
    let reports = runs.iter().map(|run| {
        // A run that is given back needs its task's row; one that completes does not.
        let is_first = run.slot == runs[0].slot;
        let word = if is_first {
            completed()
        } else {
            Word::Released
        };
        Command::Report(report(run, word))
    });

    let answers = yard.answers(reports.collect()).await;

    assert_eq!(went(&answers), "++--++-+");
    let expected = [
        (Status::Completed, 1),
        (Status::Assigned, 3),
        (Status::Pending, 4),
    ];
    assert_eq!(counts(&yard).await, BTreeMap::from(expected));
    // The same again finds everything as it was left: nothing of the broken ones is held or half done.
    let again = runs[2..4].iter().map(|run| report(run, completed()).into());
    assert_eq!(went(&yard.answers(again.collect()).await), "++");
}

pub(super) async fn a_row_that_stands_where_none_should_fails_only_what_meets_it(yard: Yard) {
    let worker = yard.worker("w").await;
    for _ in 0..4 {
        yard.new_task().await;
    }
    let runs = yard.claim(&worker, 4).await;
    // No report looks for an end before it puts one in.
    yard.place.end(runs[1].slot.task).await;
    let reports = runs.iter().map(|run| report(run, completed()).into());
    let reports: Vec<Command> = reports.collect();

    let answers = yard.answers(reports.clone()).await;

    assert_eq!(went(&answers), "+-++");
    for run in [&runs[0], &runs[2], &runs[3]] {
        assert_eq!(yard.status(run.slot.task).await, Status::Completed);
    }
    assert_eq!(went(&yard.answers(reports).await), "+-++", "and again");
}

/// Whoever asks for the lost task and whoever asks for all runs of the worker see together what none of them sees alone.
pub(super) async fn a_run_whose_task_is_lost_costs_no_command_beside_it_anything(yard: Yard) {
    let (worker, runs) = with_damaged_runs(&yard, 2, &[1]).await;
    let lost = runs[1].slot.task;
    let task = yard.task();
    let again = Claim {
        seq: 7,
        maybe_again: true,
        ..worker
    };
    let batch = vec![
        submit(&task),
        Cancel { task: lost }.into(),
        Claims {
            claims: vec![again],
        }
        .into(),
    ];

    let answers = yard.answers(batch).await;

    let [
        Ok(Ok(_)),
        Ok(Err(Refused::NoSuchTask)),
        Ok(Ok(Done::Claims(dealt))),
    ] = &answers[..]
    else {
        panic!("{answers:?}")
    };
    let hand = dealt.hands[0].as_ref().unwrap().as_ref().unwrap();
    assert_eq!(ids(&hand.runs), [task.id]);
}

pub(super) async fn a_task_that_stands_nowhere_fails_only_what_asks_for_it(yard: Yard) {
    let (nowhere, task) = (yard.new_task().await, yard.task());
    yard.place.uproot(nowhere).await;
    let patch = Patch {
        task: nowhere,
        priority: None,
        begin: None,
    };
    let cancel = Cancel { task: nowhere };
    let batch = vec![
        cancel.into(),
        submit(&task),
        patch.into(),
        submit(&yard.task()),
    ];

    let answers = yard.answers(batch).await;

    assert_eq!(went(&answers), "-+-+");
    assert!(is_there(&yard, task.id).await);
}

pub(super) async fn refused_commands_cost_none_between_them_anything(yard: Yard) {
    let tasks: Vec<NewTask> = (0..8).map(|_| yard.task()).collect();
    for refused in [1, 3, 4, 6] {
        yard.place.refuse(tasks[refused].id).await;
    }

    let answers = yard.answers(tasks.iter().map(submit).collect()).await;

    assert_eq!(went(&answers), "+-+--+-+");
    assert_eq!(counts(&yard).await, BTreeMap::from([(Status::Pending, 4)]));
}

pub(super) async fn behind_sixteen_commands_refused_in_a_row_the_rest_is_taken(yard: Yard) {
    let tasks: Vec<NewTask> = (0..20).map(|_| yard.task()).collect();
    for task in &tasks[1..17] {
        yard.place.refuse(task.id).await;
    }

    let answers = yard.answers(tasks.iter().map(submit).collect()).await;

    assert_eq!(went(&answers), format!("+{}+++", "-".repeat(16)));
    assert_eq!(counts(&yard).await, BTreeMap::from([(Status::Pending, 4)]));
}

pub(super) async fn a_claim_that_the_database_refuses_fails_alone(yard: Yard) {
    let (one, two) = (
        runs_only(&yard, "one", "good").await,
        runs_only(&yard, "two", "bad").await,
    );
    let mut good = Vec::new();
    for _ in 0..3 {
        let lane = lane("default", "good", None);
        good.push(
            yard.submit(NewTask {
                lane,
                ..yard.task()
            })
            .await
            .unwrap(),
        );
    }
    let lane = lane("default", "bad", None);
    let bad = NewTask {
        lane,
        ..yard.task()
    };
    yard.submit(bad.clone()).await.unwrap();
    yard.place.refuse(bad.id).await;
    let last = yard.task();
    let claims = vec![one.clone(), one.clone(), two.clone(), one.clone()];

    let answers = yard
        .answers(vec![submit(&last), Claims { claims }.into()])
        .await;

    assert_eq!(went(&answers), "++");
    let dealt: Dealt = answers[1].clone().unwrap().unwrap().try_into().unwrap();
    let given: Vec<TaskId> = dealt
        .hands
        .iter()
        .flatten()
        .flat_map(|hand| ids(&hand.as_ref().unwrap().runs))
        .collect();
    assert_eq!(given, good);
    let bad_hand = &dealt.hands[2];
    assert!(matches!(bad_hand, Err(Error::Failed(_))), "{bad_hand:?}");
    assert_eq!(yard.status(bad.id).await, Status::Pending);
    assert_eq!(yard.status(last.id).await, Status::Pending);
    // A claim that is alone is answered as a command is.
    let claims = vec![two];
    let answers = yard.answers(vec![Claims { claims }.into()]).await;
    assert!(failed_alone(&answers[0]), "{answers:?}");
}

/// A worker with so many runs, of which some have lost their task's row: the rules break down over these when they are
/// given back or begun.
async fn with_damaged_runs(yard: &Yard, runs: usize, damaged: &[usize]) -> (Claim, Vec<Run>) {
    let worker = yard.worker("w").await;
    for _ in 0..runs {
        yard.new_task().await;
    }
    let runs = yard.claim(&worker, runs).await;
    for index in damaged {
        yard.place.lose(runs[*index].slot.task).await;
    }
    (worker, runs)
}

pub(super) async fn a_run_that_breaks_a_sweep_costs_the_others_nothing(yard: Yard) {
    let (worker, runs) = with_damaged_runs(&yard, 7, &[1, 5]).await;
    yard.pass(yard.policy.heartbeat_ttl);
    let lost = runs.iter().map(|run| run.slot.run(run.fence));
    let expire = Expire {
        runs: lost.map(|run| (run, Some(worker.worker.clone()))).collect(),
        sight: Sight::clear(yard.now()),
    };

    let answers = yard.answers(vec![expire.into()]).await;

    let expected: Vec<TaskId> = [0, 2, 3, 4, 6].map(|index| runs[index].slot.task).into();
    let [Ok(Ok(Done::Expire(expired)))] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!(expired.tasks, expected);
    assert!(
        expired
            .silent
            .iter()
            .all(|(name, _)| *name == worker.worker)
    );
    for task in expected {
        assert_eq!(yard.status(task).await, Status::Pending);
    }
}

pub(super) async fn a_result_that_breaks_a_report_is_told_apart_from_the_others(yard: Yard) {
    let (worker, runs) = with_damaged_runs(&yard, 5, &[2]).await;
    let results = runs
        .iter()
        .flat_map(|run| report(run, Word::Released).results.to_vec());
    let report = Report {
        worker: Some((worker.worker.clone(), Some(worker.epoch))),
        results: results.collect(),
    };
    let beside = yard.task();

    let answers = yard.answers(vec![report.into(), submit(&beside)]).await;

    let pending = || Ok(Status::Pending);
    let broken = Err(Refused::Broken);
    let results = vec![pending(), pending(), broken, pending(), pending()];
    let by = Some((worker.number, worker.epoch));
    let reported = ReportedBack {
        results,
        by,
        drain: false,
    };
    assert_eq!(answers[0], Ok(Ok(Done::Report(reported))));
    assert!(answers[1].is_ok() && is_there(&yard, beside.id).await);
}

pub(super) async fn a_run_that_breaks_a_heartbeat_costs_the_others_nothing(yard: Yard) {
    let (worker, runs) = with_damaged_runs(&yard, 4, &[0]).await;
    yard.cancel(runs[3].slot.task).await.unwrap();
    let began = |run| Held {
        running: true,
        ..held(run)
    };

    let beaten = yard.heartbeat(&worker, runs.iter().map(began).collect());

    let beaten = beaten.await.unwrap();
    assert_eq!(beaten.cancel, [runs[3].slot.task]);
    assert_eq!(beaten.unknown, [runs[0].slot.task]);
    assert!(beaten.lost.is_empty() && beaten.expires_at > Some(yard.now()));
    for run in [&runs[1], &runs[2]] {
        assert_eq!(yard.status(run.slot.task).await, Status::Running);
    }
}

pub(super) async fn a_heartbeat_whose_every_run_breaks_promises_nothing(yard: Yard) {
    let (worker, runs) = with_damaged_runs(&yard, 2, &[0, 1]).await;
    let began = |run| Held {
        running: true,
        ..held(run)
    };

    let beaten = yard.heartbeat(&worker, runs.iter().map(began).collect());

    let beaten = beaten.await.unwrap();
    assert_eq!(beaten.expires_at, None);
    assert_eq!(beaten.unknown, ids(&runs));
    assert!(beaten.lost.is_empty() && beaten.cancel.is_empty());
}

pub(super) async fn runs_that_the_database_refuses_keep_a_sweep_from_no_others(yard: Yard) {
    let worker = yard.worker("w").await;
    for _ in 0..9 {
        yard.new_task().await;
    }
    let runs = yard.claim(&worker, 9).await;
    for bad in &runs[..3] {
        yard.place.refuse(bad.slot.task).await;
    }
    yard.pass(yard.policy.heartbeat_ttl);
    let lost = runs.iter().map(|run| run.slot.run(run.fence));
    let expire = Expire {
        runs: lost.map(|run| (run, Some(worker.worker.clone()))).collect(),
        sight: Sight::clear(yard.now()),
    };
    let last = yard.task();

    let answers = yard.answers(vec![expire.into(), submit(&last)]).await;

    let expected: Vec<TaskId> = runs[3..].iter().map(|run| run.slot.task).collect();
    let [Ok(Ok(Done::Expire(expired))), Ok(Ok(_))] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!(expired.tasks, expected);
}

pub(super) async fn a_bad_scheduled_row_is_passed_over(yard: Yard) {
    for is_garbled in [false, true] {
        let at = yard.now() + SECOND;
        let mut tasks = Vec::new();
        for late in 0..3 {
            let begin = Begin::At(at + late * SECOND);
            tasks.push(
                yard.submit(NewTask {
                    begin,
                    ..yard.task()
                })
                .await
                .unwrap(),
            );
        }
        let bad = tasks.remove(0);
        if is_garbled {
            yard.place.garble(bad).await;
        } else {
            yard.place.refuse(bad).await;
        }
        yard.pass(10 * SECOND);
        // The one that was refused before is still due.
        let skip = usize::from(is_garbled);

        let answers = yard.answers(vec![Promote { limit: 1, skip }.into()]).await;
        assert!(failed_alone(&answers[0]), "{answers:?}");
        let behind = Promote {
            limit: 9,
            skip: skip + 1,
        };
        assert_eq!(yard.run::<Promoted>(behind).await.unwrap().count, 2);

        for task in tasks {
            assert_eq!(yard.status(task).await, Status::Pending);
        }
    }
}
