//! Workers that are killed and paused.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use taskyard_api::client::Client;
use taskyard_api::submit::Submit;
use taskyard_api::task::{Status, Task};
use taskyard_core::id::TaskId;

use super::{rounds, whole_or_short};
use crate::campaign::{Trial, open_gate};
use crate::history::Outcome;
use crate::load::{Plan, hands};
use crate::postgres::children;
use crate::stage::{SOON, until};
use crate::yard::PATIENCE;

const LEASE: Duration = Duration::from_secs(3);
const SWEEP: Duration = Duration::from_millis(100);
const ORPHANS_END_WITHIN: Duration = Duration::from_secs(5);
const COMMANDS: usize = 4;

/// A server on SQLite, and two workers that run commands.
async fn with_commands(trial: &mut Trial) -> Client {
    let database = trial.stage.sqlite();
    trial
        .stage
        .serve(&database, &["--internal-workers", "0"])
        .await;
    for _ in 0..2 {
        trial.stage.work(
            0,
            &[
                "--concurrency",
                "8",
                "--kinds",
                "echo,sleep,command",
                "--allow-command",
                "sh",
            ],
        );
    }
    Client::new(&[trial.stage.servers[0].url.parse().unwrap()], None).unwrap()
}

/// Commands that run until a file is there, each with a process of its own besides; all of them running, and one of the
/// workers that have some.
async fn running(trial: &Trial, client: &Client) -> (Vec<TaskId>, String) {
    let gate = trial.path("gate");
    let waits = format!("until test -e {}; do sleep 0.05; done", gate.display());
    let mut ids = Vec::new();
    for _ in 0..COMMANDS {
        let input = json!({ "argv": ["sh", "-c", format!("sh -c '{waits}' & wait")] });
        ids.push(
            client
                .submit(&Submit::new("command", input))
                .await
                .unwrap()
                .id,
        );
    }
    let mut worker = String::new();
    for &id in &ids {
        let task = task_when(client, id, |task| task.status == Status::Running).await;
        worker = task.worker_id.expect("it runs");
    }
    (ids, worker)
}

async fn task_when(client: &Client, id: TaskId, is_so: impl Fn(&Task) -> bool) -> Task {
    let task = until(PATIENCE, async || {
        client.task(id, None).await.ok().filter(&is_so)
    })
    .await;
    task.unwrap_or_else(|| panic!("task {id} never came to that"))
}

/// `process-1` is the second of the workers.
fn number_of(worker: &str) -> usize {
    worker.rsplit('-').next().unwrap().parse().unwrap()
}

