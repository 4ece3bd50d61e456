//! What an executor is: the part of a worker that runs the tasks of one kind.
//!
//! An executor takes one [`Run`] to its [`Finish`] and knows nothing else: no leases, no server, no time limit of its
//! own. Whoever claimed the task watches the clock and the lease, and says through the [`StopSignal`] when the run has
//! to end and why.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use async_trait::async_trait;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use taskyard_api::logs::Stream;
use taskyard_core::id::TaskId;
use tokio::sync::watch;

/// Runs the tasks of one kind, many at once. What implements it bears the attribute [`macro@async_trait`].
#[async_trait]
pub trait Executor: Send + Sync {
    fn kind(&self) -> &str;

    /// Whether its runs neither wait nor compute for long, a few microseconds at most: then they are done where they
    /// are taken in, which saves more than such a run costs. Default no.
    fn is_instant(&self) -> bool {
        false
    }

    /// For how long a run of it only holds its task before it begins, as others see it. Default not at all.
    fn begins_after(&self) -> Duration {
        Duration::ZERO
    }

    /// Runs one task to its end. When `context.stop` fires, the run ends what it started and returns
    /// [`Finish::Stopped`], or whatever else it came to in the meantime. A future that is dropped instead has to
    /// leave nothing running either.
    async fn run(&self, run: Run, context: Context) -> Finish;
}

/// One run of one task, as it was claimed.
#[derive(Clone, Debug)]
pub struct Run {
    pub task: TaskId,
    /// The worker that runs it.
    pub worker: Arc<str>,
    /// Which run of the task this is, counted from 1.
    pub attempt: u32,
    /// How long the run may take. For information: its end arrives as [`Stop::TimedOut`].
    pub timeout: Option<Duration>,
    /// How long it may take to end once its time is up. Then it is dropped, and with it what it has to show.
    pub overdue_within: Duration,
    pub input: Box<RawValue>,
    /// What an earlier run saved last.
    pub checkpoint: Option<Box<RawValue>>,
}

/// What a run may use while it lasts.
#[derive(Clone)]
pub struct Context {
    pub reports: Arc<dyn Reports>,
    pub stop: StopSignal,
}

/// Where a run leaves word of itself. No call waits.
pub trait Reports: Send + Sync {
    /// How far the run is, from 0 to 1. Of several only the last may be sent.
    fn progress(&self, fraction: f64, message: Option<&str>);

    /// What the next run should start from if this one is lost or fails. Of several only the last may be sent.
    fn checkpoint(&self, state: Box<RawValue>);

    /// A line of the task's log, or several with line breaks between. They are sent in order, and all of them as far as
    /// the worker has room to keep them until they are, and the server keeps as many.
    fn log(&self, stream: Stream, line: &str);
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum Finish {
    Completed(Box<RawValue>),
    Failed(Failure),
    /// It has not begun, for a reason that is this worker's own and none of the task's: another worker may do better.
    NotBegun {
        why: String,
    },
    /// The run heeded the signal. `detail` is what there is to show of it, such as the output so far.
    Stopped {
        why: Stop,
        detail: Option<Box<RawValue>>,
    },
}

impl Finish {
    /// Completed with this value. One that JSON does not know, such as a map with keys that are no texts, is a failure that
    /// another run would meet again.
    pub fn completed(output: &impl Serialize) -> Self {
        match to_raw_value(output) {
            Ok(output) => Self::Completed(output),
            Err(error) => {
                let what = format!("the output cannot be written as JSON: {error}");
                Self::Failed(Failure::lasting("invalid_output", what))
            }
        }
    }
}

/// Why a run failed, for the person who submitted the task.
#[derive(Clone, Debug)]
pub struct Failure {
    /// A stable word for programs.
    pub code: Cow<'static, str>,
    pub message: String,
    pub detail: Option<Box<RawValue>>,
    /// Whether another run may fare better. Wrong input fails the same way every time.
    pub retry: bool,
}

impl Failure {
    /// A failure that another run would meet again.
    pub fn lasting(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: Cow::Borrowed(code),
            message: message.into(),
            detail: None,
            retry: false,
        }
    }

    /// A failure that may have passed by the next run.
    pub fn passing(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            retry: true,
            ..Self::lasting(code, message)
        }
    }

    pub fn with_detail(self, detail: Box<RawValue>) -> Self {
        Self {
            detail: Some(detail),
            ..self
        }
    }
}

/// Why a run has to end before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Cancelled,
    TimedOut,
    /// Another worker may be running the task already, so there is no time for an orderly end.
    LeaseLost,
    /// The worker is leaving; another one will run the task.
    ShuttingDown,
}

/// The side of a stop signal that fires it.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Option<Stop>>);

/// The side of a stop signal that a run listens to.
#[derive(Clone, Debug)]
pub struct StopSignal(watch::Receiver<Option<Stop>>);

/// A signal that has not been fired. Dropping the [`Stopper`] fires nothing.
pub fn stop_signal() -> (Stopper, StopSignal) {
    let (sender, receiver) = watch::channel(None);
    (Stopper(sender), StopSignal(receiver))
}

impl Stopper {
    /// Ends the run. The first reason stands; later ones change nothing.
    pub fn stop(&self, why: Stop) {
        self.0.send_if_modified(|reason| {
            let first = reason.is_none();
            reason.get_or_insert(why);
            first
        });
    }
}

impl StopSignal {
    pub fn reason(&self) -> Option<Stop> {
        *self.0.borrow()
    }

    /// Waits until the run has to end; at once if it already has to.
    pub async fn stopped(&self) -> Stop {
        let mut reason = self.0.clone();
        if let Ok(reason) = reason.wait_for(Option::is_some).await
            && let Some(why) = *reason
        {
            return why;
        }
        // The other side is gone and never fired.
        std::future::pending().await
    }
}

/// The executors of a worker, by kind.
#[derive(Clone, Default)]
pub struct Executors(BTreeMap<String, Arc<dyn Executor>>);

impl Executors {
    /// These and one more, in place of any other of its kind.
    pub fn with(mut self, executor: impl Executor + 'static) -> Self {
        self.0
            .insert(executor.kind().to_owned(), Arc::new(executor));
        self
    }

    pub fn get(&self, kind: &str) -> Option<Arc<dyn Executor>> {
        self.0.get(kind).cloned()
    }

    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Only those of these kinds; a kind that is not there is not added.
    pub fn only(mut self, kinds: &[String]) -> Self {
        self.0.retain(|kind, _| kinds.contains(kind));
        self
    }
}
