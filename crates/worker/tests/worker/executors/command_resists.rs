//! A command that keeps its guardian from its work is ended all the same, and nothing of it is left.

use std::process::Stdio;
use std::time::Duration;

use taskyard_worker::executor::{Finish, Stop};
use taskyard_worker::executors::Command;
use taskyard_worker::executors::command::Settings;

use super::command_ends::{shell, start};
use super::{Workshop, completed, stopped};
use crate::processes::{is_alive, marked, state, wait_until};

/// Stops its parent once, says who that is, and goes on.
const STOPS_PARENT: &str =
    "echo $PPID > guardian; kill -STOP $PPID; trap '' TERM; sleep 1000 & wait; wait";

/// Stops its parent again and again, from a session of its own.
const KEEPS_STOPPING: &str = "echo $PPID > guardian; trap '' TERM; \
    setsid sh -c 'trap \"\" TERM; while :; do kill -STOP $1 || exit; done' stopper $PPID & \
    sleep 1000 & wait; wait";

/// The guardian that a script has told of in its work directory, once it is stopped.
async fn stopped_guardian(workshop: &Workshop) -> i32 {
    let told = || {
        let directory = workshop.root.path().read_dir().unwrap().next()?.unwrap();
        let text = std::fs::read_to_string(directory.path().join("guardian")).ok()?;
        text.trim().parse().ok()
    };
    wait_until("the guardian is stopped", || {
        told().is_some_and(|guardian| state(guardian) == Some('T'))
    })
    .await;
    told().unwrap()
}

#[tokio::test]
async fn guardian_that_was_stopped_still_tells_of_the_end() {
    let workshop = Workshop::new();

    let output = completed(
        &Command::new(workshop.settings()),
        &shell("kill -STOP $PPID; echo done", "stops-and-ends"),
    )
    .await;

    assert_eq!(output["stdout"], "done\n");
    assert!(workshop.is_empty());
}

#[tokio::test]
async fn run_whose_guardian_is_stopped_ends_within_its_grace() {
    for why in [Stop::TimedOut, Stop::Cancelled, Stop::LeaseLost] {
        let workshop = Workshop::new();
        let mark = format!("stops-parent-{why:?}");
        let settings = Settings {
            grace: Duration::from_millis(50),
            ..workshop.settings()
        };
        let (stopper, run) = start(settings, &shell(STOPS_PARENT, &mark));
        let guardian = stopped_guardian(&workshop).await;

        stopper.stop(why);
        let (said, detail) = stopped(run.await.unwrap());

        assert!(marked(&mark).is_empty());
        assert!(!is_alive(guardian));
        assert!(workshop.is_empty());
        assert_eq!(said, why);
        assert_eq!(detail.unwrap()["signal"], "SIGKILL");
    }
}

#[tokio::test]
async fn run_that_keeps_stopping_its_guardian_is_killed_by_the_worker() {
    let workshop = Workshop::new();
    let settings = Settings {
        grace: Duration::from_millis(50),
        ..workshop.settings()
    };
    let (stopper, run) = start(settings, &shell(KEEPS_STOPPING, "keeps-stopping"));
    let guardian = stopped_guardian(&workshop).await;

    stopper.stop(Stop::TimedOut);
    let (why, _) = stopped(run.await.unwrap());

    assert!(marked("keeps-stopping").is_empty());
    assert!(!is_alive(guardian));
    assert!(workshop.is_empty());
    assert_eq!(why, Stop::TimedOut);
}

#[tokio::test]
async fn dropped_run_whose_guardian_is_kept_stopped_leaves_no_process() {
    let workshop = Workshop::new();
    let (_stopper, run) = start(
        workshop.settings(),
        &shell(KEEPS_STOPPING, "dropped-and-stopped"),
    );
    let guardian = stopped_guardian(&workshop).await;

    run.abort();

    wait_until("the tree is gone", || {
        marked("dropped-and-stopped").is_empty()
    })
    .await;
    wait_until("the guardian is gone", || !is_alive(guardian)).await;
    wait_until("the work directory is gone", || workshop.is_empty()).await;
}

#[tokio::test]
async fn killed_worker_takes_a_stopped_guardian_along() {
    let workshop = Workshop::new();
    let mut worker = std::process::Command::new(env!("CARGO_BIN_EXE_taskyard-run-task"))
        .args([
            "command",
            &shell(STOPS_PARENT, "worker-killed-guardian-stopped").to_string(),
        ])
        .env("TMPDIR", workshop.root.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let guardian = stopped_guardian(&workshop).await;

    worker.kill().unwrap();
    worker.wait().unwrap();

    wait_until("the tree is gone", || {
        marked("worker-killed-guardian-stopped").is_empty()
    })
    .await;
    wait_until("the guardian is gone", || !is_alive(guardian)).await;
    wait_until("the work directory is gone", || workshop.is_empty()).await;
}

#[tokio::test]
async fn killed_guardian_leaves_no_process_that_has_lost_its_mark() {
    let workshop = Workshop::new();
    let notes = tempfile::TempDir::new().unwrap();
    let told = notes.path().join("child");
    let script = format!(
        "env -i sleep 1000 & echo $! > {}; until [ $(cat /proc/$!/comm) = sleep ]; do sleep 0.01; done; \
         kill -9 $PPID; sleep 1000",
        told.display()
    );
    let (_stopper, run) = start(workshop.settings(), &shell(&script, "loses-its-mark"));

    let Finish::Failed(failure) = run.await.unwrap() else {
        panic!("a run whose end is unknown has failed")
    };

    let child = std::fs::read_to_string(told).unwrap();
    let child = child.trim().parse().unwrap();
    assert!(!is_alive(child));
    assert_eq!(failure.code, "guardian_lost");
}
