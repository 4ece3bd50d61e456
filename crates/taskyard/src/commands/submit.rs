//! `taskyard submit`.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use taskyard_api::client::Client;
use taskyard_api::submit::{Submit, Submitted, SubmittedBatch};
use taskyard_api::task::{Status, Task};
use taskyard_api::worker::WorkerStatus;

use super::wait::{ended, exit_code};
use super::{Done, client};
use crate::cli::SubmitArgs;
use crate::failure::Failure;
use crate::output::{self, Format, Shown};

impl Shown for Submitted {
    fn table(&self) -> String {
        output::sheet(&[
            ("task", self.id.to_string()),
            ("status", output::status(self.status)),
        ])
    }

    fn ids(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }
}

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

/// A finished task, of which a pipe wants the output alone.
#[derive(Serialize)]
#[serde(transparent)]
struct Ended(Task);

impl Shown for Ended {
    fn table(&self) -> String {
        self.0
            .output
            .as_ref()
            .map(|output| output::safe(output.get()))
            .unwrap_or_default()
    }

    fn ids(&self) -> Vec<String> {
        vec![self.0.id.to_string()]
    }
}

pub(super) async fn run(args: SubmitArgs, format: Format) -> Done {
    let client = client(&args.connection)?;
    if let Some(file) = &args.each_line {
        return each_line(&client, &args, file, format).await;
    }
    let task = task(&args, input(&args)?);
    let submitted = match &args.idempotency_key {
        None => client.submit(&task).await?,
        Some(key) => {
            let batch = client
                .submit_batch(std::slice::from_ref(&task), Some(key))
                .await?;
            let id = *batch
                .ids
                .first()
                .ok_or_else(|| Failure::new("the server answered no id"))?;
            Submitted {
                id,
                status: client.task(id, None).await?.status,
            }
        }
    };
    if !args.wait {
        format.print(&submitted)?;
        if format == Format::Table && submitted.status == Status::Pending {
            warn_if_nobody_runs(&client, &args.kind).await;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if format == Format::Table {
        output::note(&format!("task {}", submitted.id));
        warn_if_nobody_runs(&client, &args.kind).await;
    }
    let task = ended(&client, submitted.id, None).await?;
    let code = exit_code(task.status);
    let failed = task
        .error
        .as_ref()
        .map(|error| output::safe(&error.to_string()));
    if format == Format::Table && task.status != Status::Completed {
        output::note(&format!(
            "{}{}",
            task.status,
            failed.map_or_else(String::new, |error| format!(", {error}"))
        ));
    }
    format.print(&Ended(task))?;
    Ok(ExitCode::from(code))
}

/// Tasks of a file, in pieces that the server takes whole.
async fn each_line(client: &Client, args: &SubmitArgs, file: &str, format: Format) -> Done {
    const PIECE: usize = 10_000;
    let text = read(file)?;
    let mut tasks = Vec::new();
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let input = RawValue::from_string(line.to_owned()).map_err(|error| {
            Failure::usage(format!(
                "line {} of {} is not JSON: {error}",
                number + 1,
                named(file)
            ))
        })?;
        tasks.push(task(args, input));
    }
    if tasks.is_empty() {
        return Err(Failure::usage(format!(
            "{} holds no line, so there is nothing to submit",
            named(file)
        )));
    }
    let mut ids = Vec::with_capacity(tasks.len());
    for (number, piece) in tasks.chunks(PIECE).enumerate() {
        let key = args
            .idempotency_key
            .as_ref()
            .map(|key| format!("{key}.{number}"));
        ids.extend(client.submit_batch(piece, key.as_deref()).await?.ids);
    }
    format.print(&Batch(SubmittedBatch { ids }))?;
    Ok(ExitCode::SUCCESS)
}

fn task(args: &SubmitArgs, input: Box<RawValue>) -> Submit {
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let map = |pairs: &[(String, String)]| pairs.iter().cloned().collect::<BTreeMap<_, _>>();
    Submit {
        queue: args.queue.clone(),
        priority: args.priority,
        run_at: args.at,
        delay_ms: args.delay.map(millis),
        max_attempts: args.max_attempts,
        timeout_ms: args.timeout.map(millis),
        max_losses: args.max_losses,
        labels: map(&args.labels),
        requires: map(&args.requires),
        id: args.id,
        ..Submit::new(args.kind.clone(), input)
    }
}

fn input(args: &SubmitArgs) -> Result<Box<RawValue>, Failure> {
    if !args.argv.is_empty() {
        if args.kind != "command" {
            return Err(Failure::usage(
                "words after `--` are for kind `command`; give the input as JSON",
            ));
        }
        let input = serde_json::json!({ "argv": args.argv });
        return RawValue::from_string(input.to_string())
            .map_err(|error| Failure::usage(error.to_string()));
    }
    let text = match args.input.as_deref() {
        None => "null".to_owned(),
        Some("-") => read("-")?,
        Some(text) => match text.strip_prefix('@') {
            Some(file) => read(file)?,
            None => text.to_owned(),
        },
    };
    RawValue::from_string(text).map_err(|error| {
        Failure::usage(format!(
            "the input is not JSON: {error}\n  A text is written in quotes within quotes: '\"hello\"'; `@FILE` reads a file, `-` standard input."
        ))
    })
}

fn read(file: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match file {
        "-" => std::io::stdin().read_to_string(&mut text).map(drop),
        file => std::fs::read_to_string(file).map(|read| text = read),
    };
    read.map_err(|error| Failure::usage(format!("{} cannot be read: {error}", named(file))))?;
    Ok(text)
}

fn named(file: &str) -> &str {
    match file {
        "-" => "standard input",
        file => file,
    }
}

/// A kind that nobody here runs is accepted and waits; whoever mistyped it should hear of it.
async fn warn_if_nobody_runs(client: &Client, kind: &str) {
    let Ok(workers) = client.workers().await else {
        return;
    };
    let mut online = workers
        .items
        .iter()
        .filter(|worker| worker.status != WorkerStatus::Offline);
    let runs = |kinds: &[String]| kinds.iter().any(|other| other == kind || other == "*");
    if !online.any(|worker| runs(&worker.kinds)) {
        output::note(&format!(
            "No worker that is here runs `{kind}`; the task waits for one. `taskyard workers` shows what each runs."
        ));
    }
}
