//! A fleet that has nothing to do, at two servers: each worker waits with an open claim, which it makes again when it was
//! told nothing, and says that it lives as often as its server asks for.

use std::time::Duration;

use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use crate::bench::http::Connection;
use crate::bench::weight;
use crate::bench::yard::Yard;
use crate::bench::{Figure, Run};

const WORKERS: f64 = 10_000.0;
/// How long a claim waits.
const WAIT_MS: u64 = 30_000;
/// They are looked at for so many times as long as other workloads run: with 3 s each, for as long as a claim waits.
const TIMES: u32 = 10;
/// Workers share connections for what is answered at once, so many each.
const SHARE: usize = 100;

/// What is read of the answer to a registration.
#[derive(Deserialize)]
struct Registered {
    heartbeat_ms: u64,
}

pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let workers = (WORKERS * run.scale) as usize;
    let yard = Yard::start(run).await?;
    let beside = yard.beside().await?;
    let mut fleet = JoinSet::new();
    for half in 0..2 {
        let numbers: Vec<usize> = (0..workers).skip(half).step_by(2).collect();
        for numbers in numbers.chunks(SHARE) {
            let count = numbers.len() + 1;
            let connections = match half {
                0 => yard.connect(count).await?,
                _ => beside.connect(count).await?,
            };
            begin(&mut fleet, connections, numbers, &yard).await?;
        }
    }
    // Every worker was registered, and every claim waits by then.
    sleep(run.seconds).await;

    let processes = [yard.process()?, beside.process()?];
    let (begun, before) = (Instant::now(), spent(processes)?);
    tokio::select! {
        () = sleep(run.seconds * TIMES) => {}
        Some(ended) = fleet.join_next() => ended??,
    }
    let (took, after) = (begun.elapsed(), spent(processes)?);
    let mut figures = Vec::new();
    let settings = yard.settings(json!({
        "workers": workers,
        "servers": 2,
        "seconds": took.as_secs_f64().round(),
    }));
    let names = [
        ("W11-core-1", "W11-memory-1"),
        ("W11-core-2", "W11-memory-2"),
    ];
    for (number, (core, memory)) in names.into_iter().enumerate() {
        let share = (after[number] - before[number]).as_secs_f64() / took.as_secs_f64();
        let resident = weight::memory(processes[number])?.resident_mb;
        for (workload, value, unit) in [(core, share * 100.0, "%"), (memory, resident, "MB")] {
            figures.push(Figure {
                workload,
                value,
                unit,
                settings: settings.clone(),
            });
        }
    }
    fleet.shutdown().await;
    beside.stop().await?;
    yard.stop().await?;
    Ok(figures)
}

fn spent(processes: [Pid; 2]) -> anyhow::Result<[Duration; 2]> {
    let [one, two] = processes.map(weight::processor_time);
    Ok([one?, two?])
}

/// The first connection is for what is answered at once, and each worker has one of the others for its claim.
async fn begin(
    fleet: &mut JoinSet<anyhow::Result<()>>,
    mut connections: Vec<Connection>,
    numbers: &[usize],
    yard: &Yard,
) -> anyhow::Result<()> {
    let mut shared = connections.remove(0);
    let mut every = Duration::MAX;
    for (number, claimer) in numbers.iter().zip(connections) {
        let register = yard.mark.worker(&format!("bench-{number}"), json!({}));
        let answer = shared.post("/api/v1/workers/register", register).await?;
        let registered: Registered = serde_json::from_slice(&answer)?;
        every = Duration::from_millis(registered.heartbeat_ms);
        fleet.spawn(wait(claimer, *number));
    }
    fleet.spawn(live(shared, numbers.to_vec(), every));
    Ok(())
}

async fn wait(mut claimer: Connection, number: usize) -> anyhow::Result<()> {
    let path = format!("/api/v1/workers/bench-{number}/claim");
    let claim = json!({ "limit": 1, "wait_ms": WAIT_MS }).to_string();
    loop {
        claimer.post(&path, claim.clone()).await?;
    }
}

/// Their heartbeats, spread over the time from one to the next.
async fn live(mut shared: Connection, numbers: Vec<usize>, every: Duration) -> anyhow::Result<()> {
    let step = every / u32::try_from(numbers.len())?;
    let mut times = interval_at(Instant::now() + step, step);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in numbers.iter().cycle() {
        times.tick().await;
        let path = format!("/api/v1/workers/bench-{number}/heartbeat");
        shared.post(&path, r#"{"held":[]}"#).await?;
    }
    Ok(())
}
