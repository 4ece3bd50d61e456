//! The engine alone: no HTTP, no other process.

use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;
use taskyard_core::id::SlotKey;
use taskyard_core::json::Json;
use taskyard_core::labels::{Demands, Labels};
use taskyard_core::lane::LaneKey;
use taskyard_core::name::Name;
use taskyard_core::order::Priority;
use taskyard_core::policy::Policy;
use taskyard_core::rows::Digest;
use taskyard_core::store::Store;
use taskyard_core::verbs::held::Token;
use taskyard_core::verbs::register::Register;
use taskyard_core::verbs::report::{Report, RunResult, Word};
use taskyard_core::verbs::submit::{Begin, NewTask, Submit};
use taskyard_core::worker::Profile;
use taskyard_engine::engine::{ClaimCall, Engine};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use crate::bench::{Figure, Run};
use crate::database::{self, Address};
use crate::failure::Failure;
use crate::randomness::Unguessable;

const CALLERS: usize = 256;
const WARM_UP: Duration = Duration::from_millis(500);

pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let fresh = run.databases.fresh().await?;
    let store = open(&fresh.url)
        .await
        .map_err(|failure| anyhow::anyhow!(failure.message))?;
    let stop = CancellationToken::new();
    let engine = Engine::start(
        store,
        Policy::default(),
        Box::new(Unguessable::new()),
        stop.clone(),
    );
    let from = Instant::now() + WARM_UP;
    let until = from + run.seconds;
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        callers.spawn(caller(engine.clone(), number, from, until));
    }
    let mut done = 0;
    while let Some(counted) = callers.join_next().await {
        done += counted??;
    }
    stop.cancel();
    drop(engine);
    let settings = json!({ "store": fresh.kind, "callers": CALLERS });
    fresh.remove().await?;
    Ok(vec![Figure {
        workload: "W0",
        value: f64::from(done) / run.seconds.as_secs_f64(),
        unit: "tasks/s",
        settings,
    }])
}

async fn open(url: &str) -> Result<Arc<dyn Store>, Failure> {
    database::open(&Address::parse(url)?).await
}

/// Lives of tasks, one after the other; answers how many began and ended while they count.
async fn caller(
    engine: Engine,
    number: usize,
    from: Instant,
    until: Instant,
) -> anyhow::Result<u32> {
    let name = Name::plain(&format!("bench-{number}"))?;
    let kind = Name::path("noop")?;
    let profile = Arc::new(Profile::new(
        Some(vec![kind.clone()]),
        None,
        Labels::default(),
    ));
    let register = Register {
        name: name.clone(),
        server: None,
        profile,
        capacity: 1,
    };
    engine.register(register).await?;
    let lane = LaneKey {
        queue: Name::path("default")?,
        kind,
        demands: Demands::default(),
    };
    let input = Json::stored(format!("{{\"pad\":\"{}\"}}", "x".repeat(190)));
    let mut counted = 0;
    loop {
        one_life(&engine, &name, &lane, &input).await?;
        let now = Instant::now();
        if now > until {
            return Ok(counted);
        }
        counted += u32::from(now > from);
    }
}

async fn one_life(
    engine: &Engine,
    worker: &Name,
    lane: &LaneKey,
    input: &Json,
) -> anyhow::Result<()> {
    let task = NewTask {
        id: engine.new_task(),
        lane: lane.clone(),
        priority: Priority::default(),
        begin: Begin::Now,
        input: input.clone(),
        max_attempts: None,
        max_losses: None,
        timeout: None,
        retry: None,
        labels: Labels::default(),
        digest: None,
    };
    engine
        .submit(Submit {
            tasks: vec![task],
            once: None,
            again: false,
        })
        .await?;
    let claim = ClaimCall {
        worker: worker.clone(),
        epoch: None,
        limit: 1,
        wait: Duration::from_secs(10),
        begin: true,
        seq: 0,
    };
    let hand = engine.claim(claim).await?;
    let run = hand.runs.first().context("every caller has put one in")?;
    let result = RunResult {
        token: Token {
            slot: SlotKey::only(run.slot.task),
            fence: run.fence,
            secret: run.secret,
        },
        word: Word::Completed {
            output: Json::stored(r#"{"ok":true}"#),
        },
        started_at: None,
        digest: Digest::of(b"ok"),
    };
    engine
        .report(Report {
            worker: None,
            results: vec![result],
        })
        .await?;
    Ok(())
}
