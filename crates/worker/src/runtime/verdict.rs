//! From how a run finished to what is reported of it.

use std::time::Duration;

use serde_json::value::RawValue;
use taskyard_api::report::{RunResult, Said};
use taskyard_api::task::TaskError;
use taskyard_api::time::Time;
use taskyard_core::id::TaskId;

use super::settings::Summary;
use crate::executor::{Failure, Finish, Stop};

/// The longest code that servers take, in characters, none of which may be a control character.
const CODE_CHARS_MAX: usize = 64;

/// The longest message that is sent, in bytes; the rest is cut off.
const MESSAGE_BYTES_MAX: usize = 16 << 10;

/// What is left of one that does not fit, in bytes. As JSON each may become six, and servers take a body of 8 KiB at
/// least (`--body-max`).
const REDUCED_MESSAGE_BYTES: usize = 1 << 10;

/// A lease as a result names it.
pub(super) struct Leased {
    pub(super) task: TaskId,
    pub(super) lease_token: String,
    pub(super) kind: String,
    pub(super) attempt: u32,
    pub(super) started_at: Time,
    pub(super) timeout: Duration,
}

impl Leased {
    /// What is to be said of the run. A run that did not complete is worth a line of the log.
    pub(super) fn result(self, finish: Finish) -> RunResult {
        match finish {
            Finish::Completed(output) => {
                let is_null = output.get() == "null";
                RunResult {
                    output: (!is_null).then_some(output),
                    ..self.said(Said::Completed)
                }
            }
            Finish::Failed(failure) => self.failed(failure),
            Finish::NotBegun { why } => {
                // That the worker is in trouble is said aloud once, elsewhere.
                tracing::debug!(
                    task.id = %self.task, kind = self.kind, attempt = self.attempt, "a run did not begin and is handed back: {why}"
                );
                self.said(Said::Released)
            }
            Finish::Stopped { why, detail } => self.stopped(why, detail),
        }
    }

    /// A lease handed back with nothing done.
    pub(super) fn released(task: TaskId, lease_token: String) -> RunResult {
        RunResult::new(task, lease_token, Said::Released)
    }

    fn failed(self, failure: Failure) -> RunResult {
        let Failure {
            code,
            message,
            detail,
            retry,
        } = failure;
        tracing::warn!(
            task.id = %self.task, kind = self.kind, attempt = self.attempt, code = %code, retry, "a run failed: {message}"
        );
        RunResult {
            error: Some(error(&code, message, detail)),
            retry: (!retry).then_some(false),
            ..self.said(Said::Failed)
        }
    }

    fn stopped(self, why: Stop, detail: Option<Box<RawValue>>) -> RunResult {
        match why {
            Stop::TimedOut => {
                tracing::warn!(task.id = %self.task, kind = self.kind, attempt = self.attempt, "a run timed out");
                let message = format!("the run took longer than {:?}", self.timeout);
                RunResult {
                    error: Some(error("timeout", message, detail)),
                    ..self.said(Said::TimedOut)
                }
            }
            Stop::ShuttingDown => {
                tracing::info!(
                    task.id = %self.task, kind = self.kind, attempt = self.attempt, "a run was ended and handed back"
                );
                self.said(Said::Released)
            }
            // A run of which this is true is not reported; an executor that says so of another has to be tried again.
            Stop::Cancelled | Stop::LeaseLost => {
                let failure = Failure::passing("stopped", "the executor stopped of its own accord");
                self.failed(Failure { detail, ..failure })
            }
        }
    }

    fn said(self, outcome: Said) -> RunResult {
        RunResult {
            started_at: Some(self.started_at),
            ..RunResult::new(self.task, self.lease_token, outcome)
        }
    }
}

impl Summary {
    pub(super) fn count(&mut self, said: Said) {
        match said {
            Said::Completed => self.completed += 1,
            Said::Failed => self.failed += 1,
            Said::TimedOut => self.timed_out += 1,
            Said::Snoozed | Said::Released => self.released += 1,
        }
    }
}

fn error(code: &str, mut message: String, detail: Option<Box<RawValue>>) -> TaskError {
    shorten(&mut message, MESSAGE_BYTES_MAX);
    let code = code.chars().filter(|char| !char.is_control());
    let code: String = code.take(CODE_CHARS_MAX).collect();
    TaskError {
        // An empty one would be refused.
        code: if code.is_empty() {
            "failed".to_owned()
        } else {
            code
        },
        message,
        detail,
    }
}

fn shorten(message: &mut String, max: usize) {
    message.truncate(message.floor_char_boundary(max));
}

/// Leaves out of a result what the server did not take, so that what is left says so: the output; or the detail of an
/// error, then what is long of its message. False if there is nothing to leave out.
pub(super) fn reduce(result: &mut RunResult, too_large: bool, why: &str) -> bool {
    if let Some(error) = &mut result.error {
        let is_long = error.message.len() > REDUCED_MESSAGE_BYTES;
        let leaves_out = error.detail.take().is_some();
        if !leaves_out && is_long {
            shorten(&mut error.message, REDUCED_MESSAGE_BYTES);
        }
        return leaves_out || is_long;
    }
    if result.output.take().is_none() {
        return false;
    }
    let (code, what) = if too_large {
        (
            "output_too_large",
            "the output is longer than the server takes",
        )
    } else {
        ("invalid_output", "the server does not take the output")
    };
    result.outcome = Said::Failed;
    result.error = Some(error(code, format!("{what}: {why}"), None));
    // The same run gives the same output.
    result.retry = Some(false);
    true
}
