//! `taskyard submit`.

mod each_line;

use std::io::Read;
use std::process::ExitCode;

use nix::sys::signal::Signal;
use serde::Serialize;
use serde_json::value::RawValue;
use taskyard_api::client::{Client, Error};
use taskyard_api::submit::{Submit, Submitted};
use taskyard_api::task::{Status, Task};
use taskyard_core::id::TaskId;
use taskyard_core::json::{self, BadJson};
use taskyard_core::policy::COMMAND;
use taskyard_core::random::Random as _;
use taskyard_core::shell::flag;
use tokio::signal::unix::{SignalKind, signal};

use super::away::Patience;
use super::explain::warn_if_it_stays;
use super::wait::{ended, exit_code};
use super::{Done, client, logs, once_each};
use crate::cli::SubmitArgs;
use crate::clock;
use crate::failure::{Failure, UNREACHABLE};
use crate::output::{self, Format, Shown};
use crate::randomness::Unguessable;
use crate::settings::units::millis_sent;
use crate::signals;

/// The longest input that is read; what a server takes is far below, unless it was set otherwise.
const INPUT_BYTES_MAX: u64 = 256 << 20;

impl Shown for Submitted {
    fn table(&self) -> String {
        output::sheet(&[
            ("task", self.id.into()),
            ("status", output::status(self.status)),
        ])
    }

    fn ids(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }
}

/// A finished task, of which a pipe wants the output alone.
#[derive(Serialize)]
#[serde(transparent)]
struct Ended(Task);

impl Shown for Ended {
    fn table(&self) -> String {
        // Of a task that completed an output is JSON whatever it is, so that another program can read it.
        let nothing = if self.0.status == Status::Completed {
            "null"
        } else {
            ""
        };
        output::safe(output::payload(self.0.output.as_ref()).unwrap_or(nothing))
    }

    fn ids(&self) -> Vec<String> {
        vec![self.0.id.to_string()]
    }
}

