//! Several servers on one database, one of which dies, hangs or stops: workers and commands go on at another.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::ChildStdout;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use taskyard_api::submit::Submit;
use taskyard_api::task::Status;
use taskyard_core::id::TaskId;
use tokio::time::Instant;

use crate::yard::{PATIENCE, Process, Server, Yard, taskyard};

/// A worker that is cut off for some seconds is not taken for dead. A lease lasts longer than any of these tests: a task
/// that waited for the end of one would be late.
pub(super) const TIMES: [&str; 8] = [
    "--heartbeat",
    "300ms",
    "--heartbeat-ttl",
    "10s",
    "--grace",
    "1s",
    "--internal-workers",
    "0",
];

/// Two servers on one database. None where there is no PostgreSQL.
async fn two(arguments: &[&str]) -> Option<(Yard, Server, Server)> {
    let yard = Yard::on_postgres().await?;
    let arguments = [&TIMES[..], arguments].concat();
    let (here, there) = (yard.serve(&arguments), yard.serve(&arguments));
    Some((yard, here, there))
}

pub(super) fn both(here: &Server, there: &Server) -> String {
    format!("{},{}", here.url, there.url)
}

/// A worker that knows both, and asks the first of them first.
pub(super) fn worker(yard: &Yard, servers: &str, arguments: &[&str]) -> Process {
    let mut command = taskyard();
    command
        .args(["worker", "--server", servers, "--name", "w"])
        .args(["--allow-command", "sh"])
        .args(arguments);
    Process::start(command, yard.path("w.log"))
}

/// A command that knows both.
fn command(yard: &Yard, servers: &str, arguments: &[&str]) -> Process {
    let mut command = taskyard();
    command.args(arguments).env("TASKYARD_URL", servers);
    Process::start(command, yard.path("command.log"))
}

fn stdout(process: &mut Process) -> BufReader<ChildStdout> {
    BufReader::new(process.child.stdout.take().unwrap())
}

fn line(of: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    of.read_line(&mut line).unwrap();
    line
}

/// A command that says that it runs, and goes on until the gate is open.
pub(super) fn waits_for(gate: &Path, runs: &Path) -> Value {
    let (gate, runs) = (gate.display(), runs.display());
    let waits =
        format!("echo $TASKYARD_TASK_ID >> {runs}; until test -e {gate}; do sleep 0.05; done");
    json!({ "argv": ["sh", "-c", waits] })
}

/// As it is where nothing was lost on the way, nor run twice.
pub(super) async fn ended_as_if_nothing_had_been(at: &Server, task: TaskId) {
    let task = at.ended(task).await;
    assert_eq!(task.status, Status::Completed, "{task:?}");
    let counts = (task.attempts, task.losses, task.failures);
    assert_eq!(counts, (1, 0, 0), "{task:?}");
    let attempts = at.client.attempts(task.id).await.unwrap();
    assert_eq!(attempts.items.len(), 1, "{attempts:?}");
    assert!(attempts.late_results.is_empty(), "{attempts:?}");
}

/// It registered once, and is the same process for both.
async fn is_the_same(at: &Server) {
    let worker = at.client.worker("w").await.unwrap();
    assert_eq!(worker.epoch, 1, "{worker:?}");
}

