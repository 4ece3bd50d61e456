//! The runs that a worker has in hand: begun as they come, found again by their task, ended when they have to.

use std::collections::{HashMap, HashSet};
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
use tokio::time::Instant;

use super::beat::Named;
use super::inability::Inability;
use super::limits::Limits;
use super::logging::Logger;
use super::moment::Moment;
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
    /// Those among them that must not go on unless they are confirmed in time, and some that are over.
    exclusive: HashSet<TaskId>,
    /// Every run that goes on, also those that were told to end and are of no interest any more.
    runs: JoinSet<Ended>,
    last: u64,
    began: mpsc::Sender<Began>,
    news: Arc<Notify>,
    limits: watch::Receiver<Limits>,
    logger: Logger,
    inability: Inability,
}

/// One run that goes on.
pub(super) struct Hand {
    /// Tells runs of one task apart.
    pub(super) number: u64,
    pub(super) leased: Leased,
    /// The server knows that it began.
    pub(super) told: bool,
    /// It counts as begun from then on.
    begins: Instant,
    /// The lease was the worker's then, as it found out later.
    confirmed: Moment,
    /// For so long it may go on from there.
    confirmed_for: Duration,
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
        let has_begun = self.begins <= Instant::now();
        let Leased {
            task, lease_token, ..
        } = &self.leased;
        Named::new(self.number, *task, lease_token, has_begun)
    }

    /// By an answer to what was sent then, of a lease that lasts so long.
    pub(super) fn confirm(&mut self, sent: Option<Moment>, within: Duration) {
        if let Some(sent) = sent {
            self.confirmed = sent;
            self.confirmed_for = within;
        }
    }

    fn is_unconfirmed(&self) -> bool {
        self.confirmed.elapsed() >= self.confirmed_for
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
            exclusive: HashSet::new(),
            runs: JoinSet::new(),
            last: 0,
            began,
            news,
            limits,
            logger,
            inability: Inability::default(),
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

    /// Begins a run whose lease is not older than `asked`, and answers its result if it has one at once.
    pub(super) fn begin(
        &mut self,
        run: worker::Run,
        started_at: Time,
        asked: Moment,
    ) -> Option<RunResult> {
        let is_exclusive = run.exclusive;
        let timeout = Duration::from_millis(run.timeout_ms);
        let mut leased = Leased {
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
        let begins_after = executor.begins_after();
        leased.started_at = Time(leased.started_at.0 + begins_after);
        let begins = Instant::now() + begins_after;
        let limits = *self.limits.borrow();
        let overdue_within = limits.timed_out_within.min(self.stop_within);
        let lost_within = limits.lost_within.min(self.stop_within);
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
        let notes = Arc::new(Notes::new(
            Arc::clone(&self.news),
            self.limits.clone(),
            self.logger.log(),
        ));
        let context = Context {
            reports: Arc::clone(&notes) as _,
            stop: signal.clone(),
        };
        let is_instant = executor.is_instant();
        let mut running: BoxFuture<'static, Finish> =
            Box::pin(supervise::caught(executor, run, context));
        if is_instant && let Some(finish) = (&mut running).now_or_never() {
            if notes.log.is_empty() {
                self.inability
                    .hear(&leased.kind, self.last + 1, self.last, &finish);
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
            lost_within,
            announce: self.announce(&leased, begins_after),
        };
        let (task, number) = (leased.task, self.last);
        let logging = self.logger.logging(&leased, Arc::clone(&notes));
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
            begins,
            confirmed: asked,
            confirmed_for: self.limits.borrow().unconfirmed_within,
            notes,
            stopper,
        };
        self.live.insert(task, hand);
        if is_exclusive {
            self.exclusive.insert(task);
        }
        None
    }

    /// Until when the worker does not try again to begin what it could not.
    pub(super) fn unable_until(&self) -> Option<Instant> {
        self.inability.until()
    }

    /// Whether some run must not go on unless it is confirmed in time.
    pub(super) fn has_exclusive(&self) -> bool {
        !self.exclusive.is_empty()
    }

    /// Ends those of them that were not confirmed in time, and answers how many.
    pub(super) fn end_unconfirmed(&mut self) -> usize {
        let live = &self.live;
        self.exclusive.retain(|task| live.contains_key(task));
        let exclusive = self.exclusive.iter().copied();
        let late: Vec<TaskId> = exclusive
            .filter(|task| self.live[task].is_unconfirmed())
            .collect();
        for task in &late {
            self.drop_run(*task, Stop::LeaseLost);
        }
        late.len()
    }

    fn announce(&self, leased: &Leased, begins_after: Duration) -> Announce {
        Announce {
            after: begins_after,
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
        let kind = &hand.leased.kind;
        self.inability
            .hear(kind, hand.number, self.last, &ended.finish);
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
