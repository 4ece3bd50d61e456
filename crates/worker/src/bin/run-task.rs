//! Runs one task with one executor, without a server and without a worker around it: `taskyard-run-task KIND INPUT`.
//!
//! For trying an executor by hand, and for tests that need a process they can kill. It allows every command and
//! variable, and prints how the run finished. Started with `__exec` it is a guardian, as `taskyard` is.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use taskyard_api::logs::Stream;
use taskyard_core::id::TaskId;
use taskyard_core::time::Timestamp;
use taskyard_worker::executor::{Context, Finish, Reports, Run, stop_signal};
use taskyard_worker::executors::{self, Settings, command};
use taskyard_worker::guardian;

/// What a run says of itself goes to standard error.
struct Printed;

impl Reports for Printed {
    fn progress(&self, fraction: f64, message: Option<&str>) {
        let _ = writeln!(
            io::stderr(),
            "progress {fraction} {}",
            message.unwrap_or_default()
        );
    }

    fn checkpoint(&self, state: Box<RawValue>) {
        let _ = writeln!(io::stderr(), "checkpoint {state}");
    }

    fn log(&self, stream: Stream, line: &str) {
        let _ = writeln!(io::stderr(), "{}: {line}", stream.as_str());
    }
}

fn main() -> ExitCode {
    if let Some(code) = guardian::take_over() {
        return code;
    }
    match run_task() {
        Ok(Finish::Completed(_)) => ExitCode::SUCCESS,
        Ok(Finish::Failed(_) | Finish::NotBegun { .. } | Finish::Stopped { .. }) => {
            ExitCode::FAILURE
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "taskyard-run-task: {error}");
            ExitCode::from(2)
        }
    }
}

#[tokio::main]
async fn run_task() -> io::Result<Finish> {
    let (Some(kind), Some(input)) = (std::env::args().nth(1), std::env::args().nth(2)) else {
        return Err(io::Error::other(
            "expected KIND and INPUT, such as: echo '\"hello\"'",
        ));
    };
    let settings = Settings {
        command: command::Settings {
            allow: command::Allow::Any,
            allow_env: "any".parse().unwrap_or_default(),
            ..command::Settings::default()
        },
        ..Settings::default()
    };
    let Some(executor) = executors::standard(settings).get(&kind) else {
        return Err(io::Error::other(format!("there is no executor for {kind}")));
    };

    let (_never, stop) = stop_signal();
    let task = TaskId::new(Timestamp::from_micros(0), u128::from(std::process::id()));
    let run = Run {
        task,
        worker: "run-task".into(),
        attempt: 1,
        timeout: None,
        overdue_within: Duration::from_secs(8),
        input: RawValue::from_string(input)?,
        checkpoint: None,
    };
    let finish = executor
        .run(
            run,
            Context {
                reports: Arc::new(Printed),
                stop,
            },
        )
        .await;
    match &finish {
        Finish::Completed(output) => writeln!(io::stdout(), "{output}")?,
        Finish::Failed(_) | Finish::NotBegun { .. } | Finish::Stopped { .. } => {
            writeln!(io::stdout(), "{finish:?}")?
        }
    }
    Ok(finish)
}
