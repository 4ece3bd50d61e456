//! Reads beside ten million finished and a million waiting tasks, in process; and what a bulk act does with those that wait.

use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Value, json};
use taskyard_core::filter::{Filter, Search};
use taskyard_core::id::{SlotKey, TaskId};
use taskyard_core::json::Json;
use taskyard_core::labels::{Demands, Labels};
use taskyard_core::lane::LaneKey;
use taskyard_core::name::Name;
use taskyard_core::operation::Act;
use taskyard_core::order::Priority;
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, List, Query};
use taskyard_core::rows::Failure as TaskFailure;
use taskyard_core::status::Status;
use taskyard_core::verbs::held::Token;
use taskyard_core::verbs::operate::Operate;
use taskyard_core::verbs::register::Register;
use taskyard_core::verbs::report::{Report, RunResult, Word};
use taskyard_core::verbs::submit::{Begin, NewTask, Submit};
use taskyard_core::worker::Profile;
use taskyard_engine::engine::{ClaimCall, Engine};
use taskyard_engine::services::operations;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use super::engine::open;
use crate::bench::{Figure, Run};
use crate::commands;
use crate::randomness::Unguessable;

const FINISHED: f64 = 10_000_000.0;
const WAITING: f64 = 1_000_000.0;
/// So many are submitted, claimed and completed at once.
const AT_ONCE: usize = 1000;
/// Of so many workers each has ended as many; two more have ended next to nothing.
const WORKERS: usize = 20;
/// How often each page is read.
const READS: usize = 200;
const LIMIT: usize = 50;

pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let fresh = run.databases.fresh().await?;
    let (url, scale) = (fresh.url.clone(), run.scale);
    let store = fresh.kind;
    // On a runtime as a server has it.
    let read = tokio::task::spawn_blocking(move || {
        let runtime = commands::runtime()?;
        runtime.block_on(filled_and_read(&url, scale, store))
    });
    let figures = read.await??;
    fresh.remove().await?;
    Ok(figures)
}

async fn filled_and_read(
    url: &str,
    scale: f64,
    store: &'static str,
) -> anyhow::Result<Vec<Figure>> {
    let opened = open(url).await;
    let opened = opened.map_err(|failure| anyhow::anyhow!(failure.message))?;
    let (stop, random) = (CancellationToken::new(), Box::new(Unguessable::new()));
    let engine = Engine::start(opened, Policy::default(), random, stop.clone());
    let [finished, waiting] = [FINISHED, WAITING].map(|tasks| (tasks * scale) as usize);
    let settings = json!({ "store": store, "finished": finished, "waiting": waiting });

    let begun = Instant::now();
    let middle = fill(&engine, finished, waiting).await?;
    let filled = begun.elapsed();
    let mut figures = vec![Figure {
        workload: "W9-fill",
        value: (finished + waiting) as f64 / filled.as_secs_f64(),
        unit: "tasks/s",
        settings: settings.clone(),
    }];
    for (workload, query) in reads(middle)? {
        figures.push(pages(&engine, workload, &query, &settings).await?);
    }
    figures.push(cancelled(&engine, waiting, settings).await?);
    stop.cancel();
    Ok(figures)
}

/// Answers a task in the middle of those that have ended.
async fn fill(engine: &Engine, finished: usize, waiting: usize) -> anyhow::Result<TaskId> {
    let mut workers = Vec::new();
    for number in 0..WORKERS + 2 {
        let name = Name::plain(&format!("worker-{number}"))?;
        let profile = Arc::new(Profile::new(None, None, Labels::default()));
        let register = Register {
            name: name.clone(),
            server: None,
            profile,
            capacity: 1,
        };
        engine.register(register).await?;
        workers.push(name);
    }
    let mut middle = None;
    for (round, first) in (0..finished).step_by(AT_ONCE).enumerate() {
        let tasks = AT_ONCE.min(finished - first);
        let ids = submit(engine, first, tasks).await?;
        // The one before the last ends a few at the beginning, the last one a task here and there.
        let most = match round {
            0 => &workers[WORKERS],
            round => &workers[round % WORKERS],
        };
        let few = usize::from(round % 10 == 5);
        end(engine, &workers[WORKERS + 1], few).await?;
        end(engine, most, tasks - few).await?;
        if first >= finished / 2 {
            middle = middle.or(ids.first().copied());
        }
    }
    for first in (0..waiting).step_by(AT_ONCE) {
        submit(engine, first, AT_ONCE.min(waiting - first)).await?;
    }
    middle.context("a scale at which there are some tasks")
}

async fn submit(engine: &Engine, first: usize, tasks: usize) -> anyhow::Result<Vec<TaskId>> {
    let task = |number: usize| -> anyhow::Result<NewTask> {
        let kind = match number {
            number if number.is_multiple_of(100_000) => "rare",
            number if number.is_multiple_of(10) => "resize",
            _ => "noop",
        };
        let queue = if number.is_multiple_of(20) {
            "images"
        } else {
            "default"
        };
        Ok(NewTask {
            id: engine.new_task(),
            lane: LaneKey {
                queue: Name::path(queue)?,
                kind: Name::path(kind)?,
                demands: Demands::default(),
            },
            priority: Priority::default(),
            begin: Begin::Now,
            input: Json::stored(format!("{{\"pad\":\"{}\"}}", "x".repeat(90))),
            max_attempts: Some(1),
            max_losses: None,
            timeout: None,
            retry: None,
            labels: Labels::new([("customer", (number % 1000).to_string())])?,
            is_exclusive: false,
            unique_key: None,
            retry_of: None,
            digest: None,
        })
    };
    let tasks = (first..first + tasks).map(task);
    let submit = Submit {
        tasks: tasks.collect::<anyhow::Result<_>>()?,
        once: None,
        again: false,
    };
    Ok(engine.submit(submit).await?.ids.to_vec())
}

