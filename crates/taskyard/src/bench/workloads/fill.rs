//! Tasks that have ended and tasks that wait, through the engine alone, which is several times as fast as over HTTP.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use taskyard_core::command::Command;
use taskyard_core::id::{SlotKey, TaskId};
use taskyard_core::json::Json;
use taskyard_core::labels::Labels;
use taskyard_core::lane::{Lane, LaneKey};
use taskyard_core::minute::{Events, MINUTES_KEPT, Minute, MinuteKey, What};
use taskyard_core::name::Name;
use taskyard_core::policy::Policy;
use taskyard_core::rows::Failure as TaskFailure;
use taskyard_core::store::Store;
use taskyard_core::verbs::held::Token;
use taskyard_core::verbs::register::Register;
use taskyard_core::verbs::report::{Report, RunResult, Word};
use taskyard_core::verbs::submit::{NewTask, Submit};
use taskyard_core::verbs::tally::Tally;
use taskyard_core::worker::Profile;
use taskyard_engine::engine::{ClaimCall, Engine};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bench::workloads::engine::open;
use crate::randomness::Unguessable;

/// So many are submitted, claimed and completed in one call.
const AT_ONCE: usize = 1000;
/// So many do it at once, so that the writer never waits for one of them.
const FILLERS: usize = 3;
/// Each has ended as many as every other. Besides there are two that have ended next to nothing.
pub(super) const WORKERS: usize = 21;
/// Who ended a few of the first tasks and nothing since.
pub(super) const LONG_AGO: usize = WORKERS;
/// Who ended one in ten thousand.
pub(super) const RARE: usize = WORKERS + 1;
/// A number that shares nothing with those by which queues are chosen, and as many lanes as are told apart.
const KINDS: usize = 101;
/// Durations of each row of a minute are spread over so many buckets or more.
const SPREAD: u64 = 24;

/// Two to ask for.
pub(super) struct Filled {
    /// In the middle of those that have ended.
    pub(super) ended: TaskId,
    /// In the middle of those that wait.
    pub(super) waits: TaskId,
}

pub(super) fn worker(number: usize) -> String {
    format!("worker-{number}")
}

pub(super) async fn fill(url: &str, finished: usize, waiting: usize) -> anyhow::Result<Filled> {
    let store = open(url).await;
    let store = store.map_err(|failure| anyhow::anyhow!(failure.message))?;
    let (stop, random) = (CancellationToken::new(), Box::new(Unguessable::new()));
    let engine = Engine::start(Arc::clone(&store), Policy::default(), random, stop.clone());
    let mut workers = Vec::new();
    for number in 0..WORKERS + 2 {
        workers.push(register(&engine, number).await?);
    }
    let mut fillers = JoinSet::new();
    for filler in 0..FILLERS {
        let (engine, workers) = (engine.clone(), workers.clone());
        fillers.spawn(async move { end_every(&engine, &workers, filler, finished).await });
    }
    let mut ended = None;
    while let Some(middle) = fillers.join_next().await {
        ended = ended.or(middle??);
    }
    let mut waits = None;
    for first in (0..waiting).step_by(AT_ONCE) {
        let ids = submit(&engine, first, AT_ONCE.min(waiting - first)).await?;
        if first + AT_ONCE > waiting / 2 {
            waits = waits.or(ids.last().copied());
        }
    }
    stop.cancel();
    tally(&*store).await?;
    Ok(Filled {
        ended: ended.context("a scale at which some tasks have ended")?,
        waits: waits.context("a scale at which some tasks wait")?,
    })
}

async fn register(engine: &Engine, number: usize) -> anyhow::Result<Name> {
    let name = Name::plain(&worker(number))?;
    let register = Register {
        name: name.clone(),
        server: None,
        if_new: false,
        profile: Arc::new(Profile::new(None, None, Labels::default())),
        capacity: 1,
    };
    engine.register(register).await?;
    Ok(name)
}

