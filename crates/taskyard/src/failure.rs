//! How a command that could not do its work ends: one message that names the next step, and an exit code.

pub(crate) mod flags;

use std::ffi::OsString;
use std::process::ExitCode;

use serde::Serialize;
use taskyard_api::client;
use taskyard_api::problem::{NO_SUCH_ROUTE, Problem};
use taskyard_core::id::TaskId;

use crate::output::{self, Format};
use crate::settings::Layered;

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
    /// Why the server refused, as it said so; none where it was refused here, or nobody answered.
    problem: Option<Box<Problem>>,
    /// Programs have read of it already.
    is_told: bool,
}

/// What a command asked about, for the next step where it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Several things, or none that has a name.
    Any,
    Task(TaskId),
    Operation,
    Queue,
    Worker,
}

/// A refusal as a document, in the place of what was asked for.
#[derive(Serialize)]
struct Refusal<'a> {
    problem: Said<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Said<'a> {
    ByServer(&'a Problem),
    Here(OwnProblem<'a>),
}

/// What no server has refused: there is no HTTP in it.
#[derive(Serialize)]
struct OwnProblem<'a> {
    title: &'static str,
    code: &'static str,
    detail: &'a str,
}

impl<'a> OwnProblem<'a> {
    fn of(code: u8, detail: &'a str) -> Self {
        let (title, code) = match code {
            USAGE => ("Wrong usage", "usage"),
            UNREACHABLE => ("No server answers", "unreachable"),
            _ => ("It did not work", "failed"),
        };
        Self {
            title,
            code,
            detail,
        }
    }
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::with_code(FAILED, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::with_code(USAGE, message)
    }

    pub(crate) fn with_code(code: u8, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code,
            problem: None,
            is_told: false,
        }
    }

    /// What a server did not do, with the next step of who asked about this.
    pub(crate) fn about(error: client::Error, about: About) -> Self {
        let step = next_step(&error, about);
        Self::without_step(error).and(step.as_deref())
    }

    /// The same, said alone.
    pub(crate) fn without_step(error: client::Error) -> Self {
        let code = code(&error);
        match error {
            client::Error::Problem(problem) => Self {
                message: flags::by_flags(problem.clone()).to_string(),
                code,
                problem: Some(problem),
                is_told: false,
            },
            error => Self::with_code(code, error.to_string()),
        }
    }

    /// With one line more.
    pub(crate) fn and(mut self, line: Option<&str>) -> Self {
        if let Some(line) = line {
            self.message = format!("{}\n  {line}", self.message);
        }
        self
    }

    /// With what stands before it.
    pub(crate) fn behind(mut self, words: &str) -> Self {
        self.message = format!("{words}: {}", self.message);
        self
    }

    /// Of a refusal of what was set, with where that comes from, unless it was typed.
    pub(crate) fn placed(self, layered: &Layered) -> Self {
        if self.code != USAGE || self.problem.is_some() {
            return self;
        }
        let places = layered.places(&self.message);
        let places = places.iter().map(String::as_str);
        places.fold(self, |failure, place| failure.and(Some(place)))
    }

    /// Of what programs have read already.
    pub(crate) fn told(self) -> Self {
        Self {
            is_told: true,
            ..self
        }
    }

    /// For programs: one line, also where other documents stand before it.
    pub(crate) fn tell_programs(&self) -> anyhow::Result<()> {
        if self.is_told {
            return Ok(());
        }
        let problem = match &self.problem {
            Some(problem) => Said::ByServer(problem),
            None => Said::Here(OwnProblem::of(self.code, &self.message)),
        };
        let text = serde_json::to_string(&Refusal { problem })?;
        output::line(&output::escaped(&text))
    }

    pub(crate) fn exit(&self) -> ExitCode {
        output::note(&format!("taskyard: {}", self.message));
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
        Self::about(error, About::Any)
    }
}

/// Of a command line that makes no command: help that was asked for, or what is wrong, as clap says it; for programs
/// without its usage.
pub(crate) fn unread(error: &clap::Error, format: Format) -> ExitCode {
    if !error.use_stderr() {
        error.exit();
    }
    let said = error.render();
    if format == Format::Json {
        let text = said.to_string();
        let what = text.split("\n\nUsage:").next().unwrap_or_default();
        let failure = Failure::usage(what.trim_start_matches("error: ").trim_end());
        // Nobody reads: there is nobody to tell.
        let _ = failure.tell_programs();
    }
    output::painted_note(said.ansi().to_string().trim_end());
    ExitCode::from(USAGE)
}

/// The format that a command line asks for which may make no command.
pub(crate) fn format_asked(arguments: &[OsString]) -> Format {
    let words: Vec<_> = arguments
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    let words = words.split(|word| word == "--").next().unwrap_or_default();
    let joined = words
        .iter()
        .rev()
        .find_map(|word| word.strip_prefix("--output="));
    let apart = words.windows(2).rev().find(|pair| pair[0] == "--output");
    let typed = joined.or(apart.map(|pair| &*pair[1]));
    let named = std::env::var("TASKYARD_OUTPUT").ok();
    match typed.or(named.as_deref()) {
        Some("json") => Format::Json,
        _ => Format::Table,
    }
}

