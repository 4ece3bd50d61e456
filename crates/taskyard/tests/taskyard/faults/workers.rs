//! A worker that dies, sleeps, or is told to stop.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use taskyard_api::submit::Submit;
use taskyard_api::task::{Status, Task};
use taskyard_core::id::TaskId;

use crate::yard::{Process, QUICK, Server, Yard, taskyard};

fn without_internal_workers() -> Vec<&'static str> {
    QUICK
        .iter()
        .copied()
        .chain(["--internal-workers", "0"])
        .collect()
}

/// A command that runs until this file is there.
fn waits_for(gate: &Path) -> Value {
    let waits = format!("until test -e {}; do sleep 0.05; done", gate.display());
    json!({ "argv": ["sh", "-c", waits] })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_task_runs_again_elsewhere() {
    let yard = Yard::new();
    let server = yard.serve(&without_internal_workers());
    let allowed = ["--concurrency", "2", "--allow-command", "sh"];
    let victim = yard.worker(&server, "victim", &allowed);
    let gate = yard.path("gate");
    let task = server.submit("command", waits_for(&gate)).await;
    server
        .until(task, |task| task.status == Status::Running)
        .await;

    victim.kill();
    let _heir = yard.worker(&server, "heir", &allowed);
    std::fs::write(gate, "").unwrap();

    let ended = server.ended(task).await;
    assert_eq!(ended.status, Status::Completed);
    assert_eq!((ended.attempts, ended.losses, ended.failures), (2, 1, 0));
    assert_eq!(ended.worker_id.as_deref(), Some("heir"));
    let lost = r#""worker":"victim","silent_s":"#;
    server.process.log_with(lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_slept_past_its_lease_is_refused_and_its_result_is_kept() {
    let yard = Yard::new();
    let server = yard.serve(&without_internal_workers());
    let sleeper = yard.worker(&server, "sleeper", &["--allow-command", "sh"]);
    let gate = yard.path("gate");
    let task = server.submit("command", waits_for(&gate)).await;
    server
        .until(task, |task| task.status == Status::Running)
        .await;

    sleeper.signal(Signal::SIGSTOP);
    let other = yard.worker(&server, "other", &["--allow-command", "sh"]);
    let is_other = |task: &Task| task.worker_id.as_deref() == Some("other");
    server
        .until(task, |task| {
            task.status == Status::Running && is_other(task)
        })
        .await;
    std::fs::write(gate, "").unwrap();
    let ended = server.ended(task).await;
    assert_eq!(
        (ended.status, ended.worker_id.as_deref()),
        (Status::Completed, Some("other"))
    );
    assert_eq!(other.stop().code(), Some(0));
    sleeper.signal(Signal::SIGCONT);

    // It goes on working: what it says about the lost run is refused, and the next task is its own.
    let next = server.submit("echo", json!("here again")).await;
    assert_eq!(
        server.ended(next).await.worker_id.as_deref(),
        Some("sleeper")
    );
    let after = server.client.task(task, None).await.unwrap();
    assert_eq!(after.worker_id.as_deref(), Some("other"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_stop_hands_back_what_it_cannot_finish() {
    let yard = Yard::new();
    let server = yard.serve(&without_internal_workers());
    let worker = yard.worker(&server, "leaving", &["--drain", "100ms"]);
    let task = server.submit("sleep", json!({ "ms": 600_000 })).await;
    server
        .until(task, |task| task.status == Status::Running)
        .await;

    assert_eq!(worker.stop().code(), Some(0));

    let task = server
        .until(task, |task| task.status == Status::Pending)
        .await;
    assert_eq!((task.failures, task.losses), (0, 0));
    let log = std::fs::read_to_string(yard.path("leaving.log")).unwrap();
    assert!(log.contains(r#""released":1"#), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_worker_at_once() {
    let yard = Yard::new();
    let server = yard.serve(&without_internal_workers());
    let mut worker = yard.worker(&server, "hasty", &[]);
    let task = server.submit("sleep", json!({ "ms": 600_000 })).await;
    server
        .until(task, |task| task.status == Status::Running)
        .await;

    worker.signal(Signal::SIGTERM);
    worker.signal(Signal::SIGINT);

    // Whichever was the second.
    let code = worker.wait().code();
    assert!(matches!(code, Some(130 | 143)), "{code:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_server_is_away_waits_and_returns() {
    let yard = Yard::new();
    let first = yard.serve(&without_internal_workers());
    let address = first.url.trim_start_matches("http://").to_owned();
    let _worker = yard.worker(&first, "faithful", &[]);
    let task = first.submit("sleep", json!({ "ms": 300 })).await;
    first
        .until(task, |task| task.status == Status::Running)
        .await;

    first.process.kill();
    let second = yard.serve_at(&address, &without_internal_workers());

    let ended = second.ended(task).await;
    assert_eq!(
        (ended.status, ended.worker_id.as_deref()),
        (Status::Completed, Some("faithful"))
    );
    assert_eq!((ended.attempts, ended.losses), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_could_not_deliver_says_so_and_fails() {
    let yard = Yard::new();
    let server = yard.serve(&without_internal_workers());
    let allowed = ["--deliver", "100ms", "--allow-command", "sh"];
    let worker = yard.worker(&server, "cut-off", &allowed);
    let gate = yard.path("gate");
    let task = server.submit("command", waits_for(&gate)).await;
    server
        .until(task, |task| task.status == Status::Running)
        .await;
    server.process.kill();
    std::fs::write(gate, "").unwrap();

    let ended = worker.stop();

    assert_eq!(ended.code(), Some(1));
    let log = std::fs::read_to_string(yard.path("cut-off.log")).unwrap();
    assert!(
        log.contains("could not be delivered within --deliver: 1;"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_inside_of_a_server_leave_the_living_outside_their_names() {
    let yard = Yard::new();
    let first = yard.serve(&["--internal-workers", "0"]);
    let address = first.url.trim_start_matches("http://").to_owned();
    let _outside = yard.worker(&first, "worker-1", &[]);
    let task = first.submit("sleep", json!({ "ms": 1000 })).await;
    first
        .until(task, |task| task.status == Status::Running)
        .await;
    first.process.kill();

    let second = yard.serve_at(&address, &["--internal-workers", "2"]);

    let ended = second.ended(task).await;
    assert_eq!((ended.attempts, ended.losses), (1, 0));
    assert_eq!(ended.worker_id.as_deref(), Some("worker-1"));
    let mut inside: Vec<String> = Vec::new();
    while inside.len() < 2 {
        let workers = second.client.all_workers().await.unwrap();
        let internal = workers.into_iter().filter(|worker| worker.internal);
        inside = internal.map(|worker| worker.worker_id).collect();
    }
    inside.sort();
    assert_eq!(inside, ["worker-2", "worker-3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_slept_since_its_claim_was_answered_begins_nothing_that_is_lost() {
    let yard = Yard::new();
    let server = yard.serve(&without_internal_workers());
    let sleeper = yard.worker(&server, "sleeper", &["--allow-command", "sh"]);
    let runs = yard.path("runs");
    let echo = server.submit("echo", json!("it is here")).await;
    server.ended(echo).await;

    sleeper.signal(Signal::SIGSTOP);
    let task = server
        .submit_as(shell(&format!("echo >> {}", runs.display())))
        .await;
    // Its open claim was answered, and it did not see that.
    server
        .until(task, |task| task.worker_id.as_deref() == Some("sleeper"))
        .await;
    let other = yard.worker(&server, "other", &["--allow-command", "sh"]);
    let ended = server.ended(task).await;
    assert_eq!(ended.worker_id.as_deref(), Some("other"));
    assert_eq!(other.stop().code(), Some(0));
    sleeper.signal(Signal::SIGCONT);

    // When this has ended, it has taken in what came before.
    let next = server.submit("echo", json!("here again")).await;
    server.ended(next).await;
    assert_eq!(sleeper.stop().code(), Some(0));
    assert_eq!(std::fs::read_to_string(runs).unwrap(), "\n");
    let log = std::fs::read_to_string(yard.path("sleeper.log")).unwrap();
    assert!(log.contains("came too late and is not begun"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_log_cannot_be_written_goes_on() {
    let yard = Yard::new();
    let server = yard.serve(&without_internal_workers());
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (reader, gone) = std::io::pipe().unwrap();
    drop(reader);

    for (name, log) in [("full", Stdio::from(full)), ("gone", Stdio::from(gone))] {
        let mut command = taskyard();
        command.args(["worker", "--server", &server.url, "--name", name]);
        command.args(["--allow-command", "sh"]).stderr(log);
        let worker = Process::of(command.spawn().unwrap());
        // A failure is worth a line.
        let task = server.submit_as(shell("exit 3")).await;
        let ended = server.ended(task).await;

        assert_eq!(
            (ended.status, ended.worker_id.as_deref()),
            (Status::Failed, Some(name))
        );
        assert_eq!(worker.stop().code(), Some(0), "{name}");
    }
}

/// Kills the worker that runs it: the guardian's parent.
const KILLER: &str = "read -r _ _ _ worker _ < /proc/$PPID/stat; kill -9 $worker; sleep 60";
const KILLS_ITS_WORKER: [&str; 4] = ["--concurrency", "4", "--allow-command", "sh"];

impl Yard {
    /// Runs a task that kills its workers to its end: whoever looks after the worker starts it again each time. Answers
    /// the worker that is left.
    async fn kill_workers_until_ended(&self, server: &Server, killer: TaskId) -> Process {
        let mut worker = self.worker(server, "stubborn", &KILLS_ITS_WORKER);
        let ended = server
            .until(killer, |task| {
                if worker.child.try_wait().unwrap().is_some() {
                    worker = self.worker(server, "stubborn", &KILLS_ITS_WORKER);
                }
                task.status.is_final()
            })
            .await;
        assert_eq!(ended.status, Status::Failed, "{ended:?}");
        assert_eq!(
            ended.error.as_ref().map(|error| error.code.as_str()),
            Some("worker_lost")
        );
        worker
    }
}

fn shell(script: &str) -> Submit<Value> {
    Submit::new("command", json!({ "argv": ["sh", "-c", script] }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_kills_its_workers_ends_and_its_neighbours_lose_no_attempt() {
    let yard = Yard::new();
    let server = yard.serve(&without_internal_workers());
    let killer = server
        .submit_as(Submit {
            max_losses: Some(3),
            priority: Some(1),
            ..shell(KILLER)
        })
        .await;
    let mut neighbours = Vec::new();
    for number in 0..6 {
        neighbours.push(server.submit("sleep", json!({ "ms": 50 + number })).await);
    }

    let _worker = yard.kill_workers_until_ended(&server, killer).await;

    for neighbour in neighbours {
        let task = server.ended(neighbour).await;
        assert_eq!(
            (task.status, task.attempts),
            (Status::Completed, 1),
            "{task:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_that_had_begun_are_taken_apart_from_a_task_that_kills_its_workers() {
    let yard = Yard::new();
    let server = yard.serve(&without_internal_workers());
    let (begun, gate, kills) = (yard.path("begun"), yard.path("gate"), yard.path("kills"));
    std::fs::create_dir(&begun).unwrap();
    // It strikes when all its neighbours have begun, as long as it has some.
    let kills_all = format!(
        "echo >> {kills}; if test $(wc -l < {kills}) -le 2; then \
         until test $(ls {begun} | wc -l) -eq 3; do sleep 0.05; done; rm {begun}/*; fi; {KILLER}",
        kills = kills.display(),
        begun = begun.display(),
    );
    let killer = server
        .submit_as(Submit {
            max_losses: Some(4),
            priority: Some(1),
            ..shell(&kills_all)
        })
        .await;
    let waits = format!(
        "touch {}/$$; until test -e {}; do sleep 0.05; done",
        begun.display(),
        gate.display()
    );
    let mut neighbours = Vec::new();
    for _ in 0..3 {
        neighbours.push(server.submit_as(shell(&waits)).await);
    }

    let _worker = yard.kill_workers_until_ended(&server, killer).await;
    std::fs::write(gate, "").unwrap();

    for neighbour in neighbours {
        let task = server.ended(neighbour).await;
        assert_eq!(
            (task.status, task.failures),
            (Status::Completed, 0),
            "{task:?}"
        );
        assert!(task.losses <= 2, "{task:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_more_runs_than_a_call_may_name_keeps_them() {
    let yard = Yard::new();
    let small = [&without_internal_workers()[..], &["--batch-max", "5"]].concat();
    let server = yard.serve(&small);
    let worker = yard.worker(&server, "w", &["--concurrency", "20"]);
    let mut tasks = Vec::new();
    // Longer than a worker may be silent.
    for _ in 0..12 {
        tasks.push(server.submit("sleep", json!({ "ms": 2500 })).await);
    }

    for task in tasks {
        let ended = server.ended(task).await;
        assert_eq!(ended.status, Status::Completed, "{ended:?}");
        assert_eq!((ended.attempts, ended.losses), (1, 0));
    }
    assert_eq!(worker.stop().code(), Some(0));
}
