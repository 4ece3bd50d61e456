//! One run from its start to its finish, whatever its executor does: it panics, it takes too long, it does not heed.

use std::any::Any;
use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use taskyard_api::logs::Stream;
use taskyard_api::run::Start;
use taskyard_core::id::TaskId;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::executor::{Context, Executor, Failure, Finish, Run, Stop, StopSignal, Stopper};

/// A run that lasts longer is worth a call to say that it began.
const ANNOUNCED_AFTER: Duration = Duration::from_millis(100);

/// What a run's task needs besides the run.
pub(super) struct Watch {
    pub(super) stopper: Arc<Stopper>,
    pub(super) signal: StopSignal,
    pub(super) timeout: Duration,
    /// How long it may take to end once it was told to; less where its time is up or its lease is lost.
    pub(super) stop_within: Duration,
    pub(super) overdue_within: Duration,
    pub(super) lost_within: Duration,
    pub(super) announce: Announce,
}

/// Says to the runtime that a run lasts.
pub(super) struct Announce {
    /// It only holds its task for so long.
    pub(super) after: Duration,
    pub(super) began: mpsc::Sender<Began>,
    pub(super) word: Began,
}

/// A run that has lasted long enough to be told of.
pub(super) struct Began {
    pub(super) task: TaskId,
    pub(super) number: u64,
    pub(super) start: Start,
}

/// The run's future, with a panic as a failure like others, and with a word in the task's log where it did not begin.
pub(super) fn caught(
    executor: Arc<dyn Executor>,
    run: Run,
    context: Context,
) -> impl Future<Output = Finish> + Send {
    let reports = Arc::clone(&context.reports);
    let running = async move {
        let finish = executor.run(run, context).await;
        if let Finish::NotBegun { why } = &finish {
            let line = format!("the worker hands the task back, for a reason of its own: {why}");
            reports.log(Stream::Worker, &line);
        }
        finish
    };
    AssertUnwindSafe(running)
        .catch_unwind()
        .map(|end| end.unwrap_or_else(|panic| Finish::Failed(panicked(&*panic))))
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let said = panic
        .downcast_ref::<&'static str>()
        .map(|text| Cow::Borrowed(*text))
        .or_else(|| {
            panic
                .downcast_ref::<String>()
                .map(|text| text.clone().into())
        })
        .unwrap_or_else(|| "it did not say why".into());
    Failure::passing("panic", format!("the executor panicked: {said}"))
}

/// Sees a run through, and fires its stop signal when its time is up.
pub(super) async fn supervise(running: impl Future<Output = Finish>, watch: Watch) -> Finish {
    let Watch {
        stopper,
        signal,
        timeout,
        stop_within,
        overdue_within,
        lost_within,
        announce,
    } = watch;
    let time_out = async {
        sleep(timeout).await;
        stopper.stop(Stop::TimedOut);
    };
    let clock = async {
        tokio::join!(announce_in_time(announce), time_out);
        std::future::pending::<()>().await;
    };
    let patience = async {
        let why = signal.stopped().await;
        let within = match why {
            Stop::TimedOut => overdue_within,
            Stop::LeaseLost => lost_within,
            Stop::Cancelled | Stop::ShuttingDown => stop_within,
        };
        sleep(within).await;
        why
    };
    tokio::select! {
        biased;
        finish = running => finish,
        why = patience => Finish::Stopped { why, detail: None },
        () = clock => unreachable!("the clock never ends a run by itself"),
    }
}

async fn announce_in_time(Announce { after, began, word }: Announce) {
    sleep(after.max(ANNOUNCED_AFTER)).await;
    // Where there is no room, the next heartbeat tells of it.
    let _ = began.try_send(word);
}
