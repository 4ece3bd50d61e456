//! Servers that are killed, stopped and paused.

use std::time::Duration;

use nix::sys::signal::Signal;
use rand::RngExt as _;
use serde_json::json;
use taskyard_api::client::Client;
use taskyard_api::submit::Submit;
use taskyard_api::task::Status;

use super::{STANDS_STILL_MAX, on_postgres, rounds, rounds_on_postgres, whole_or_short};
use crate::campaign::Trial;
use crate::history::{Op, Outcome};
use crate::load::Plan;
use crate::stage::until;
use crate::yard::PATIENCE;

/// How soon a server that was killed serves again, from when it was killed.
const SERVES_AGAIN_WITHIN: Duration = Duration::from_secs(3);
const LEASE: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn f1_a_server_is_killed_again_and_again() {
    rounds("F1", "", async |mut trial| {
        let database = trial.stage.sqlite();
        alone(&mut trial, &database).await;
        killed(trial, whole_or_short(50, 3), Signal::SIGKILL).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "of the whole set: make faults"]
async fn f1_a_server_on_postgres_is_killed_again_and_again() {
    rounds_on_postgres("F1", " on PostgreSQL", async |mut trial| {
        on_postgres(&mut trial, 1).await;
        killed(trial, 20, Signal::SIGKILL).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f1b_a_server_is_stopped_in_order_and_loses_no_run() {
    rounds("F1b", "", async |mut trial| {
        let database = trial.stage.sqlite();
        alone(&mut trial, &database).await;
        killed(trial, whole_or_short(10, 2), Signal::SIGTERM).await;
    })
    .await;
}

async fn alone(trial: &mut Trial, database: &str) {
    trial
        .stage
        .serve(
            database,
            &["--internal-workers", "1", "--internal-kinds", "echo"],
        )
        .await;
    trial
        .stage
        .work(0, &["--concurrency", "4", "--kinds", "echo,sleep"]);
}

/// At random moments, each time started again at once.
async fn killed(mut trial: Trial, times: u32, signal: Signal) {
    trial.load(Plan::default()).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..times {
        let calls = trial.random.random_range(5..60);
        trial.goes_on(calls).await;
        let at = trial.history.now();
        trial.breaks();
        let server = &mut trial.stage.servers[0];
        let ended = server.stop(signal).await;
        let ends_well = signal == Signal::SIGKILL || ended.code() == Some(0);
        server.start().await;
        trial.must(ends_well, format!("it ended with {ended}"));
        let success = trial.success(at, PATIENCE).await.unwrap_or(PATIENCE);
        slowest = slowest.max(success);
    }
    trial.heals();
    trial.note(format!(
        "{times} times, first success at most {} ms after the signal",
        slowest.as_millis()
    ));
    if signal == Signal::SIGKILL {
        trial.must(
            slowest <= SERVES_AGAIN_WITHIN,
            format!("it took {slowest:?} to serve again"),
        );
    }
    let verdict = trial.ends().await;
    // What was given out in the moment of the stop, and never began, is given out again and costs nothing.
    let is_spared = signal == Signal::SIGKILL || verdict.losses == 0;
    assert!(
        is_spared,
        "{} attempts were lost to a stop in order",
        verdict.losses
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "of the whole set: make faults"]
async fn f2_one_of_three_servers_is_killed() {
    rounds_on_postgres("F2", "", async |mut trial| {
        on_postgres(&mut trial, 3).await;
        // What is the killed one's alone to do: others have to notice that it is gone.
        let database = trial.stage.nodes[0].url();
        let pool = ["--internal-workers", "1", "--internal-kinds", "sleep"];
        trial.stage.serve(&database, &pool).await;
        let victim = trial.stage.servers.len() - 1;
        let client = Client::new(&[trial.stage.servers[0].url.parse().unwrap()], None).unwrap();
        trial.load(Plan::default()).await;
        let long = held_inside(&client).await;
        let worker = client.task(long, None).await.unwrap().worker_id;

        let at = trial.breaks();
        trial.stage.servers[victim].stop(Signal::SIGKILL).await;
        trial.goes_on_while_broken().await;
        let elsewhere = until(Duration::from_secs(15), async || {
            let task = client.task(long, None).await.ok()?;
            let is_elsewhere = task.status == Status::Completed && task.worker_id != worker;
            is_elsewhere.then_some(())
        });
        let taken_over = elsewhere.await.map(|()| trial.history.now() - at);
        let healed = trial.heals();
        trial.stage.servers[victim].start().await;

        let what = taken_over.map_or("never".to_owned(), |micros| {
            format!("after {} ms", micros / 1000)
        });
        trial.note(format!("its own worker's task was done elsewhere {what}"));
        trial.must(
            taken_over.is_some(),
            "what the killed server ran was not taken over within 15 s",
        );
        trial.must(
            trial
                .history
                .first(|record| {
                    let among = record.t_invoke >= at && record.t_return <= healed;
                    let at_another = record.server != victim && record.op != Op::Ready;
                    among
                        && at_another
                        && (record.outcome == Outcome::Unknown
                            || record.http.is_some_and(|http| http >= 500))
                })
                .is_none(),
            "a call to a server that lives was not served",
        );
        trial.ends().await;
    })
    .await;
}

/// A task that an internal worker has begun, and that ends soon after whoever has it next begins it.
async fn held_inside(client: &Client) -> taskyard_core::id::TaskId {
    let found = until(PATIENCE, async || {
        let id = client
            .submit(&Submit::new("sleep", json!({ "ms": 4_000 })))
            .await
            .ok()?
            .id;
        let began = until(Duration::from_secs(2), async || {
            let task = client.task(id, None).await.ok()?;
            (task.status == Status::Running).then_some(task.worker_id)
        });
        let is_inside = began
            .await
            .flatten()
            .is_some_and(|worker| worker.starts_with("worker-"));
        is_inside.then_some(id)
    });
    found
        .await
        .expect("an internal worker takes one in the end")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "of the whole set: make faults"]
async fn f6_one_of_two_servers_is_paused() {
    rounds_on_postgres("F6", "", async |mut trial| {
        on_postgres(&mut trial, 2).await;
        trial.load(super::crowd()).await;

        let at = trial.breaks();
        trial.stage.servers[0].signal(Signal::SIGSTOP);
        trial.lasts(at, 3 * LEASE).await;
        let still = trial.stood_still(1, at, trial.history.now());
        trial.stage.servers[0].signal(Signal::SIGCONT);
        let healed = trial.heals();
        let ready = trial.ready(0, healed, PATIENCE).await;

        trial.note(format!(
            "the other stood still for {} ms at most",
            still.as_millis()
        ));
        trial.must(
            still <= STANDS_STILL_MAX,
            format!("the other server stood still for {still:?}"),
        );
        trial.must(ready.is_some(), "it does not serve again");
        trial.ends().await;
    })
    .await;
}