/// One in fifty fails.
async fn end(engine: &Engine, worker: &Name, tasks: usize) -> anyhow::Result<()> {
    let mut left = tasks;
    while left > 0 {
        let claim = ClaimCall {
            worker: worker.clone(),
            epoch: None,
            limit: left,
            wait: Duration::from_secs(10),
            begin: true,
            seq: 0,
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
        let results = results.collect();
        let worker = None;
        engine.report(Report { worker, results }).await?;
    }
    Ok(())
}

fn reads(middle: TaskId) -> anyhow::Result<Vec<(&'static str, Query)>> {
    let at = |status: Status| Filter {
        statuses: vec![status],
        ..Filter::default()
    };
    let kind = |name: &str| Name::path(name).map(Some);
    let worker = |number: usize| Name::plain(&format!("worker-{number}")).map(Some);
    let filters = [
        ("W9-list", Filter::default()),
        ("W9-list-status", at(Status::Pending)),
        ("W9-list-completed", at(Status::Completed)),
        ("W9-list-failed", at(Status::Failed)),
        (
            "W9-list-queue",
            Filter {
                queue: kind("images")?,
                ..Filter::default()
            },
        ),
        (
            "W9-list-kind",
            Filter {
                kind: kind("resize")?,
                ..Filter::default()
            },
        ),
        (
            "W9-list-rare-kind",
            Filter {
                kind: kind("rare")?,
                ..Filter::default()
            },
        ),
        (
            "W9-list-status-queue",
            Filter {
                queue: kind("images")?,
                ..at(Status::Failed)
            },
        ),
        (
            "W9-list-status-kind",
            Filter {
                kind: kind("resize")?,
                ..at(Status::Pending)
            },
        ),
        (
            "W9-list-worker",
            Filter {
                worker: worker(1)?,
                ..Filter::default()
            },
        ),
        (
            "W9-list-worker-long-ago",
            Filter {
                worker: worker(WORKERS)?,
                ..Filter::default()
            },
        ),
        (
            "W9-list-worker-rare",
            Filter {
                worker: worker(WORKERS + 1)?,
                ..Filter::default()
            },
        ),
        (
            "W9-list-worker-failed",
            Filter {
                worker: worker(1)?,
                ..at(Status::Failed)
            },
        ),
        (
            "W9-list-before",
            Filter {
                created_before: Some(middle.made_at()),
                ..Filter::default()
            },
        ),
        (
            "W9-list-id",
            Filter {
                search: Some(Search::read(&middle.to_string())?),
                ..Filter::default()
            },
        ),
        (
            "W9-list-words",
            Filter {
                search: Some(Search::read("noop nowhere")?),
                ..Filter::default()
            },
        ),
    ];
    let lists = filters.map(|(workload, filter)| {
        let list = List {
            filter,
            limit: LIMIT,
            ..List::default()
        };
        (workload, Query::Tasks(list))
    });
    let mut reads = Vec::from(lists);
    reads.push(("W9-task", Query::Task(middle)));
    reads.push(("W9-stats", Query::Counts));
    Ok(reads)
}

/// The slowest of a hundred.
async fn pages(
    engine: &Engine,
    workload: &'static str,
    query: &Query,
    settings: &Value,
) -> anyhow::Result<Figure> {
    let (mut times, mut found) = (Vec::with_capacity(READS), 0);
    for _ in 0..READS {
        let begun = Instant::now();
        let answer = engine.read(query.clone()).await?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        found = match answer {
            Answer::Tasks(listed) => listed.items.len(),
            _ => 1,
        };
    }
    times.sort_unstable_by(f64::total_cmp);
    let mut settings = settings.clone();
    settings["found"] = json!(found);
    settings["p50_ms"] = json!(times[READS / 2]);
    Ok(Figure {
        workload,
        value: times[READS * 99 / 100],
        unit: "ms (p99)",
        settings,
    })
}

/// How many tasks of those that wait a bulk act cancels in a second.
async fn cancelled(engine: &Engine, waiting: usize, mut settings: Value) -> anyhow::Result<Figure> {
    let filter = Filter {
        statuses: vec![Status::Pending],
        ..Filter::default()
    };
    let begun = Instant::now();
    let operate = Operate {
        id: engine.new_operation(),
        act: Act::Cancel,
        filter: Arc::new(filter),
        once: None,
    };
    let begun_operation = engine.operate(operate).await?;
    while operations::run_once(engine).await? {}
    let took = begun.elapsed();
    let ended = engine.operation(begun_operation.id).await?;
    anyhow::ensure!(
        !ended.is_running() && ended.done == i64::try_from(waiting)?,
        "{ended:?}"
    );
    settings["seconds"] = json!(took.as_secs_f64());
    Ok(Figure {
        workload: "W9-cancel",
        value: waiting as f64 / took.as_secs_f64(),
        unit: "tasks/s",
        settings,
    })
}