/// All that this process has started, and what these have.
fn descendants(id: u32) -> Vec<u32> {
    let mut all = children(id);
    let mut next = 0;
    while next < all.len() {
        all.extend(children(all[next]));
        next += 1;
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_a_worker_is_killed_and_leaves_nothing_behind() {
    rounds("F4", "", async |mut trial| {
        let client = with_commands(&mut trial).await;
        trial.load(Plan::default()).await;
        let (ids, worker) = running(&trial, &client).await;
        let mut held = Vec::new();
        for &id in &ids {
            let task = client.task(id, None).await.unwrap();
            held.extend((task.worker_id.as_deref() == Some(&worker)).then_some(id));
        }

        let at = trial.breaks();
        let victim = trial.stage.workers.remove(number_of(&worker));
        let left = descendants(victim.id());
        trial.must(
            left.len() >= 2 * held.len(),
            format!("its commands are {left:?}"),
        );
        victim.kill();
        let is_gone = |id: &u32| !std::path::Path::new(&format!("/proc/{id}")).exists();
        let ended = until(ORPHANS_END_WITHIN, async || {
            left.iter().all(is_gone).then_some(())
        })
        .await;
        trial.must(
            ended.is_some(),
            format!("of its processes some are left: {left:?}"),
        );
        let mut slowest = Duration::ZERO;
        for &id in &held {
            let is_elsewhere = |task: &Task| {
                task.status == Status::Running && task.worker_id.as_deref() != Some(&worker)
            };
            task_when(&client, id, is_elsewhere).await;
            slowest = Duration::from_micros(trial.history.now() - at);
        }
        trial.must(
            slowest <= LEASE + SWEEP,
            format!("it took {slowest:?} until its tasks ran elsewhere"),
        );
        trial.note(format!(
            "{} tasks ran elsewhere within {} ms",
            held.len(),
            slowest.as_millis()
        ));
        trial.goes_on_while_broken().await;
        trial.heals();
        open_gate(&trial.path("gate"));
        trial.ends().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f5_workers_are_paused_beyond_their_leases() {
    rounds("F5", "", async |mut trial| {
        let client = with_commands(&mut trial).await;
        trial.load(Plan::default()).await;
        let (ids, worker) = running(&trial, &client).await;
        // One more that is not asked what it has, as if its whole machine had stood still.
        let mut sleeper = trial.caller("sleeper");
        let slept: Vec<TaskId> = slow_tasks(&client).await;
        assert!(hands::register(&mut sleeper, "slow").await);
        let claimed = hands::claim(&mut sleeper, 1).await;
        let runs: Vec<Value> = claimed.body["tasks"].as_array().unwrap().clone();
        assert_eq!(runs.len(), slept.len());

        let at = trial.breaks();
        let paused = number_of(&worker);
        trial.stage.workers[paused].signal(Signal::SIGSTOP);
        for &id in &ids {
            let elsewhere = |task: &Task| {
                task.status == Status::Running && task.worker_id.as_deref() != Some(&worker)
            };
            task_when(&client, id, elsewhere).await;
        }
        open_gate(&trial.path("gate"));
        for &id in &ids {
            task_when(&client, id, |task| task.status == Status::Completed).await;
        }
        let other = trial.caller("other");
        others_run(other, &client, &slept).await;
        let leases =
            u64::from(whole_or_short(3_u32, 1)) * u64::try_from(LEASE.as_micros()).unwrap();
        until(PATIENCE, async || {
            (trial.history.now() - at > leases).then_some(())
        })
        .await
        .unwrap();
        trial.stage.workers[paused].signal(Signal::SIGCONT);
        trial.heals();
        hands::report(&mut sleeper, &runs).await;

        let refused = trial.history.records();
        let refused = refused
            .iter()
            .filter(|record| record.proc == "sleeper" && record.outcome == Outcome::Fail);
        let refused = refused
            .filter(|record| record.code.as_deref() == Some("stale_lease"))
            .count();
        trial.must(
            refused == runs.len(),
            format!("{refused} of {} late results were refused", runs.len()),
        );
        let verdict = trial.ends().await;
        assert!(
            verdict.stale_refused >= runs.len() as u64,
            "they are not kept"
        );
    })
    .await;
}

async fn slow_tasks(client: &Client) -> Vec<TaskId> {
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(
            client
                .submit(&Submit::new("slow", json!(number)))
                .await
                .unwrap()
                .id,
        );
    }
    ids
}

/// Another worker gets these once the first was silent for too long, and completes them.
async fn others_run(mut other: crate::load::Caller, client: &Client, tasks: &[TaskId]) {
    assert!(hands::register(&mut other, "slow").await);
    let mut seq = 0;
    let all = until(PATIENCE, async || {
        seq += 1;
        let claimed = hands::claim(&mut other, seq).await;
        let runs = claimed.body["tasks"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if !runs.is_empty() {
            hands::report(&mut other, &runs).await;
        }
        for &id in tasks {
            let task = client.task(id, None).await.ok()?;
            if !task.status.is_final() {
                return None;
            }
        }
        Some(())
    });
    all.await
        .unwrap_or_else(|| panic!("they did not run elsewhere, asked each {SOON:?}"));
}
