//! The runs that a worker has in hand: begun as they come, found again by their task, ended when they have to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use taskyard_api::report::RunResult;
use taskyard_api::run::Start;
use taskyard_api::time::Time;
use taskyard_api::worker;
use taskyard_core::id::TaskId;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use super::beat::Named;
use super::limits::Limits;
use super::logging::Logger;
use super::notes::Notes;
use super::supervise::{self, Announce, Began, Watch};
use super::verdict::Leased;
use crate::executor::{Context, Executors, Failure, Finish, Run, Stop, Stopper, stop_signal};

/// How many runs may wait to be told of as begun; the heartbeat tells of those beyond.
const BEGAN_MAX: usize = 1024;

pub(super) struct Hands {
    worker: Arc<str>,
    executors: Executors,
    stop_within: Duration,
    /// By task: those whose lease is ours as far as we know.
    live: HashMap<TaskId, Hand>,
    /// Every run that goes on, also those that were told to end and are of no interest any more.
    runs: JoinSet<Ended>,
    last: u64,
    began: mpsc::Sender<Began>,
    news: Arc<Notify>,
    limits: watch::Receiver<Limits>,
    logger: Logger,
}

/// One run that goes on.
pub(super) struct Hand {
    /// Tells runs of one task apart.
    pub(super) number: u64,
    pub(super) leased: Leased,
    /// The server knows that it began.
    pub(super) told: bool,
    pub(super) notes: Arc<Notes>,
    stopper: Arc<Stopper>,
}

/// A run that has come to its end.
pub(super) struct Ended {
    task: TaskId,
    number: u64,
    finish: Finish,
}

/// What its hand left behind: the result, and the notes with what may still be unsaid.
pub(super) struct Finished {
    pub(super) number: u64,
    pub(super) result: RunResult,
    pub(super) notes: Arc<Notes>,
}

impl Hand {
    /// As a heartbeat names it.
    pub(super) fn named(&self) -> Named {
        Named::new(self.number, self.leased.task, &self.leased.lease_token)
    }
}

impl Hands {
    pub(super) fn new(
        worker: Arc<str>,
        executors: Executors,
        stop_within: Duration,
        news: Arc<Notify>,
        limits: watch::Receiver<Limits>,
        logger: Logger,
    ) -> (Self, mpsc::Receiver<Began>) {
        let (began, told) = mpsc::channel(BEGAN_MAX);
        let hands = Self {
            worker,
            executors,
            stop_within,
            live: HashMap::new(),
            runs: JoinSet::new(),
            last: 0,
            began,
            news,
            limits,
            logger,
        };
        (hands, told)
    }

    /// How many runs go on, with those that are on their way out.
    pub(super) fn count(&self) -> usize {
        self.runs.len()
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &Hand> {
        self.live.values()
    }

    /// The hand that holds this very run.
    pub(super) fn get(&mut self, task: TaskId, number: u64) -> Option<&mut Hand> {
        self.live
            .get_mut(&task)
            .filter(|hand| hand.number == number)
    }

    /// Begins a run, and answers its result if it has one at once.
    pub(super) fn begin(&mut self, run: worker::Run, started_at: Time) -> Option<RunResult> {
        let timeout = Duration::from_millis(run.timeout_ms);
        let leased = Leased {
            task: run.id,
            lease_token: run.lease_token,
            kind: run.kind,
            attempt: run.attempt,
            started_at,
            timeout,
        };
        let Some(executor) = self.executors.get(&leased.kind) else {
            let message = format!("this worker has no executor for kind {}", leased.kind);
            let failure = Failure::passing("no_executor", message);
            return Some(leased.result(Finish::Failed(failure)));
        };
        let overdue_within = self.limits.borrow().timed_out_within.min(self.stop_within);
        let run = Run {
            task: leased.task,
            worker: Arc::clone(&self.worker),
            attempt: leased.attempt,
            timeout: Some(timeout),
            overdue_within,
            input: run.input,
            checkpoint: run.checkpoint,
        };
        let (stopper, signal) = stop_signal();
        let log = self.logger.log();
        let notes = Arc::new(Notes::new(
            Arc::clone(&self.news),
            self.limits.clone(),
            Arc::clone(&log),
        ));
        let context = Context {
            reports: Arc::clone(&notes) as _,
            stop: signal.clone(),
        };
        let is_instant = executor.is_instant();
        let mut running: BoxFuture<'static, Finish> =
            Box::pin(supervise::caught(executor, run, context));
        if is_instant && let Some(finish) = (&mut running).now_or_never() {
            if log.is_empty() {
                return Some(leased.result(finish));
            }
            running = Box::pin(std::future::ready(finish));
        }

        self.last += 1;
        let stopper = Arc::new(stopper);
        let watch = Watch {
            stopper: Arc::clone(&stopper),
            signal: signal.clone(),
            timeout,
            stop_within: self.stop_within,
            overdue_within,
            announce: self.announce(&leased),
        };
        let (task, number) = (leased.task, self.last);
        let logging = self.logger.logging(&leased, log);
        self.runs.spawn(async move {
            let running = supervise::supervise(running, watch);
            let finish = logging.beside(running, &signal, overdue_within).await;
            Ended {
                task,
                number,
                finish,
            }
        });
        let hand = Hand {
            number,
            leased,
            told: false,
            notes,
            stopper,
        };
        self.live.insert(task, hand);
        None
    }

    fn announce(&self, leased: &Leased) -> Announce {
        Announce {
            began: self.began.clone(),
            word: Began {
                task: leased.task,
                number: self.last,
                start: Start {
                    lease_token: leased.lease_token.clone(),
                    started_at: Some(leased.started_at),
                },
            },
        }
    }

    /// Waits for a run to come to its end; forever while there is none.
    pub(super) async fn next_ended(&mut self) -> Ended {
        loop {
            match self.runs.join_next().await {
                Some(Ok(ended)) => return ended,
                // Panics are caught within, so this one was aborted, which nobody does while the worker lives.
                Some(Err(error)) => tracing::error!(%error, "a run's task was lost"),
                None => std::future::pending().await,
            }
        }
    }

    /// Another run that has ended already.
    pub(super) fn another_ended(&mut self) -> Option<Ended> {
        self.runs.try_join_next().and_then(Result::ok)
    }

    /// What is to be said of an ended run; nothing if its lease is not ours any more.
    pub(super) fn close(&mut self, ended: Ended) -> Option<Finished> {
        self.get(ended.task, ended.number)?;
        let hand = self.live.remove(&ended.task)?;
        Some(Finished {
            number: hand.number,
            result: hand.leased.result(ended.finish),
            notes: hand.notes,
        })
    }

    /// Ends a run of which nothing is to be said any more. Answers whether there was one.
    pub(super) fn drop_run(&mut self, task: TaskId, why: Stop) -> bool {
        let Some(hand) = self.live.remove(&task) else {
            return false;
        };
        let Leased { kind, attempt, .. } = &hand.leased;
        tracing::info!(task.id = %task, kind, attempt, ?why, "a run is ended and not reported");
        hand.stopper.stop(why);
        true
    }

    /// Tells every run to end; what becomes of it is reported.
    pub(super) fn stop_all(&self, why: Stop) {
        for hand in self.live.values() {
            hand.stopper.stop(why);
        }
    }

    /// Ends every run with nothing to be said of it, and waits until they have.
    pub(super) async fn end_all(&mut self, why: Stop) {
        self.stop_all(why);
        self.live.clear();
        while self.runs.join_next().await.is_some() {}
    }
}
