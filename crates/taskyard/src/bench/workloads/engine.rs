//! The engine alone: no HTTP, no other process.

use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;
use taskyard_core::id::SlotKey;
use taskyard_core::json::Json;
use taskyard_core::labels::{Demands, Labels};
use taskyard_core::lane::LaneKey;
use taskyard_core::name::Name;
use taskyard_core::policy::Policy;
use taskyard_core::store::Store;
use taskyard_core::verbs::held::Token;
use taskyard_core::verbs::register::Register;
use taskyard_core::verbs::report::{Report, RunResult, Word};
use taskyard_core::verbs::submit::{NewTask, Submit};
use taskyard_core::worker::Profile;
use taskyard_engine::engine::{ClaimCall, Engine};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use crate::bench::apart::apart;
use crate::bench::{Figure, Run};
use crate::database::{self, Address, Manner};
use crate::failure::Failure;
use crate::randomness::Unguessable;

const CALLERS: usize = 256;
const WARM_UP: Duration = Duration::from_millis(500);

/// What a caller does, and for how long it counts.
#[derive(Clone, Copy)]
struct Part {
    number: usize,
    /// Over so many queues, each a lane.
    lanes: usize,
    from: Instant,
    until: Instant,
}

pub(super) async fn measure(
    run: &Run<'_>,
    workload: &'static str,
    lanes: usize,
) -> anyhow::Result<Vec<Figure>> {
    let fresh = run.databases.fresh().await?;
    let (url, seconds) = (fresh.url.clone(), run.seconds);
    let done = apart(move || async move { lives(&url, seconds, lanes).await }).await?;
    let settings = json!({ "store": fresh.kind, "callers": CALLERS, "lanes": lanes });
    fresh.remove().await?;
    Ok(vec![Figure {
        workload,
        value: f64::from(done) / run.seconds.as_secs_f64(),
        unit: "tasks/s",
        settings,
    }])
}

/// How many tasks went from submit to result in the given time.
async fn lives(url: &str, seconds: Duration, lanes: usize) -> anyhow::Result<u32> {
    let store = open(url)
        .await
        .map_err(|failure| anyhow::anyhow!(failure.message))?;
    let stop = CancellationToken::new();
    let engine = Engine::start(
        store,
        Policy::default(),
        Box::new(Unguessable::new()),
        stop.clone(),
    );
    // So that every lane has something, unless there is only one.
    for lane in 1..lanes {
        submit(&engine, lane).await?;
    }
    let from = Instant::now() + WARM_UP;
    let until = from + seconds;
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        let part = Part {
            number,
            lanes,
            from,
            until,
        };
        callers.spawn(caller(engine.clone(), part));
    }
    let mut done = 0;
    while let Some(counted) = callers.join_next().await {
        done += counted??;
    }
    stop.cancel();
    Ok(done)
}

pub(super) async fn open(url: &str) -> Result<Arc<dyn Store>, Failure> {
    database::open(&Address::parse(url)?, Manner::default(), None).await
}

/// Lives of tasks, one after the other; answers how many ended while they count.
async fn caller(engine: Engine, part: Part) -> anyhow::Result<u32> {
    let name = Name::plain(&format!("bench-{}", part.number))?;
    let kind = Name::path("noop")?;
    let profile = Arc::new(Profile::new(Some(vec![kind]), None, Labels::default()));
    let register = Register {
        name: name.clone(),
        server: None,
        profile,
        capacity: 1,
        if_new: false,
    };
    engine.register(register).await?;
    let mut counted = 0;
    for round in 0.. {
        // Neighbours in number and in time are in different lanes.
        submit(&engine, (part.number * 7919 + round) % part.lanes).await?;
        claim_and_complete(&engine, &name).await?;
        let now = Instant::now();
        if now > part.until {
            break;
        }
        counted += u32::from(now > part.from);
    }
    Ok(counted)
}

async fn submit(engine: &Engine, lane: usize) -> anyhow::Result<()> {
    let task = NewTask::new(
        engine.new_task(),
        LaneKey {
            queue: Name::path(&format!("queue-{lane}"))?,
            kind: Name::path("noop")?,
            demands: Demands::default(),
        },
        Json::stored(format!("{{\"pad\":\"{}\"}}", "x".repeat(190))),
    );
    let submit = Submit::of(vec![task]);
    engine.submit(submit).await?;
    Ok(())
}

async fn claim_and_complete(engine: &Engine, worker: &Name) -> anyhow::Result<()> {
    let claim = ClaimCall {
        worker: worker.clone(),
        epoch: None,
        task: None,
        limit: 1,
        wait: Duration::from_secs(10),
        begin: true,
        seq: 0,
        again: false,
    };
    let hand = engine.claim(claim).await?.tell();
    let run = hand.runs.first().context("every caller has put one in")?;
    let token = Token {
        slot: SlotKey::only(run.slot.task),
        fence: run.fence,
        secret: run.secret,
    };
    let word = Word::Completed {
        output: Json::stored(r#"{"ok":true}"#),
    };
    let result = RunResult::new(token, word, None);
    engine
        .report(Report {
            worker: None,
            results: [result].into(),
        })
        .await?;
    Ok(())
}