/// How a command that met this ends.
pub(crate) fn code(error: &client::Error) -> u8 {
    match error {
        error if error.is_unreachable() => UNREACHABLE,
        client::Error::Problem(problem) if matches!(problem.status, 400 | 413 | 422) => USAGE,
        client::Error::Unreachable { .. }
        | client::Error::Problem(_)
        | client::Error::Unexpected { .. }
        | client::Error::Unusable(_)
        | client::Error::Several(_) => FAILED,
    }
}

pub(crate) fn next_step(error: &client::Error, about: About) -> Option<String> {
    let step = match error {
        client::Error::Unreachable { .. } | client::Error::Several(_) if error.is_not_tls() => {
            "What listens there does not speak https; begin its address with http:// in --server or TASKYARD_URL."
        }
        client::Error::Several(_) if is_in_trouble(error) => {
            return after_refusal("unavailable", about);
        }
        client::Error::Unreachable { .. } | client::Error::Several(_) => {
            "Start a server with `taskyard serve`, or name another one with --server or TASKYARD_URL."
        }
        client::Error::Unexpected { .. } => {
            "Something else may listen there; name the server with --server or TASKYARD_URL."
        }
        client::Error::Problem(problem) if problem.detail.as_deref() == Some(NO_SUCH_ROUTE) => {
            "The address in --server or TASKYARD_URL may have a path that is not the server's, as in http://HOST/path; \
             most are http://HOST:PORT alone."
        }
        client::Error::Problem(problem) => return after_refusal(&problem.code, about),
        client::Error::Unusable(_) => return None,
    };
    Some(step.to_owned())
}

/// There is a server, and what is wrong is its database.
fn is_in_trouble(error: &client::Error) -> bool {
    match error {
        client::Error::Several(tried) => tried.iter().any(|tried| is_in_trouble(&tried.error)),
        _ => matches!(error.code(), Some("unavailable" | "outcome_unknown")),
    }
}

fn after_refusal(code: &str, about: About) -> Option<String> {
    let step = match (code, about) {
        ("unavailable" | "outcome_unknown", _) => {
            "`taskyard health` says what is wrong with the server's database, and its log says more."
        }
        ("not_found", About::Task(_)) => {
            "`taskyard list` shows the newest tasks with their ids, and --search finds others."
        }
        ("not_found", About::Operation) => "`taskyard operations` shows them with their ids.",
        ("not_found", About::Queue) => "`taskyard queues` lists them.",
        ("not_found", About::Worker) => "`taskyard workers --all` lists them.",
        ("unauthorized", _) => "Name the server's token in TASKYARD_TOKEN or with --token.",
        ("already_ended", About::Task(task)) => {
            return Some(format!(
                "`taskyard retry {task}` runs it again, as a new task."
            ));
        }
        ("not_ended", About::Task(task)) => {
            return Some(format!(
                "`taskyard wait {task}` waits for its end, `taskyard cancel {task}` ends it now."
            ));
        }
        ("not_waiting", About::Task(task)) => {
            return Some(format!("`taskyard cancel {task}` ends it now."));
        }
        _ => return None,
    };
    Some(step.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> client::Error {
        let text = format!(r#"{{"status": {status}, "code": "{code}"}}"#);
        client::Error::Problem(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn the_next_step_is_of_what_was_asked_about() {
        let task: TaskId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let check = |status, code: &str, about, names: &str| {
            let failure = Failure::about(refused(status, code), about);
            assert!(
                failure.message.contains(names),
                "{code}: {}",
                failure.message
            );
        };

        check(404, "not_found", About::Task(task), "`taskyard list`");
        check(404, "not_found", About::Operation, "`taskyard operations`");
        check(404, "not_found", About::Queue, "`taskyard queues`");
        check(404, "not_found", About::Worker, "`taskyard workers --all`");
        let again = format!("`taskyard retry {task}`");
        check(409, "already_ended", About::Task(task), &again);
        let wait = format!("`taskyard wait {task}`");
        check(409, "not_ended", About::Task(task), &wait);
        let cancel = format!("`taskyard cancel {task}`");
        check(503, "unavailable", About::Any, "`taskyard health`");
        check(409, "not_waiting", About::Task(task), &cancel);
        // Two that answer, whose database does not.
        let tried = ["http://s1", "http://s2"].map(|server| client::Tried {
            server: server.to_owned(),
            error: refused(503, "unavailable"),
        });
        let several = client::Error::Several(tried.into());
        let said = Failure::about(several, About::Any).message;
        assert!(said.contains("`taskyard health`"), "{said}");
        assert!(!said.contains("`taskyard serve`"), "{said}");
        assert_eq!(
            Failure::from(refused(404, "not_found")).message,
            "not_found (404)"
        );
    }
}