/// Until a worker's claim waits at this server.
async fn has_a_claim_parked(at: &Server) {
    let until = Instant::now() + PATIENCE;
    loop {
        let metrics = reqwest::get(format!("{}/metrics", at.url)).await.unwrap();
        let metrics = metrics.text().await.unwrap();
        if metrics.contains("\ntaskyard_claims_parked 1\n") {
            return;
        }
        assert!(Instant::now() < until, "no claim comes: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_go_on_over_the_death_of_the_server_that_gave_them_out() {
    let Some((yard, here, there)) = two(&[]).await else {
        return;
    };
    let (gate, runs) = (yard.path("gate"), yard.path("runs"));
    let mut tasks = Vec::new();
    for _ in 0..20 {
        tasks.push(there.submit("command", waits_for(&gate, &runs)).await);
    }
    let worker = worker(&yard, &both(&here, &there), &["--concurrency", "8"]);
    let all_run = |runs: &Path| {
        std::fs::read_to_string(runs)
            .unwrap_or_default()
            .lines()
            .count()
    };
    while all_run(&runs) < 8 {
        tokio::task::yield_now().await;
    }

    here.process.kill();
    std::fs::write(gate, "").unwrap();

    for task in &tasks {
        ended_as_if_nothing_had_been(&there, *task).await;
    }
    let ran = std::fs::read_to_string(&runs).unwrap();
    let mut ran: Vec<&str> = ran.lines().collect();
    ran.sort_unstable();
    let mut expected: Vec<String> = tasks.iter().map(ToString::to_string).collect();
    expected.sort_unstable();
    assert_eq!(ran, expected, "each ran once");
    is_the_same(&there).await;
    assert_eq!(worker.stop().code(), Some(0));
    yard.is_well();
}

/// With each death some claims and results are on their way. Leases are short: where a server dies while the database
/// commits what it deals, the same claim may come to the other one before that is done, and nobody ever hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_in_full_work_loses_nothing_to_servers_that_die_in_turn() {
    let short = ["--lease", "3s"];
    let Some((yard, mut here, mut there)) = two(&short).await else {
        return;
    };
    let addresses =
        [&here, &there].map(|server| server.url.trim_start_matches("http://").to_owned());
    let worker = worker(&yard, &both(&here, &there), &["--concurrency", "100"]);
    let mut tasks = Vec::new();
    for round in 0..4_usize {
        let batch: Vec<_> = (0..500).map(|number| Submit::new("echo", number)).collect();
        let batch = there.client.submit_batch(&batch, None).await.unwrap();
        tasks.extend(batch.ids);
        let some = 500 * round as u64 + 150;
        while there.client.stats().await.unwrap().by_status.completed < some {}
        here.process.kill();
        here = there;
        there = yard.serve_at(&addresses[round % 2], &[&TIMES[..], &short].concat());
    }

    let mut lost = String::new();
    for task in &tasks {
        let task = here.ended(*task).await;
        if (task.status, task.attempts, task.losses) != (Status::Completed, 1, 0) {
            writeln!(lost, "{task:?}").unwrap();
        }
    }
    assert_eq!(lost, "");
    is_the_same(&here).await;
    assert_eq!(worker.stop().code(), Some(0));
    yard.is_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_hands_its_workers_over_at_once() {
    let Some((yard, here, there)) = two(&[]).await else {
        return;
    };
    let (gate, runs) = (yard.path("gate"), yard.path("runs"));
    let long = there.submit("command", waits_for(&gate, &runs)).await;
    let worker = worker(&yard, &both(&here, &there), &["--concurrency", "2"]);
    has_a_claim_parked(&here).await;
    there
        .until(long, |task| task.status == Status::Running)
        .await;

    assert_eq!(here.stop().code(), Some(0));

    has_a_claim_parked(&there).await;
    let short = there.submit("echo", json!("here")).await;
    ended_as_if_nothing_had_been(&there, short).await;
    std::fs::write(gate, "").unwrap();
    ended_as_if_nothing_had_been(&there, long).await;
    is_the_same(&there).await;
    assert_eq!(worker.stop().code(), Some(0));
    let log = std::fs::read_to_string(yard.path("w.log")).unwrap();
    assert!(!log.contains("do not get through"), "nothing failed: {log}");
}

/// It serves what it took, which may last, and sends all others on.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_leaves_keeps_nobody_while_its_own_workers_finish() {
    let Some(yard) = Yard::on_postgres().await else {
        return;
    };
    let inside = ["--internal-workers", "1", "--allow-command", "sh"];
    let mut here = yard.serve(&inside);
    let there = yard.serve(&TIMES);
    let (gate, runs) = (yard.path("gate"), yard.path("runs"));
    let own = here.submit("command", waits_for(&gate, &runs)).await;
    here.until(own, |task| task.status == Status::Running).await;
    let worker = worker(&yard, &both(&here, &there), &["--concurrency", "1"]);
    has_a_claim_parked(&here).await;

    here.process.signal(Signal::SIGTERM);

    has_a_claim_parked(&there).await;
    assert!(
        here.process.child.try_wait().unwrap().is_none(),
        "it finishes"
    );
    std::fs::write(gate, "").unwrap();
    assert_eq!(here.process.wait().code(), Some(0));
    ended_as_if_nothing_had_been(&there, own).await;
    is_the_same(&there).await;
    assert_eq!(worker.stop().code(), Some(0));
}

/// Connections are made, and nothing comes of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_leaves_a_server_that_hangs_and_keeps_its_runs() {
    let Some((yard, here, there)) = two(&["--sweep", "60s"]).await else {
        return;
    };
    let (gate, runs) = (yard.path("gate"), yard.path("runs"));
    let long = there.submit("command", waits_for(&gate, &runs)).await;
    let worker = worker(&yard, &both(&here, &there), &["--concurrency", "2"]);
    there
        .until(long, |task| task.status == Status::Running)
        .await;
    has_a_claim_parked(&here).await;

    here.process.signal(Signal::SIGSTOP);

    // The claim was held there; a heartbeat that is not answered takes it along.
    has_a_claim_parked(&there).await;
    let short = there.submit("echo", json!("here")).await;
    ended_as_if_nothing_had_been(&there, short).await;
    std::fs::write(gate, "").unwrap();
    ended_as_if_nothing_had_been(&there, long).await;
    here.process.signal(Signal::SIGCONT);
    is_the_same(&there).await;
    assert_eq!(worker.stop().code(), Some(0));
    assert_eq!(here.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_over_the_death_of_its_server_line_by_line() {
    let Some((yard, here, there)) = two(&[]).await else {
        return;
    };
    let gate = yard.path("gate");
    let prints = format!(
        "for i in 1 2 3; do echo $i; done; until test -e {}; do sleep 0.05; done; for i in 4 5 6; do echo $i; done",
        gate.display()
    );
    let task = there
        .submit("command", json!({ "argv": ["sh", "-c", prints] }))
        .await;
    let _worker = worker(&yard, &there.url, &[]);
    let id = task.to_string();
    let mut follow = command(&yard, &both(&here, &there), &["logs", "-f", "--raw", &id]);
    let mut printed = stdout(&mut follow);
    let first: Vec<String> = (0..3).map(|_| line(&mut printed)).collect();
    assert_eq!(first, ["1\n", "2\n", "3\n"]);

    here.process.kill();
    std::fs::write(gate, "").unwrap();

    let mut rest = String::new();
    printed.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "4\n5\n6\n", "{}", follow.log());
    assert_eq!(follow.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_submits_and_waits_goes_on_at_the_other_server() {
    let Some((yard, here, there)) = two(&[]).await else {
        return;
    };
    let (gate, runs) = (yard.path("gate"), yard.path("runs"));
    let _worker = worker(&yard, &there.url, &[]);
    let script = waits_for(&gate, &runs);
    let script = script["argv"][2].as_str().unwrap().to_owned() + "; echo over";
    let arguments = ["submit", "command", "--wait", "--", "sh", "-c", &script];
    let waits = command(&yard, &both(&here, &there), &arguments);
    waits.log_with("task ");
    while std::fs::read_to_string(&runs)
        .unwrap_or_default()
        .is_empty()
    {
        tokio::task::yield_now().await;
    }

    here.process.kill();
    std::fs::write(gate, "").unwrap();

    let printed = waits.finish();
    assert_eq!(printed.code, 0, "{}", printed.stderr);
    assert!(
        printed.stdout.contains(r#""stdout":"over\n""#),
        "{}",
        printed.stdout
    );
    assert!(!printed.stderr.contains("away"), "{}", printed.stderr);
    let over = printed.stderr.lines().filter(|line| *line == "over");
    assert_eq!(over.count(), 1, "{}", printed.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_watched_goes_on_at_the_other_server() {
    let Some((yard, here, there)) = two(&[]).await else {
        return;
    };
    let one = there.submit("nobody-runs-this", json!(1)).await;
    let watch = ["list", "--watch", "--output", "quiet"];
    let mut watch = command(&yard, &both(&here, &there), &watch);
    let mut printed = stdout(&mut watch);
    assert_eq!(line(&mut printed).trim(), one.to_string());

    here.process.kill();
    let two = there.submit("nobody-runs-this", json!(2)).await;

    assert_eq!(
        line(&mut printed).trim(),
        two.to_string(),
        "{}",
        watch.log()
    );
    assert_eq!(watch.log(), "", "nothing was missed");
    watch.signal(Signal::SIGINT);
    assert_eq!(watch.wait().code(), Some(0));
}
