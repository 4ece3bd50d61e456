//! `taskyard submit --each-line`: a task a line, in pieces that the server takes whole or not at all. Each piece has a
//! key, so that whatever breaks off on the way can be said again.

use std::process::ExitCode;

use nix::sys::signal::Signal;
use serde::Serialize;
use serde_json::value::RawValue;
use taskyard_api::client::{Client, Error};
use taskyard_api::submit::{Submit, SubmittedBatch};
use taskyard_core::id::TaskId;
use taskyard_core::policy::COMMAND;
use taskyard_core::shell::flag;
use tokio::signal::unix::{SignalKind, signal};

use super::{Done, ambiguous, command, named, new_key, read, task, text};
use crate::cli::SubmitArgs;
use crate::commands::away::Patience;
use crate::commands::explain::warn_if_it_stays;
use crate::commands::wait;
use crate::failure::flags::by_flag;
use crate::failure::{Failure, UNREACHABLE, code};
use crate::output::{self, Format, Shown};
use crate::signals;

/// How many tasks go in one piece, and how many bytes of input: what a server takes by default, with room to spare. They
/// must not change from one version to the next, or a repetition would not be the same.
const PIECE_TASKS_MAX: usize = 10_000;
const PIECE_BYTES_MAX: usize = 4 << 20;
/// The longest file of lines, which is held in memory.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Where a line goes among the words of a command, as `xargs` and `find` have it.
const PLACE: &str = "{}";

#[derive(Serialize)]
#[serde(transparent)]
struct Batch(SubmittedBatch);

impl Shown for Batch {
    fn table(&self) -> String {
        self.ids().join("\n")
    }

    fn ids(&self) -> Vec<String> {
        self.0.ids.iter().map(ToString::to_string).collect()
    }
}

/// Prints ids as soon as they are certain, or at the end where the format is one document or their outcomes are awaited.
struct Told {
    format: Format,
    waits: bool,
    count: usize,
    kept: SubmittedBatch,
}

impl Told {
    fn of(format: Format, waits: bool) -> Self {
        Self {
            format,
            waits,
            count: 0,
            kept: SubmittedBatch { ids: Vec::new() },
        }
    }

    fn tell(&mut self, submitted: SubmittedBatch) -> anyhow::Result<()> {
        self.count += submitted.ids.len();
        match self.format {
            Format::Table | Format::Quiet if !self.waits => self.format.print(&Batch(submitted)),
            Format::Table | Format::Quiet | Format::Json => {
                self.kept.ids.extend(submitted.ids);
                Ok(())
            }
        }
    }

    fn end(self) -> anyhow::Result<()> {
        if self.kept.ids.is_empty() {
            return Ok(());
        }
        self.format.print(&Batch(self.kept))
    }
}

pub(super) async fn run(client: &Client, args: &SubmitArgs, file: &str, format: Format) -> Done {
    let lines = lines(args, file)?;
    let (numbers, tasks): (Vec<usize>, Vec<Submit>) = lines.into_iter().unzip();
    let key = match &args.idempotency_key {
        Some(key) => key.clone(),
        None => new_key(),
    };
    if args.idempotency_key.is_none() && format == Format::Table && piece_len(&tasks) < tasks.len()
    {
        output::note(&format!("Should this break off: {}", goes_on(&key)));
    }
    let mut patience = Patience::of(args.away.server_wait);
    let (mut told, mut rest, mut number) = (Told::of(format, args.wait), tasks.as_slice(), 0);
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(piece_len(rest));
        let piece_key = format!("{key}.{number}");
        let submitted = patience
            .until_answered(async || client.submit_batch(piece, Some(&piece_key)).await)
            .await;
        match submitted {
            Ok(submitted) => told.tell(submitted)?,
            Err(error) => {
                let may_be_done = patience.may_be_done(&error);
                let error = by_line(error, &numbers[told.count..], named(file));
                let failure = if error.code() == Some("idempotency_key_reused") {
                    sent_otherwise(&error, numbers[told.count], told.count, named(file))
                } else {
                    broken_off(error, may_be_done, told.count, tasks.len(), &key)
                };
                told.end()?;
                return Err(failure);
            }
        }
        (rest, number) = (others, number + 1);
    }
    if args.wait {
        drop(tasks);
        return outcomes(client, &told.kept.ids, &mut patience, format, &key).await;
    }
    told.end()?;
    Ok(ExitCode::SUCCESS)
}