/// Every so manieth thousand of them. Answers a task in the middle of all, where it is among these.
async fn end_every(
    engine: &Engine,
    workers: &[Name],
    filler: usize,
    finished: usize,
) -> anyhow::Result<Option<TaskId>> {
    let mut middle = None;
    let rounds = (0..finished).step_by(AT_ONCE).enumerate();
    for (round, first) in rounds.skip(filler).step_by(FILLERS) {
        let tasks = AT_ONCE.min(finished - first);
        let ids = submit(engine, first, tasks).await?;
        // A worker belongs to one filler, since 21 is three times seven, and so do these two.
        let most = match round {
            0 => &workers[LONG_AGO],
            round => &workers[round % WORKERS],
        };
        let few = usize::from(round % 30 == 1);
        end(engine, &workers[RARE], 3 * few).await?;
        end(engine, most, tasks - 3 * few).await?;
        if first >= finished / 2 {
            middle = middle.or(ids.first().copied());
        }
    }
    Ok(middle)
}

async fn submit(engine: &Engine, first: usize, tasks: usize) -> anyhow::Result<Vec<TaskId>> {
    let tasks = (first..first + tasks).map(|number| task(engine.new_task(), number));
    let submit = Submit::of(tasks.collect::<anyhow::Result<_>>()?);
    Ok(engine.submit(submit).await?.ids.to_vec())
}

fn task(id: TaskId, number: usize) -> anyhow::Result<NewTask> {
    let kind = match number {
        number if number.is_multiple_of(100_000) => "rare".to_owned(),
        number if number.is_multiple_of(10) => "resize".to_owned(),
        number => format!("kind-{}", number % KINDS),
    };
    let queue = if number.is_multiple_of(20) {
        "images"
    } else {
        "default"
    };
    Ok(NewTask {
        max_attempts: Some(1),
        labels: Labels::new([("customer", (number % 1000).to_string())])?,
        ..NewTask::new(
            id,
            LaneKey::of(Name::path(queue)?, Name::path(&kind)?),
            Json::stored(format!("{{\"pad\":\"{}\"}}", "x".repeat(90))),
        )
    })
}

/// One in fifty fails.
async fn end(engine: &Engine, worker: &Name, tasks: usize) -> anyhow::Result<()> {
    let mut left = tasks;
    while left > 0 {
        let claim = ClaimCall {
            worker: worker.clone(),
            epoch: None,
            task: None,
            limit: left,
            wait: Duration::from_secs(10),
            begin: true,
            seq: 0,
            again: false,
        };
        let hand = engine.claim(claim).await?.tell();
        left -= hand.runs.len();
        let results = hand.runs.iter().enumerate().map(|(number, run)| {
            let token = Token {
                slot: SlotKey::only(run.slot.task),
                fence: run.fence,
                secret: run.secret,
            };
            let word = if number % 50 == 49 {
                let error = TaskFailure::new("bench", "it is to fail");
                Word::Failed {
                    error,
                    retry: false,
                }
            } else {
                let output = Json::stored(r#"{"ok":true}"#);
                Word::Completed { output }
            };
            RunResult::new(token, word, None)
        });
        let (worker, results) = (None, results.collect());
        engine.report(Report { worker, results }).await?;
    }
    Ok(())
}

/// As many minutes as are kept, and in each as many lanes as are told apart: nobody has an hour for it.
async fn tally(store: &dyn Store) -> anyhow::Result<()> {
    let policy = Policy::default();
    let lanes = i32::try_from(policy.stats_lanes_max)?;
    let mut events = Events::default();
    for what in What::ALL {
        events.happened(what);
    }
    for step in 0..SPREAD {
        events.waits.push(Duration::from_micros(100 << (step / 2)));
        events.runs.push(Duration::from_micros(150 << (step / 2)));
        events.runs.push(Duration::from_micros(100 << (step / 2)));
    }
    let now = MinuteKey::minute_of(store.now());
    for minute in now - MINUTES_KEPT..=now {
        let row = |lane| Minute {
            key: MinuteKey {
                minute,
                lane: Lane(lane),
            },
            events: events.clone(),
        };
        let tally = Tally {
            minutes: (1..=lanes).map(row).collect(),
            workers: Vec::new(),
        };
        store.run(vec![Command::Tally(tally)], &policy).await?;
    }
    Ok(())
}