pub(super) async fn run(args: SubmitArgs, format: Format) -> Done {
    let client = client(&args.connection)?;
    once_each("--label", &args.labels)?;
    once_each("--require", &args.requires)?;
    if !args.argv.is_empty() && args.kind != COMMAND {
        return Err(Failure::usage(
            "words after `--` are for kind `command`; give the input as JSON",
        ));
    }
    if args.text && args.kind == COMMAND {
        return Err(Failure::usage(
            "a command takes no text; with a program after `--`, each line of --each-line stands in the place of its `{}`",
        ));
    }
    if let Some(file) = &args.each_line {
        return each_line::run(&client, &args, file, format).await;
    }
    let mut task = task(&args, input(&args)?);
    let mut patience = Patience::of(args.away.server_wait);
    let submitted = match &args.idempotency_key {
        None => by_id(&client, &mut task, &mut patience).await?,
        Some(key) => by_key(&client, &task, key, &mut patience).await?,
    };
    if !args.wait {
        format.print(&submitted)?;
        if format == Format::Table && submitted.status == Status::Pending {
            warn_if_it_stays(&client, submitted.id).await;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut interrupts = signal(SignalKind::interrupt())?;
    if format == Format::Table {
        output::note(&format!("task {}", submitted.id));
        warn_if_it_stays(&client, submitted.id).await;
    }
    let id = submitted.id;
    let waiting = ended(&client, id, None, &mut patience);
    let waiting = async {
        match format {
            Format::Quiet => waiting.await,
            Format::Table | Format::Json => logs::meanwhile(&client, id, waiting).await,
        }
    };
    tokio::select! {
        ended = waiting => tell(ended?, format),
        _ = interrupts.recv() => {
            output::note(&format!(
                "The task goes on without this command; `taskyard wait {id}` waits for it, `taskyard cancel {id}` ends it."
            ));
            Ok(signals::exit_code(Signal::SIGINT))
        }
    }
}

/// Under an id that is made here if the user made none, so that it can be said again when the answer is lost.
async fn by_id(
    client: &Client,
    task: &mut Submit,
    patience: &mut Patience,
) -> Result<Submitted, Failure> {
    let is_ours = task.id.is_none();
    let id = *task.id.get_or_insert_with(new_id);
    let submitted = patience
        .until_answered(async || client.submit(&*task).await)
        .await;
    match submitted {
        Ok(submitted) => {
            if submitted.id != id {
                output::note(
                    "Another task of its queue has this --unique-key and has not ended: it is answered, and none was made.",
                );
            }
            Ok(submitted)
        }
        // This machine's clock is far from the server's, which is no reason not to submit.
        Err(Error::Problem(problem))
            if is_ours && problem.code == "invalid" && problem.task_id == Some(id) =>
        {
            task.id = None;
            by_key(client, task, &new_key(), patience).await
        }
        Err(error) => Err(perhaps(error, patience, &format!("--id {id}"))),
    }
}

async fn by_key(
    client: &Client,
    task: &Submit,
    key: &str,
    patience: &mut Patience,
) -> Result<Submitted, Failure> {
    let tasks = std::slice::from_ref(task);
    let batch = patience
        .until_answered(async || client.submit_batch(tasks, Some(key)).await)
        .await
        .map_err(|error| perhaps(error, patience, &flag("--idempotency-key", key)))?;
    let id = *batch
        .ids
        .first()
        .ok_or_else(|| Failure::new("the server answered no id"))?;
    let task = patience
        .until_answered(async || client.task(id, None).await)
        .await?;
    Ok(Submitted {
        id,
        status: task.status,
    })
}

fn new_id() -> TaskId {
    let mut random = Unguessable::new();
    let bits = (u128::from(random.bits()) << 64) | u128::from(random.bits());
    TaskId::new(clock::now(), bits)
}

pub(super) fn new_key() -> String {
    format!("{:016x}", Unguessable::new().bits())
}

/// Why it is not known to be submitted, and how it is without being so twice.
fn perhaps(error: Error, patience: &Patience, once: &str) -> Failure {
    if !patience.may_be_done(&error) {
        return error.into();
    }
    Failure::with_code(
        UNREACHABLE,
        format!(
            "{error}\n  Perhaps it is submitted; the same command with {once} makes sure, and submits nothing twice."
        ),
    )
}

/// What became of a task: its output, or why there is none, and the exit code that says the same.
fn tell(ended: Task, format: Format) -> Done {
    let code = exit_code(ended.status);
    if format == Format::Table && ended.status != Status::Completed {
        output::note(&outcome(&ended));
        if has_missed_a_file(&ended) {
            output::note(
                "A command begins in an empty directory of its worker; name files by absolute paths.",
            );
        }
    }
    format.print(&Ended(ended))?;
    Ok(ExitCode::from(code))
}

/// Whether it is a command that said so.
fn has_missed_a_file(ended: &Task) -> bool {
    let error = ended.error.as_ref();
    let said = error.filter(|error| error.code == "exit_code");
    let said = said.is_some_and(|error| error.message.contains("No such file"));
    said && ended.kind == COMMAND
}

/// Its status, and why it is so; the code only where it is another word.
fn outcome(ended: &Task) -> String {
    match &ended.error {
        None => ended.status.to_string(),
        Some(error) if error.code == ended.status.as_str() => error.to_string(),
        Some(error) => format!("{}, {error}", ended.status),
    }
}

fn task(args: &SubmitArgs, input: Box<RawValue>) -> Submit {
    let map = |pairs: &[(String, String)]| pairs.iter().cloned().collect();
    Submit {
        queue: args.queue.clone(),
        priority: args.priority,
        run_at: args.at,
        delay_ms: args.delay.map(millis_sent),
        max_attempts: args.max_attempts,
        retry: args.backoff_more.retry(args.backoff),
        timeout_ms: args.timeout.map(millis_sent),
        max_losses: args.max_losses,
        labels: map(&args.labels),
        requires: map(&args.requires),
        exclusive: args.exclusive,
        unique_key: args.unique_key.clone(),
        id: args.id,
        ..Submit::new(args.kind.clone(), input)
    }
}

fn input(args: &SubmitArgs) -> Result<Box<RawValue>, Failure> {
    if !args.argv.is_empty() {
        return command(&args.argv).map_err(|error| Failure::usage(error.to_string()));
    }
    let said = match args.input.as_deref() {
        None if args.text => {
            return Err(Failure::usage(
                "--text is about the input, and there is none; give one, or --each-line",
            ));
        }
        None if args.kind == COMMAND => {
            return Err(Failure::usage(
                "a task of kind `command` needs a program: `taskyard submit command -- wc -l /etc/hosts`",
            ));
        }
        None => "null".to_owned(),
        Some("-") => read_text("-")?,
        Some(text) => match text.strip_prefix('@') {
            Some(file) => read_text(file)?,
            None => text.to_owned(),
        },
    };
    if args.text {
        return text(&said).map_err(|error| Failure::usage(error.to_string()));
    }
    if let Some(bad) = ambiguous(&said) {
        return Err(Failure::usage(format!("the input: {bad}")));
    }
    RawValue::from_string(said).map_err(|error| {
        Failure::usage(format!(
            "the input is not JSON: {error}\n  A text is written in quotes within quotes, '\"hello\"', or given with \
             --text; `@FILE` reads a file, `-` standard input."
        ))
    })
}

/// What is wrong with JSON that two readers could read in two ways: a server would say so too, but with the place in all
/// that it was sent.
fn ambiguous(said: &str) -> Option<BadJson> {
    let bad = json::check(said.as_bytes(), json::DEPTH_CEILING).err();
    bad.filter(|bad| !bad.reason.is_grammar())
}

/// What a task of kind `command` runs, as its input.
fn command(argv: &[String]) -> serde_json::Result<Box<RawValue>> {
    serde_json::value::to_raw_value(&serde_json::json!({ "argv": argv }))
}

/// A text as an input.
fn text(text: &str) -> serde_json::Result<Box<RawValue>> {
    serde_json::value::to_raw_value(text)
}

/// What is longer is refused before it fills the memory: it may never end.
fn read(file: &str, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let source: std::io::Result<Box<dyn Read>> = match file {
        "-" => Ok(Box::new(std::io::stdin())),
        file => std::fs::File::open(file).map(|file| Box::new(file) as Box<dyn Read>),
    };
    let mut bytes = Vec::new();
    let read = source.and_then(|source| source.take(bytes_max + 1).read_to_end(&mut bytes));
    read.map_err(|error| Failure::usage(format!("{} cannot be read: {error}", named(file))))?;
    if bytes.len() as u64 > bytes_max {
        return Err(Failure::usage(format!(
            "{} holds more than {} MiB, which is more than is read; a server's --input-max, for one task, is 1 MiB \
             unless set",
            named(file),
            bytes_max >> 20,
        )));
    }
    Ok(bytes)
}

fn read_text(file: &str) -> Result<String, Failure> {
    let text = String::from_utf8(read(file, INPUT_BYTES_MAX)?);
    text.map_err(|error| Failure::usage(format!("{} is not UTF-8: {error}", named(file))))
}

fn named(file: &str) -> &str {
    match file {
        "-" => "standard input",
        file => file,
    }
}