/// What became of all of them.
async fn outcomes(
    client: &Client,
    tasks: &[TaskId],
    patience: &mut Patience,
    format: Format,
    key: &str,
) -> Done {
    let mut interrupts = signal(SignalKind::interrupt())?;
    if format == Format::Table
        && let Some(first) = tasks.first()
    {
        warn_if_it_stays(client, *first).await;
    }
    tokio::select! {
        done = wait::all(client, tasks, None, patience, format) => done,
        _ = interrupts.recv() => {
            output::note(&format!(
                "The tasks go on without this command; the same command with --idempotency-key {key} waits for them \
                 again, and submits nothing twice, within a day."
            ));
            Ok(signals::exit_code(Signal::SIGINT))
        }
    }
}

/// A task for each line that is not blank, with the line's number.
fn lines(args: &SubmitArgs, file: &str) -> Result<Vec<(usize, Submit)>, Failure> {
    let bytes = read(file, FILE_BYTES_MAX)?;
    let file = named(file);
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let number = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        Failure::usage(format!(
            "line {number} of {file} is not UTF-8; nothing was submitted"
        ))
    })?;
    let lines = (1..).zip(text.lines());
    let tasks: Vec<(usize, Submit)> = lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| {
            let is_json = args.argv.is_empty() && !args.text;
            if let Some(bad) = is_json.then(|| ambiguous(line)).flatten() {
                return Err(Failure::usage(format!(
                    "line {number} of {file}: {bad}; nothing was submitted"
                )));
            }
            let input = input(args, line).map_err(|error| {
                let reason = within_line(&error);
                Failure::usage(format!(
                    "line {number} of {file} is not JSON: {reason}; nothing was submitted\n  {}",
                    otherwise(args)
                ))
            })?;
            Ok((number, task(args, input)))
        })
        .collect::<Result<_, Failure>>()?;
    if tasks.is_empty() {
        return Err(Failure::usage(format!(
            "{file} holds no line, so there is nothing to submit"
        )));
    }
    Ok(tasks)
}

/// What a line is the input of, or a part of it.
fn input(args: &SubmitArgs, line: &str) -> serde_json::Result<Box<RawValue>> {
    if !args.argv.is_empty() {
        return command(&with_line(&args.argv, line));
    }
    if args.text {
        return text(line);
    }
    RawValue::from_string(line.to_owned())
}

/// The words with the line in the place of each `{}`, or behind them where there is none.
fn with_line(argv: &[String], line: &str) -> Vec<String> {
    let has_place = argv.iter().any(|word| word.contains(PLACE));
    let words = argv.iter().map(|word| word.replace(PLACE, line));
    let behind = (!has_place).then(|| line.to_owned());
    words.chain(behind).collect()
}

/// How lines are taken that are not JSON.
fn otherwise(args: &SubmitArgs) -> &'static str {
    if args.kind == COMMAND {
        "With a program behind `--` each line is text, put where `{}` stands: `-- wc -w {}`."
    } else {
        "With --text each line is text, and the input is a JSON string of it."
    }
}

/// The refusal with the lines named that it is about: the server counts the tasks of a piece.
fn by_line(error: Error, numbers: &[usize], file: &str) -> Error {
    let Error::Problem(mut problem) = error else {
        return error;
    };
    for error in &mut problem.errors {
        let (index, rest) = match error.pointer.strip_prefix('/') {
            Some(path) => path.split_once('/').unwrap_or((path, "")),
            None => continue,
        };
        let number = index
            .parse()
            .ok()
            .and_then(|index: usize| numbers.get(index));
        if let Some(number) = number {
            let whole = rest.is_empty();
            error.pointer = if whole {
                String::new()
            } else {
                format!("/{rest}")
            };
            error.detail = format!("line {number} of {file}: {}", by_flag(error));
            error.pointer.clear();
        }
    }
    if let [only] = problem.errors.as_slice() {
        problem.detail = Some(only.to_string());
    }
    Error::Problem(problem)
}

/// Without the number of the line, which serde counts within what it was given.
fn within_line(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match message.strip_suffix(&place) {
        Some(reason) => format!("{reason} at column {}", error.column()),
        None => message,
    }
}

