//! However a command ends, nothing of it is left.

use std::cell::Cell;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use taskyard_api::logs::Stream;
use taskyard_worker::executor::{Executor as _, Finish, Stop, Stopper};
use taskyard_worker::executors::Command;
use taskyard_worker::executors::command::Settings;
use taskyard_worker::guardian::Guardian;
use tokio::task::JoinHandle;

use super::{Workshop, completed, context, detail, failed, listened_to, run_of, stopped};
use crate::processes::{MARK, is_alive, marked, name, own, parent, wait_until};

/// A child, an orphan, a child in a session of its own, and one there with a child: with the shell itself six.
const TREE: &str =
    "sleep 1000 & (sleep 1000 &); setsid sleep 1000 & setsid sh -c 'sleep 1000 & wait' & wait";
const TREE_SIZE: usize = 6;

pub(super) fn shell(script: &str, mark: &str) -> Value {
    json!({"argv": ["sh", "-c", script], "env": {MARK: own(mark)}})
}

/// A run that goes on until it is stopped.
pub(super) fn start(settings: Settings, input: &Value) -> (Stopper, JoinHandle<Finish>) {
    let (stopper, context) = context();
    let run = run_of(input);
    let command = Arc::new(Command::new(settings));
    (
        stopper,
        tokio::spawn(async move { command.run(run, context).await }),
    )
}

#[tokio::test]
async fn cancelled_run_leaves_no_process() {
    let workshop = Workshop::new();
    let (stopper, run) = start(
        workshop.settings(),
        &shell(&format!("echo begun; {TREE}"), "cancelled"),
    );
    wait_until("the tree stands", || marked("cancelled").len() == TREE_SIZE).await;

    stopper.stop(Stop::Cancelled);
    let (why, detail) = stopped(run.await.unwrap());

    assert!(marked("cancelled").is_empty());
    assert!(workshop.is_empty());
    assert_eq!(why, Stop::Cancelled);
    let detail = detail.unwrap();
    // All were told, so the grace of a minute was not used up.
    assert_eq!(
        (&detail["signal"], &detail["stdout"]),
        (&json!("SIGTERM"), &json!("begun\n"))
    );
}

#[tokio::test]
async fn run_that_ignores_sigterm_is_killed_after_its_grace() {
    let workshop = Workshop::new();
    let settings = Settings {
        grace: Duration::from_millis(50),
        ..workshop.settings()
    };
    let (stopper, run) = start(
        settings,
        &shell(&format!("trap '' TERM; {TREE}"), "timed-out"),
    );
    wait_until("the tree stands", || marked("timed-out").len() == TREE_SIZE).await;

    stopper.stop(Stop::TimedOut);
    let (why, detail) = stopped(run.await.unwrap());

    assert!(marked("timed-out").is_empty());
    assert!(workshop.is_empty());
    assert_eq!(why, Stop::TimedOut);
    assert_eq!(detail.unwrap()["signal"], "SIGKILL");
}

#[tokio::test]
async fn stopped_run_may_use_its_grace_to_tidy_up() {
    let workshop = Workshop::new();
    let script = "trap 'echo tidied; exit 0' TERM; sleep 1000 & wait";
    let (stopper, run) = start(workshop.settings(), &shell(script, "tidies"));
    // Before that, the child would still catch the signal, and then forget it.
    wait_until("the trap is set and the child sleeps", || {
        marked("tidies").into_iter().any(|pid| name(pid) == "sleep")
    })
    .await;

    stopper.stop(Stop::ShuttingDown);
    let (why, detail) = stopped(run.await.unwrap());

    assert_eq!(why, Stop::ShuttingDown);
    let detail = detail.unwrap();
    assert_eq!(
        (&detail["exit_code"], &detail["stdout"]),
        (&json!(0), &json!("tidied\n"))
    );
}

#[tokio::test]
async fn lost_lease_leaves_no_grace() {
    let workshop = Workshop::new();
    let (stopper, run) = start(
        workshop.settings(),
        &shell(&format!("trap '' TERM; {TREE}"), "lease-lost"),
    );
    wait_until("the tree stands", || {
        marked("lease-lost").len() == TREE_SIZE
    })
    .await;

    stopper.stop(Stop::LeaseLost);
    let ended = tokio::time::timeout(Duration::from_secs(30), run)
        .await
        .expect("it ends before its grace of a minute");

    assert_eq!(stopped(ended.unwrap()).0, Stop::LeaseLost);
    assert!(marked("lease-lost").is_empty());
}

#[tokio::test]
async fn run_that_is_stopped_before_it_starts_starts_nothing() {
    let workshop = Workshop::new();
    let (stopper, context) = context();
    stopper.stop(Stop::Cancelled);

    let finish = Command::new(workshop.settings())
        .run(run_of(&shell("echo begun", "never")), context)
        .await;

    assert_eq!(stopped(finish), (Stop::Cancelled, None));
    assert!(workshop.is_empty());
}

#[tokio::test]
async fn what_a_command_leaves_behind_ends_with_it() {
    let workshop = Workshop::new();
    let script = "sleep 1000 & setsid sh -c 'trap \"\" TERM; echo > ready; sleep 1000' & \
                  until [ -e ready ]; do sleep 0.01; done; echo done";

    let output = completed(
        &Command::new(workshop.settings()),
        &shell(script, "left-behind"),
    )
    .await;

    assert!(marked("left-behind").is_empty());
    assert!(workshop.is_empty());
    assert_eq!(output["stdout"], "done\n");
}

#[tokio::test]
async fn run_whose_future_is_dropped_leaves_no_process() {
    let workshop = Workshop::new();
    let (_stopper, run) = start(workshop.settings(), &shell(TREE, "dropped"));
    wait_until("the tree stands", || marked("dropped").len() == TREE_SIZE).await;

    run.abort();

    wait_until("the tree is gone", || marked("dropped").is_empty()).await;
    wait_until("the work directory is gone", || workshop.is_empty()).await;
}

