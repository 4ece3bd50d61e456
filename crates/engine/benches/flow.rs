//! The engine alone, in process, over SQLite: each of many callers submits a task, claims one and completes it, again
//! and again, beside idle workers of another kind.
//! `cargo bench -p taskyard-engine --profile quick -- [callers] [seconds] [lanes] [idle]`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark stops where it cannot go on, prints what it finds, and measures with the real clock"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use taskyard_core::json::Json;
use taskyard_core::labels::{Demands, Labels};
use taskyard_core::lane::LaneKey;
use taskyard_core::name::Name;
use taskyard_core::order::Priority;
use taskyard_core::policy::Policy;
use taskyard_core::random::Seeded;
use taskyard_core::rows::Digest;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::held::Token;
use taskyard_core::verbs::register::Register;
use taskyard_core::verbs::report::{Report, RunResult, Word};
use taskyard_core::verbs::submit::{Begin, NewTask, Submit};
use taskyard_core::worker::Profile;
use taskyard_engine::engine::{ClaimCall, Engine};
use taskyard_store::sqlite::{Options, SqliteStore};
use tokio_util::sync::CancellationToken;

const WARM_UP: Duration = Duration::from_millis(300);

fn main() {
    // Cargo adds a flag of its own.
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let number = |place: usize, otherwise| numbers.get(place).copied().unwrap_or(otherwise);
    let (callers, seconds, lanes) = (number(0, 256), number(1, 2), number(2, 1));
    let idle = number(3, 0);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(flow(callers, Duration::from_secs(seconds), lanes, idle));
}

async fn flow(callers: u64, length: Duration, lanes: u64, idle: u64) {
    let dir = tempfile::tempdir().unwrap();
    let clock = AtomicI64::new(1_790_000_000_000_000);
    let options = Options {
        clock: Arc::new(move || Timestamp::from_micros(clock.fetch_add(1, Ordering::Relaxed))),
        random: Box::new(Seeded::new(1)),
    };
    let store = SqliteStore::open(&dir.path().join("flow.db"), options).unwrap();
    let engine = Engine::start(
        Arc::new(store),
        Policy::default(),
        Box::new(Seeded::new(2)),
        CancellationToken::new(),
    );
    // So that every lane has something, unless there is only one.
    let waiting = (1..lanes).map(|lane| task(&engine, lane, lane));
    submit(&engine, waiting.collect()).await;
    for caller in 0..callers {
        register(&engine, caller, Profile::default()).await;
    }
    for idler in callers..callers + idle {
        let kinds = vec![Name::path("nothing").unwrap()];
        register(
            &engine,
            idler,
            Profile::new(Some(kinds), None, Labels::default()),
        )
        .await;
        let engine = engine.clone();
        tokio::spawn(async move { engine.claim(claim(idler, Duration::from_mins(1))).await });
    }

    let started = Instant::now();
    let running = (0..callers).map(|caller| {
        let engine = engine.clone();
        tokio::spawn(async move {
            let mut took = Vec::new();
            for round in 0.. {
                let began = Instant::now();
                lifecycle(&engine, caller, lanes, round).await;
                match started.elapsed() {
                    now if now > WARM_UP + length => return took,
                    now if now > WARM_UP => took.push(began.elapsed()),
                    _ => {}
                }
            }
            took
        })
    });
    let running: Vec<_> = running.collect();
    tokio::time::sleep(WARM_UP).await;
    let cpu_before = cpu();
    tokio::time::sleep(length).await;
    let cpu = cpu() - cpu_before;
    let mut took: Vec<Duration> = Vec::new();
    for caller in running {
        took.extend(caller.await.unwrap());
    }
    took.sort_unstable();
    let rate = took.len() as u64 * 1000 / length.as_millis() as u64;
    let quantile = |percent: usize| took[(took.len() - 1) * percent / 100];
    println!(
        "{callers} callers, {lanes} lanes, {idle} idle: {rate} lifecycles/s, p50 {:?}, p99 {:?}, CPU {:?} each",
        quantile(50),
        quantile(99),
        cpu / u32::try_from(took.len()).unwrap(),
    );
}

/// What the process has used so far, as Linux tells; the disk's and the callers' part is in it.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    // User and system time, in hundredths of a second.
    let ticks = fields.split_whitespace().skip(11).take(2);
    Duration::from_millis(
        10 * ticks
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum::<u64>(),
    )
}

async fn register(engine: &Engine, caller: u64, profile: Profile) {
    let register = Register {
        name: name(caller),
        server: None,
        profile: Arc::new(profile),
        capacity: 1,
    };
    engine.register(register).await.unwrap();
}

async fn lifecycle(engine: &Engine, caller: u64, lanes: u64, round: u64) {
    let lane = (caller * 7919 + round) % lanes;
    submit(engine, vec![task(engine, lane, caller + round)]).await;
    let claim = claim(caller, Duration::from_secs(10));
    for run in engine.claim(claim).await.unwrap().runs {
        let output = Json::stored("\"an output of some fifty bytes, as a short task has\"");
        let result = RunResult {
            token: Token {
                slot: run.slot,
                fence: run.fence,
                secret: run.secret,
            },
            digest: Digest::of(output.as_str().as_bytes()),
            word: Word::Completed { output },
            started_at: None,
        };
        let report = Report {
            worker: None,
            results: vec![result],
        };
        engine.report(report).await.unwrap();
    }
}

fn claim(caller: u64, wait: Duration) -> ClaimCall {
    ClaimCall {
        worker: name(caller),
        epoch: None,
        limit: 1,
        wait,
        begin: true,
        seq: 0,
    }
}

async fn submit(engine: &Engine, tasks: Vec<NewTask>) {
    let submit = Submit {
        tasks,
        once: None,
        again: false,
    };
    engine.submit(submit).await.unwrap();
}

fn task(engine: &Engine, lane: u64, serial: u64) -> NewTask {
    NewTask {
        id: engine.new_task(),
        lane: LaneKey {
            queue: Name::path("default").unwrap(),
            kind: Name::path(&format!("kind-{lane}")).unwrap(),
            demands: Demands::default(),
        },
        priority: Priority::new((serial % 10).cast_signed()).unwrap(),
        begin: Begin::Now,
        input: Json::stored(format!("\"{}\"", "x".repeat(198))),
        max_attempts: None,
        max_losses: None,
        timeout: None,
        retry: None,
        labels: Labels::default(),
        digest: None,
    }
}

fn name(caller: u64) -> Name {
    Name::plain(&format!("worker-{caller}")).unwrap()
}
