mod command;
mod command_ends;
mod command_logs;
mod command_refuses;
mod command_resists;
mod http;
mod http_refuses;
mod http_resists;
mod problem;
mod site;
mod small;
mod standing_in;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use taskyard_api::logs::Stream;
use taskyard_core::id::TaskId;
use taskyard_core::time::Timestamp;
use taskyard_worker::executor::{
    Context, Executor, Failure, Finish, Reports, Run, Stop, Stopper, stop_signal,
};
use taskyard_worker::executors::command::{Allow, Settings};
use taskyard_worker::guardian::Guardian;
use tempfile::TempDir;
use tokio::sync::Notify;

/// What a run said of itself.
#[derive(Default)]
struct Said {
    progress: Mutex<Vec<f64>>,
    lines: Mutex<Vec<(Stream, String)>>,
    heard: Notify,
}

impl Reports for Said {
    fn progress(&self, fraction: f64, _: Option<&str>) {
        self.progress.lock().push(fraction);
    }

    fn checkpoint(&self, _: Box<RawValue>) {}

    fn log(&self, stream: Stream, line: &str) {
        let lines = line.split('\n').map(|line| (stream, line.to_owned()));
        self.lines.lock().extend(lines);
        self.heard.notify_one();
    }
}

impl Said {
    /// The lines of one stream.
    fn of(&self, stream: Stream) -> Vec<String> {
        let lines = self.lines.lock();
        let lines = lines.iter().filter(|(of, _)| *of == stream);
        lines.map(|(_, line)| line.clone()).collect()
    }

    /// Waits until what was said is so.
    async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            self.heard.notified().await;
        }
    }
}

fn run_of(input: &Value) -> Run {
    Run {
        task: TaskId::new(Timestamp::from_micros(1_700_000_000_000_000), 7),
        worker: "tester".into(),
        attempt: 3,
        timeout: None,
        overdue_within: Duration::from_secs(8),
        input: to_raw_value(input).unwrap(),
        checkpoint: None,
    }
}

fn context() -> (Stopper, Context) {
    listened_to(&Arc::default())
}

/// The same, and what the run says of itself.
fn listened_to(said: &Arc<Said>) -> (Stopper, Context) {
    let (stopper, stop) = stop_signal();
    let reports = Arc::clone(said) as _;
    (stopper, Context { reports, stop })
}

/// Runs undisturbed to the end.
async fn finish(executor: &impl Executor, input: &Value) -> Finish {
    let (_stopper, context) = context();
    executor.run(run_of(input), context).await
}

async fn completed(executor: &impl Executor, input: &Value) -> Value {
    match finish(executor, input).await {
        Finish::Completed(output) => serde_json::from_str(output.get()).unwrap(),
        other => panic!("not completed: {other:?}"),
    }
}

async fn failed(executor: &impl Executor, input: &Value) -> Failure {
    match finish(executor, input).await {
        Finish::Failed(failure) => failure,
        other => panic!("not failed: {other:?}"),
    }
}

/// The input is wrong for good, and told so in these words.
async fn is_wrong(executor: &impl Executor, input: &Value, said: &[&str]) {
    let failure = failed(executor, input).await;

    let input: String = input.to_string().chars().take(100).collect();
    let known_by = (failure.code.as_ref(), failure.retry);
    assert_eq!(known_by, ("invalid_input", false), "{input}");
    for said in said {
        let message = &failure.message;
        assert!(message.contains(said), "{input}: {message}");
    }
}

fn stopped(finish: Finish) -> (Stop, Option<Value>) {
    match finish {
        Finish::Stopped { why, detail } => (
            why,
            detail.map(|detail| serde_json::from_str(detail.get()).unwrap()),
        ),
        other => panic!("not stopped: {other:?}"),
    }
}

/// What a run that was not completed has to show.
fn detail(failure: &Failure) -> Value {
    serde_json::from_str(
        failure
            .detail
            .as_ref()
            .expect("the failure has a detail")
            .get(),
    )
    .unwrap()
}

/// Commands of any kind, whose work directories are in a directory of the test's own.
struct Workshop {
    root: TempDir,
}

impl Workshop {
    fn new() -> Self {
        Self {
            root: TempDir::new().unwrap(),
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            allow: Allow::Any,
            grace: Duration::from_secs(60),
            work_root: self.root.path().to_owned(),
            guardian: Guardian {
                program: PathBuf::from(env!("CARGO_BIN_EXE_taskyard-run-task")),
                ..Guardian::default()
            },
            ..Settings::default()
        }
    }

    fn is_empty(&self) -> bool {
        self.root.path().read_dir().unwrap().next().is_none()
    }
}
