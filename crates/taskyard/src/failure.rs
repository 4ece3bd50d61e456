//! How a command that could not do its work ends: one message that names the next step, and an exit code.

use std::process::ExitCode;

use taskyard_api::client;
use taskyard_api::problem::NO_SUCH_ROUTE;

/// It went wrong in some way that has no code of its own.
pub(crate) const FAILED: u8 = 1;
/// The command line, a setting or the input is wrong; clap uses the same.
pub(crate) const USAGE: u8 = 2;
/// No server answered.
pub(crate) const UNREACHABLE: u8 = 3;

/// What to print, and how to exit.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) code: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: FAILED,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: USAGE,
        }
    }

    /// What a server or a file put into it does not steer the terminal.
    fn shown(&self) -> String {
        crate::output::safe(&self.message)
    }

    pub(crate) fn exit(&self) -> ExitCode {
        crate::output::note(&format!("taskyard: {}", self.shown()));
        ExitCode::from(self.code)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(format!("{error:#}"))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        let code = code(&error);
        let message = match next_step(&error) {
            Some(step) => format!("{error}\n  {step}"),
            None => error.to_string(),
        };
        Self { message, code }
    }
}

/// How a command that met this ends.
pub(crate) fn code(error: &client::Error) -> u8 {
    match error {
        client::Error::Unreachable { .. } => UNREACHABLE,
        client::Error::Problem(problem) if matches!(problem.status, 400 | 413 | 422) => USAGE,
        client::Error::Problem(_)
        | client::Error::Unexpected { .. }
        | client::Error::Unusable(_) => FAILED,
    }
}

fn next_step(error: &client::Error) -> Option<&'static str> {
    match error {
        client::Error::Unreachable { .. } if error.is_not_tls() => Some(
            "What listens there does not speak https; begin its address with http:// in --server or TASKYARD_URL.",
        ),
        client::Error::Unreachable { .. } => Some(
            "Start a server with `taskyard serve`, or name another one with --server or TASKYARD_URL.",
        ),
        client::Error::Unexpected { .. } => {
            Some("Something else may listen there; name the server with --server or TASKYARD_URL.")
        }
        client::Error::Problem(problem) if problem.detail.as_deref() == Some(NO_SUCH_ROUTE) => {
            Some(
                "The address in --server or TASKYARD_URL may have a path that is not the server's, as in http://HOST/path; \
                 most are http://HOST:PORT alone.",
            )
        }
        client::Error::Problem(problem) => match problem.code.as_str() {
            "not_found" => Some(
                "`taskyard list` shows the newest tasks with their ids, `taskyard workers` the workers.",
            ),
            "unauthorized" => Some("Name the server's token in TASKYARD_TOKEN or with --token."),
            "already_ended" => Some("A final state stays; submit the task again to run it again."),
            _ => None,
        },
        client::Error::Unusable(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_does_not_steer_the_terminal() {
        let failure = Failure::new("no: \u{1b}[2Jcleared\n  Do this.");

        assert_eq!(failure.shown(), "no: \u{fffd}[2Jcleared\n  Do this.");
    }
}
