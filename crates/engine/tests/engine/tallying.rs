//! What happened is written down each second, and what came of workers' runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use taskyard_core::command::Command;
use taskyard_core::minute::{Quantiles, What};
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::rows::Failure;
use taskyard_core::status::Status;
use taskyard_core::store::{self, Ran, Store};
use taskyard_core::verbs::report::{Report, RunResult, Word};
use taskyard_core::verbs::submit::{NewTask, Submit};
use taskyard_engine::engine::ClaimCall;
use taskyard_engine::error::Error;
use taskyard_engine::services::tally;
use taskyard_engine::upkeep::Upkeep;
use taskyard_store::model::Model;

use super::front::{Front, Fronted};
use super::upkeep::keep_up;
use super::yard::{Yard, claim_call, claimed, model, model_whose_time_passes, token};

const SECONDS: Duration = Duration::from_secs(2);

/// How often this was written down as having happened, over all minutes.
pub(super) async fn happened(yard: &Yard, what: What) -> i64 {
    let query = Query::Minutes { from: 0 };
    let found = yard.engine.read(query).await.unwrap().minutes();
    found.minutes.iter().map(|row| row.events.count(what)).sum()
}

/// It completes one task and fails another, which is tried again.
async fn work(yard: &Yard) {
    yard.worker("w", "work").await;
    yard.submit("work").await.unwrap();
    let run = yard.claim_one("w").await;
    yard.complete(&run).await.unwrap();
    yard.submit("work").await.unwrap();
    let run = yard.claim_one("w").await;
    let word = Word::Failed {
        error: Failure::new("boom", "it broke"),
        retry: true,
    };
    let results = vec![RunResult::new(token(&run), word, None)];
    let report = Report {
        worker: None,
        results: results.into(),
    };
    yard.engine.report(report).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_happened_is_written_down_each_second() {
    let yard = Yard::around(Arc::new(model_whose_time_passes()));
    let _services = keep_up(&yard, Upkeep::default()).await;
    work(&yard).await;

    tokio::time::sleep(SECONDS).await;

    for (what, times) in [
        (What::Submitted, 2),
        (What::Started, 2),
        (What::Completed, 1),
        (What::Retried, 1),
        (What::Failed, 0),
    ] {
        assert_eq!(happened(&yard, what).await, times, "{what:?}");
    }
    let row = yard.worker_row("w").await;
    assert_eq!((row.completed, row.failed), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_sent_again_gives_out_its_runs_once() {
    let yard = Yard::around(Arc::new(model_whose_time_passes()));
    let epoch = Some(yard.worker("w", "work").await);
    yard.submit("work").await.unwrap();
    let call = || ClaimCall {
        epoch,
        seq: 1,
        ..claim_call("w", Duration::ZERO)
    };
    let first = claimed(&yard.engine, call()).await;

    let again = claimed(&yard.engine, call()).await;

    assert_eq!(again.unwrap().runs, first.unwrap().runs);
    tally::run_once(&yard.engine).await.unwrap();
    assert_eq!(happened(&yard, What::Started).await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_stops_writes_down_what_it_has_gathered() {
    let store = Arc::new(model());
    let yard = Yard::around(store.clone());
    work(&yard).await;

    yard.stop.cancel();
    yard.engine.ended().await;

    assert_eq!(happened(&yard, What::Submitted).await, 2);
    assert_eq!(yard.worker_row("w").await.completed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_taken_away_counts_for_its_worker_only_if_it_took_too_long() {
    let store = Arc::new(model_whose_time_passes());
    let (here, there) = (Yard::around(store.clone()), Yard::around(store));
    for (worker, kind) in [("slow", "work"), ("gone", "other")] {
        here.worker(worker, kind).await;
        here.submit(kind).await.unwrap();
        let run = here.begin_one(worker).await;
        if worker == "slow" {
            for _ in 0..200 {
                tokio::time::sleep(Duration::from_secs(10)).await;
                here.heartbeat(worker, &run).await;
            }
        }
    }
    tokio::time::sleep(Duration::from_secs(35)).await;

    assert_eq!(there.sweep(false).await.expired, 2);
    tally::run_once(&there.engine).await.unwrap();

    assert_eq!(here.worker_row("slow").await.failed, 1);
    assert_eq!(here.worker_row("gone").await.failed, 0);
}

/// Only until it was given out for the first time has it waited.
#[tokio::test(start_paused = true)]
async fn a_task_that_comes_back_has_waited_once() {
    let yard = Yard::new();
    yard.worker("w", "work").await;
    yard.submit("work").await.unwrap();
    let run = yard.claim_one("w").await;
    let results = vec![RunResult::new(token(&run), Word::Released, None)];
    let report = Report {
        worker: None,
        results: results.into(),
    };
    yard.engine.report(report).await.unwrap();
    yard.claim_one("w").await;

    tally::run_once(&yard.engine).await.unwrap();

    assert_eq!(happened(&yard, What::Started).await, 2);
    let query = Query::Minutes { from: 0 };
    let found = yard.engine.read(query).await.unwrap().minutes();
    let mut waits = Quantiles::default();
    for row in &found.minutes {
        waits.add(&row.events.waits, 1.0);
    }
    assert!((waits.count() - 1.0).abs() < f64::EPSILON, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_because_it_was_lost_too_often_is_no_failure_of_its_worker() {
    let yard = Yard::around(Arc::new(model_whose_time_passes()));
    yard.worker("w", "work").await;
    let submit = Submit {
        tasks: vec![NewTask {
            max_losses: Some(1),
            ..yard.task("work")
        }],
        once: None,
        again: false,
    };
    let task = yard.engine.submit(submit).await.unwrap().ids[0];
    yard.begin_one("w").await;
    tokio::time::advance(Policy::default().heartbeat_ttl).await;
    assert_eq!(yard.sweep(false).await.expired, 1);

    tally::run_once(&yard.engine).await.unwrap();

    assert_eq!(yard.status(task).await, Status::Failed);
    assert_eq!(yard.worker_row("w").await.failed, 0);
}

/// A store that takes no tally for a while, and counts batches.
struct Away {
    model: Model,
    is_away: AtomicBool,
    batches: AtomicUsize,
}

#[async_trait]
impl Front for Away {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, store::Error> {
        self.batches.fetch_add(1, Ordering::SeqCst);
        let tallies = |command: &Command| matches!(command, Command::Tally(_));
        if self.is_away.load(Ordering::SeqCst) && batch.iter().any(tallies) {
            return Err(store::Error::Unavailable("it is away".into()));
        }
        self.model.run(batch, policy).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_written_down_is_later_and_nothing_is_while_nothing_happens() {
    let store = Arc::new(Fronted(Away {
        model: model(),
        is_away: AtomicBool::new(true),
        batches: AtomicUsize::new(0),
    }));
    let yard = Yard::around(store.clone());
    work(&yard).await;
    let failed = tally::run_once(&yard.engine).await;
    assert!(matches!(
        failed,
        Err(Error::Store(store::Error::Unavailable(_)))
    ));
    yard.submit("work").await.unwrap();
    store.0.is_away.store(false, Ordering::SeqCst);

    tally::run_once(&yard.engine).await.unwrap();

    assert_eq!(happened(&yard, What::Submitted).await, 3);
    assert_eq!(yard.worker_row("w").await.completed, 1);
    let batches = store.0.batches.load(Ordering::SeqCst);
    assert_eq!(tally::run_once(&yard.engine).await.unwrap(), 0);
    assert_eq!(store.0.batches.load(Ordering::SeqCst), batches);
}

/// A store in which a worker's name cannot be read.
struct Nameless(Model);

#[async_trait]
impl Front for Nameless {
    fn model(&self) -> &Model {
        &self.0
    }

    async fn read(&self, query: Query) -> Result<Answer, store::Error> {
        if matches!(query, Query::Named(_)) {
            return Err(store::Error::Unreadable("worker.name".to_owned()));
        }
        self.0.read(query).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_because_of_damage_is_not_tried_again_and_again() {
    let store = Arc::new(Fronted(Nameless(model_whose_time_passes())));
    let (here, there) = (Yard::around(store.clone()), Yard::around(store));
    here.worker("slow", "work").await;
    here.submit("work").await.unwrap();
    let run = here.begin_one("slow").await;
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        here.heartbeat("slow", &run).await;
    }
    assert_eq!(there.sweep(false).await.expired, 1);

    let failed = tally::run_once(&there.engine).await;

    assert!(matches!(
        failed,
        Err(Error::Store(store::Error::Unreadable(_)))
    ));
    assert_eq!(tally::run_once(&there.engine).await.unwrap(), 0);
}