/// How many of these go in the next piece.
fn piece_len(tasks: &[Submit]) -> usize {
    let mut bytes = 0;
    let fits = |task: &&Submit| {
        let is_first = bytes == 0;
        bytes += task.input.get().len();
        is_first || bytes <= PIECE_BYTES_MAX
    };
    tasks.iter().take(PIECE_TASKS_MAX).take_while(fits).count()
}

/// What was done, and how the rest is done without doing anything twice.
fn broken_off(error: Error, may_be_done: bool, done: usize, of: usize, key: &str) -> Failure {
    if done == 0 && !may_be_done {
        return error.into();
    }
    let code = if may_be_done {
        UNREACHABLE
    } else {
        code(&error)
    };
    Failure::with_code(
        code,
        format!(
            "{error}\n  {done} of {of} tasks are known to be submitted; {}",
            goes_on(key)
        ),
    )
}

/// The key stands for other lines from here on, so the same command would be refused again.
fn sent_otherwise(error: &Error, number: usize, done: usize, file: &str) -> Failure {
    let from = format!("from line {number} on");
    Failure::with_code(
        code(error),
        format!(
            "{error}\n  {done} tasks are known to be submitted; {from}, {file} or the flags were others when this \
             --idempotency-key was used before. Submit what was submitted then, or what stands {from} with another key."
        ),
    )
}

fn goes_on(key: &str) -> String {
    format!(
        "the same command with {} submits the rest, and nothing twice, within a day.",
        flag("--idempotency-key", key)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(sizes: &[usize]) -> Vec<Submit> {
        let input = |size: &usize| RawValue::from_string("1".repeat(*size)).unwrap();
        let task = |size| Submit::new("echo", input(size));
        sizes.iter().map(task).collect()
    }

    #[test]
    fn a_piece_is_what_a_server_takes_and_one_task_at_least() {
        assert_eq!(piece_len(&tasks(&[1; 3])), 3);
        assert_eq!(
            piece_len(&tasks(&[1; PIECE_TASKS_MAX + 1])),
            PIECE_TASKS_MAX
        );
        assert_eq!(piece_len(&tasks(&[PIECE_BYTES_MAX - 1, 1, 1])), 2);
        assert_eq!(piece_len(&tasks(&[PIECE_BYTES_MAX + 1, 1])), 1);
    }

    #[test]
    fn a_refusal_names_the_lines_that_it_is_about() {
        let check = |errors: &[(&str, &str)], said: &str| {
            let errors: Vec<_> = errors
                .iter()
                .map(|(pointer, detail)| serde_json::json!({"pointer": pointer, "detail": detail}))
                .collect();
            let problem = serde_json::json!({
                "title": "No", "status": 422, "code": "invalid", "detail": "as the server said it", "errors": errors,
            });
            let problem = Error::Problem(serde_json::from_value(problem).unwrap());
            assert_eq!(by_line(problem, &[3, 5], "file").to_string(), said);
        };

        check(
            &[("/1/input", "too long")],
            "No (422): line 5 of file: the input: too long",
        );
        check(
            &[("/0", "a"), ("/1/labels/x", "b")],
            "No (422)\n  line 3 of file: a\n  line 5 of file: --label x: b",
        );
        check(&[], "No (422): as the server said it");
        check(
            &[("/2/input", "there is none")],
            "No (422): /2/input: there is none",
        );
        check(
            &[("Idempotency-Key", "bad")],
            "No (422): Idempotency-Key: bad",
        );
    }

    #[test]
    fn a_line_stands_where_its_place_is_or_behind_the_words() {
        for (argv, words) in [
            (&["wc", "-w", "{}"][..], &["wc", "-w", "a b.md"][..]),
            (&["wc", "-w"], &["wc", "-w", "a b.md"]),
            (&["cp", "{}", "{}.bak"], &["cp", "a b.md", "a b.md.bak"]),
        ] {
            let argv: Vec<String> = argv.iter().map(ToString::to_string).collect();
            assert_eq!(with_line(&argv, "a b.md"), words);
        }
    }

    #[test]
    fn a_bad_line_says_where_within_it() {
        let error = RawValue::from_string("two".to_owned()).unwrap_err();

        assert_eq!(within_line(&error), "expected ident at column 2");
    }
}
