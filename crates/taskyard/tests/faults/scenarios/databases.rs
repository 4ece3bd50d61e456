//! A PostgreSQL that is stopped, killed, cut off, locked and paused.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use super::{crowd, on_postgres, rounds_on_postgres, whole_or_short};
use crate::campaign::Trial;
use crate::postgres::NOTICED_WITHIN;
use crate::stage::until;
use crate::yard::PATIENCE;

/// Runs that may be lost over an outage: each would be, if silence counted in it.
const LOSSES_MAX: usize = 10;
/// How long a server's connections may take to work again once the database does.
const HEALED_WITHIN: Duration = Duration::from_secs(10);
/// One that writes, four that read, one of the logs, one that hears others, one that looks after all.
const CONNECTIONS_MAX: usize = 8;
const OURS: &str = "application_name like 'taskyard%' and datname = 'postgres'";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "of the whole set: make faults"]
async fn f11_postgres_is_restarted_fast() {
    rounds_on_postgres("F11", " restart fast", async |trial| {
        away(trial, Signal::SIGINT).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "of the whole set: make faults"]
async fn f11_postgres_is_restarted_immediately() {
    rounds_on_postgres("F11", " restart immediate", async |trial| {
        away(trial, Signal::SIGQUIT).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_postgres_is_killed() {
    rounds_on_postgres("F11", " kill -9", async |trial| {
        away(trial, Signal::SIGKILL).await
    })
    .await;
}

/// It ends by this signal, and is started again once every server says that it is not ready.
async fn away(mut trial: Trial, signal: Signal) {
    on_postgres(&mut trial, 2).await;
    trial.load(crowd()).await;

    let at = trial.breaks();
    trial.stage.nodes[0].end(signal);
    noticed(&mut trial, at, &[0, 1]).await;
    trial.goes_on_while_broken().await;
    trial.stage.nodes[0].start();
    let healed = trial.heals();
    works_again(&mut trial, healed, &[0, 1]).await;

    let verdict = trial.ends().await;
    let lost = verdict.runs_lost;
    assert!(
        lost <= LOSSES_MAX,
        "{lost} runs were lost, as if nobody had known why the workers were silent"
    );
}

/// Each of these servers says within the time that it is not ready.
pub(super) async fn noticed(trial: &mut Trial, since: u64, servers: &[usize]) {
    let mut slowest = Duration::ZERO;
    for &server in servers {
        // Beyond the bound, to tell how long it does take.
        let unready = trial.unready(server, since, 4 * NOTICED_WITHIN).await;
        trial.must(
            unready.is_some_and(|unready| unready <= NOTICED_WITHIN),
            format!("server {server} says {unready:?} after it that it is not ready"),
        );
        slowest = slowest.max(unready.unwrap_or(4 * NOTICED_WITHIN));
    }
    trial.note(format!("not ready after {} ms", slowest.as_millis()));
}

/// Each of these servers is ready again, and stores what is submitted.
pub(super) async fn works_again(trial: &mut Trial, since: u64, servers: &[usize]) {
    let mut slowest = Duration::ZERO;
    for &server in servers {
        let ready = trial.ready(server, since, PATIENCE).await;
        trial.must(
            ready.is_some_and(|ready| ready <= HEALED_WITHIN),
            format!("server {server} is ready {ready:?} after it was healed"),
        );
        slowest = slowest.max(ready.unwrap_or(PATIENCE));
    }
    let success = trial.success(since, PATIENCE).await;
    trial.must(
        success.is_some_and(|success| success <= HEALED_WITHIN),
        format!("what is submitted is stored {success:?} after it was healed"),
    );
    trial.note(format!("ready again after {} ms", slowest.as_millis()));
}

#[tokio::test(flavor = "multi_thread")]
async fn f12_connections_are_cut_at_random() {
    rounds_on_postgres("F12", "", async |mut trial| {
        on_postgres(&mut trial, 2).await;
        trial.load(crowd()).await;

        trial.breaks();
        let end = Instant::now() + whole_or_short(Duration::from_secs(10), Duration::from_secs(2));
        let mut cut = 0;
        while Instant::now() < end {
            let one = format!(
                "select pg_terminate_backend(pid) from pg_stat_activity where {OURS} order by random() limit 1"
            );
            cut += i32::from(trial.stage.nodes[0].psql(&one).await.unwrap() == "t");
            // The rate of the fault.
            sleep(Duration::from_millis(100)).await;
        }
        trial.goes_on_while_broken().await;
        let healed = trial.heals();
        works_again(&mut trial, healed, &[0, 1]).await;

        trial.must(cut > 0, "no connection was cut");
        // What was cut last may be ending yet.
        let count = format!("select count(*) from pg_stat_activity where {OURS}");
        let mut open = usize::MAX;
        until(HEALED_WITHIN, async || {
            open = trial.stage.nodes[0].psql(&count).await.ok()?.parse().ok()?;
            (open <= 2 * CONNECTIONS_MAX).then_some(())
        })
        .await;
        trial.must(open <= 2 * CONNECTIONS_MAX, format!("{open} connections are open"));
        trial.note(format!("{cut} cut, {open} open afterwards"));
        trial.ends().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "of the whole set: make faults"]
async fn f15_a_table_is_locked() {
    rounds_on_postgres("F15", " lock table", async |mut trial| {
        on_postgres(&mut trial, 2).await;
        trial.load(crowd()).await;
        let threads = threads(&trial);

        let at = trial.breaks();
        let lock = "begin; lock table task in access exclusive mode; select pg_sleep(10); commit";
        let mut holding = trial.stage.nodes[0].psql_beside(lock);
        noticed(&mut trial, at, &[0, 1]).await;
        trial.goes_on_while_broken().await;
        piled_up(&mut trial, threads);
        let held = tokio::time::timeout(PATIENCE, holding.wait())
            .await
            .unwrap()
            .unwrap();
        let healed = trial.heals();
        works_again(&mut trial, healed, &[0, 1]).await;

        trial.must(
            held.success(),
            format!("the lock was not held to its end: {held}"),
        );
        trial.ends().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "of the whole set: make faults"]
async fn f15_a_backend_is_paused() {
    rounds_on_postgres("F15", " paused backend", async |mut trial| {
        on_postgres(&mut trial, 2).await;
        trial.load(crowd()).await;
        let threads = threads(&trial);

        // The one that wrote last: a server's writer most likely, and perhaps in the middle of a transaction.
        let writer = format!(
            "select pid from pg_stat_activity where {OURS} and state <> 'idle' and pid <> pg_backend_pid() limit 1"
        );
        let found = until(PATIENCE, async || {
            let found = trial.stage.nodes[0].psql(&writer).await.ok()?;
            found.parse().ok().map(Pid::from_raw)
        });
        let backend = found.await.expect("somebody writes");
        let at = trial.breaks();
        kill(backend, Signal::SIGSTOP).unwrap();
        trial.lasts(at, Duration::from_secs(10)).await;
        trial.goes_on_while_broken().await;
        piled_up(&mut trial, threads);
        // Whoever waited for it may have had it ended meanwhile.
        let _ = kill(backend, Signal::SIGCONT);
        let healed = trial.heals();
        works_again(&mut trial, healed, &[0, 1]).await;
        trial.ends().await;
    })
    .await;
}

/// How many threads each server has.
fn threads(trial: &Trial) -> Vec<usize> {
    let servers = trial.stage.servers.iter();
    servers
        .map(|server| {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", server.process().id()));
            tasks.unwrap().count()
        })
        .collect()
}

fn piled_up(trial: &mut Trial, before: Vec<usize>) {
    let now = threads(trial);
    let grown = now
        .iter()
        .zip(&before)
        .all(|(now, before)| *now <= before + 8);
    trial.must(
        grown,
        format!("threads pile up: {now:?}, {before:?} before"),
    );
}