#[tokio::test]
async fn killed_worker_leaves_no_process_no_directory_and_no_guardian() {
    let workshop = Workshop::new();
    let mut worker = std::process::Command::new(env!("CARGO_BIN_EXE_taskyard-run-task"))
        .args([
            "command",
            &shell(&format!("trap '' TERM; {TREE}"), "worker-killed").to_string(),
        ])
        .env("TMPDIR", workshop.root.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the tree stands", || {
        marked("worker-killed").len() == TREE_SIZE
    })
    .await;
    let worker_pid = i32::try_from(worker.id()).unwrap();
    let guardian = marked("worker-killed")
        .into_iter()
        .map(parent)
        .find(|pid| parent(*pid) == worker_pid)
        .unwrap();

    worker.kill().unwrap();
    worker.wait().unwrap();

    wait_until("the tree is gone", || marked("worker-killed").is_empty()).await;
    wait_until("the work directory is gone", || workshop.is_empty()).await;
    wait_until("the guardian is gone", || !is_alive(guardian)).await;
}

#[tokio::test]
async fn killed_guardian_leaves_no_process_and_fails_the_run() {
    let workshop = Workshop::new();
    let input = shell(
        &format!("(until [ -e go ]; do sleep 0.01; done; kill -9 $PPID) & {TREE}"),
        "guardian-killed",
    );
    let (_stopper, run) = start(workshop.settings(), &input);
    wait_until("the tree stands", || {
        marked("guardian-killed").len() >= TREE_SIZE
    })
    .await;

    let workdir = workshop
        .root
        .path()
        .read_dir()
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::write(workdir.join("go"), "").unwrap();
    let Finish::Failed(failure) = run.await.unwrap() else {
        panic!("a run whose end is unknown has failed")
    };

    assert_eq!(
        (failure.code.as_ref(), failure.retry),
        ("guardian_lost", true)
    );
    assert!(marked("guardian-killed").is_empty());
    assert!(workshop.is_empty());
}

#[tokio::test]
async fn nothing_is_made_before_the_guardian_has_its_order() {
    let workshop = Workshop::new();
    // In a guardian's place, to see what there is before it has done anything. The order is waited for, so that the worker
    // gets rid of it.
    let looks = format!(
        "echo {}/*; head -c 4 >/dev/null",
        workshop.root.path().display()
    );
    let settings = Settings {
        guardian: Guardian {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), looks.into()],
        },
        ..workshop.settings()
    };
    let said = Arc::default();
    let (_stopper, context) = listened_to(&said);

    let command = Command::new(settings);
    let finish = command
        .run(run_of(&json!({"argv": ["true"]})), context)
        .await;

    // A worker that is killed here leaves nothing behind.
    let nothing = format!("{}/*", workshop.root.path().display());
    assert_eq!(said.of(Stream::Stdout), [nothing], "{finish:?}");
}

#[tokio::test]
async fn guardian_is_deaf_to_signals_meant_for_the_worker() {
    let workshop = Workshop::new();
    let (stopper, run) = start(
        workshop.settings(),
        &shell("echo $PPID; sleep 1000 & wait", "deaf"),
    );
    let own = i32::try_from(std::process::id()).unwrap();
    let guardian = Cell::new(None);
    wait_until("the command runs", || {
        let marked = marked("deaf");
        let is_there = marked.len() == 2;
        let mut parents = marked.into_iter().map(parent);
        guardian.set(parents.find(|pid| parent(*pid) == own));
        is_there && guardian.get().is_some()
    })
    .await;
    let guardian = guardian.get().unwrap();

    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGUSR1,
    ] {
        kill(Pid::from_raw(guardian), signal).unwrap();
    }

    // It still answers, and the command still ran until now.
    stopper.stop(Stop::Cancelled);
    let (_, detail) = stopped(run.await.unwrap());
    assert_eq!(detail.unwrap()["stdout"], format!("{guardian}\n"));
}

#[tokio::test]
async fn command_that_keeps_forking_is_caught() {
    let workshop = Workshop::new();
    // Each process starts the next one and leaves; only whole groups at a time can be caught.
    let script = "f() { sleep 0.001; f & }; echo $$; f; exit 5";

    let failure = failed(&Command::new(workshop.settings()), &shell(script, "forks")).await;

    assert!(marked("forks").is_empty());
    assert_eq!(detail(&failure)["exit_code"], 5);
}

#[tokio::test]
async fn command_ignores_no_signal_that_its_worker_ignores() {
    let ignored = r"sed -n 's/^SigIgn:\s*/ignored 0x/p' /proc/self/status";
    let worker =
        format!("trap '' HUP INT QUIT USR1 CHLD; {ignored} >&2; exec \"$0\" command \"$1\"");
    let input = json!({"argv": ["sh", "-c", ignored]}).to_string();

    let ran = std::process::Command::new("bash")
        .args([
            "-c",
            &worker,
            env!("CARGO_BIN_EXE_taskyard-run-task"),
            &input,
        ])
        .output()
        .unwrap();

    assert_eq!(standard_signals(&ran.stderr), 0x10207);
    assert_eq!(standard_signals(&ran.stdout), 0);
}

/// The first mask in this text, without the real-time signals, of which the C library keeps some for itself.
fn standard_signals(printed: &[u8]) -> u64 {
    let printed = String::from_utf8_lossy(printed);
    let (_, mask) = printed.split_once("ignored 0x").expect(&printed);
    u64::from_str_radix(&mask[..16], 16).unwrap() & 0x7fff_ffff
}
