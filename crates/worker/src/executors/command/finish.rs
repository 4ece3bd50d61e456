//! From what the guardian reports to how the run finished.

use std::fmt::Display;

use nix::sys::signal::Signal;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::guarded::{Outcome, Output};
use crate::executor::{Failure, Finish};
use crate::guardian::protocol::{Ended, Report};

/// How much of the last line of standard error a message repeats.
const HINT_CHARS_MAX: usize = 200;

/// What there is to show of a command: the output of one that succeeded, the detail of any other.
#[derive(Serialize)]
struct Shown {
    /// Null when a signal killed the command.
    exit_code: Option<i32>,
    /// The name of that signal.
    signal: Option<String>,
    stdout: String,
    stderr: String,
    /// All that was printed, also what is left out above.
    stdout_bytes: u64,
    stderr_bytes: u64,
    truncated: bool,
    /// Time on a processor, of the command and its descendants.
    cpu_ms: u64,
    /// The most memory that one of these processes had at a time.
    rss_bytes_max: u64,
}

/// The worker's trouble, not the task's.
pub(super) fn not_begun(reason: &impl Display) -> Finish {
    Finish::NotBegun {
        why: format!("the command could not be started: {reason}"),
    }
}

pub(super) fn finish(program: &str, outcome: Outcome) -> Finish {
    let Outcome {
        report,
        stopped,
        output,
    } = outcome;
    let ended = match report {
        Some(Report::Ended(ended)) => Some(ended),
        Some(Report::NotStarted { message }) => {
            return Finish::Failed(Failure::lasting(
                "not_started",
                format!("`{program}` cannot be started: {message}"),
            ));
        }
        Some(Report::NotBegun { message }) => return not_begun(&message),
        None => None,
    };

    let detail = ended.as_ref().and_then(|ended| show(ended, &output));
    match (stopped, ended, detail) {
        (Some(why), _, detail) => Finish::Stopped { why, detail },
        (
            None,
            Some(Ended {
                exit_code: Some(0), ..
            }),
            Some(detail),
        ) => Finish::Completed(detail),
        (None, Some(ended), detail) => Finish::Failed(Failure {
            detail,
            ..failure(program, &ended, &output)
        }),
        (None, None, _) => Finish::Failed(Failure::passing(
            "guardian_lost",
            format!(
                "the process that guards `{program}` was killed, so how it would have ended is not known"
            ),
        )),
    }
}

fn show(ended: &Ended, output: &Output) -> Option<Box<RawValue>> {
    let shown = Shown {
        exit_code: ended.exit_code,
        signal: ended.signal.map(signal_name),
        stdout: output.stdout.text(),
        stderr: output.stderr.text(),
        stdout_bytes: output.stdout.bytes(),
        stderr_bytes: output.stderr.bytes(),
        truncated: output.stdout.is_truncated() || output.stderr.is_truncated(),
        cpu_ms: ended.cpu_ms,
        rss_bytes_max: ended.rss_bytes_max,
    };
    to_raw_value(&shown).ok()
}

/// Worth another try if the submitter asked for tries: a program may fail for reasons that pass.
fn failure(program: &str, ended: &Ended, output: &Output) -> Failure {
    let (code, what) = match (ended.exit_code, ended.signal) {
        (Some(exit_code), _) => (
            "exit_code",
            format!("`{program}` exited with code {exit_code}"),
        ),
        (None, Some(signal)) => (
            "killed",
            format!("`{program}` was killed by {}", signal_name(signal)),
        ),
        (None, None) => ("killed", format!("`{program}` did not die of SIGKILL")),
    };
    let stderr = output.stderr.text();
    let hint: Option<String> = stderr
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .map(|line| line.chars().take(HINT_CHARS_MAX).collect());
    let message = match hint {
        Some(hint) => format!("{what}: {hint}"),
        None => what,
    };
    Failure::passing(code, message)
}

fn signal_name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(
        |_| format!("signal {signal}"),
        |signal| signal.as_str().to_owned(),
    )
}
