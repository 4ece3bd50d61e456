//! `taskyard wait`, and what an outcome is as an exit code.

use std::borrow::Cow;
use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;
use taskyard_api::client::Client;
use taskyard_api::task::{Status, Task};
use taskyard_core::id::TaskId;
use taskyard_core::policy::COMMAND;
use tokio::time::Instant;

use super::away::Patience;
use super::{Done, client, named};
use crate::cli::{WaitArgs, WaitFor};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Pieces};

/// How long one request is held at most.
const ONE_WAIT: Duration = Duration::from_secs(30);
const NOT_ENDED: u8 = 7;
/// The longest standard input that is read for ids: those of millions of tasks.
const IDS_BYTES_MAX: u64 = 256 << 20;
/// What is seen of each task. Their statuses are this wide at most, so that rows that are printed as they come stand under
/// each other.
const COLUMNS: [Column; 3] = [
    Column::new("task").id(),
    Column::new("status").at_least(9).leaves(2),
    Column::new("result").text().leaves(1),
];

/// What a command prints, as far as it is looked at.
#[derive(Deserialize)]
struct Printed<'a> {
    #[serde(borrow)]
    stdout: Cow<'a, str>,
    #[serde(borrow)]
    stderr: Cow<'a, str>,
}

pub(super) async fn run(args: &WaitArgs, format: Format) -> Done {
    let client = client(&args.connection)?;
    let tasks = meant(&client, &args.tasks).await?;
    let until = args.within.map(|within| Instant::now() + within);
    let mut patience = Patience::of(args.away.server_wait);
    all(&client, &tasks, until, &mut patience, format).await
}

/// Each of these once it has ended, or as it stands when the time is up, and the exit code of the worst. In a table one
/// comes as soon as those before it have come.
pub(super) async fn all(
    client: &Client,
    tasks: &[TaskId],
    until: Option<Instant>,
    patience: &mut Patience,
    format: Format,
) -> Done {
    let is_terminal = std::io::stdout().is_terminal();
    let mut table = Pieces::of(&COLUMNS);
    let mut statuses = Vec::with_capacity(tasks.len());
    let mut document = Vec::new();
    for task in tasks {
        let task = ended(client, *task, until, patience).await?;
        statuses.push(task.status);
        match format {
            Format::Table => output::line(&table.more(vec![row(&task, is_terminal)]))?,
            Format::Quiet => output::line(&task.id.to_string())?,
            Format::Json => document.push(task),
        }
    }
    match format {
        Format::Table if tasks.len() > 1 => output::note(&summary(&statuses)),
        Format::Json => {
            let text = serde_json::to_string_pretty(&document).map_err(anyhow::Error::from)?;
            output::line(&output::escaped(&text))?;
        }
        Format::Table | Format::Quiet => {}
    }
    let worst = statuses.into_iter().map(exit_code).max();
    Ok(ExitCode::from(worst.unwrap_or(0)))
}

/// The tasks in their order, those of standard input where it is named.
async fn meant(client: &Client, tasks: &[WaitFor]) -> Result<Vec<TaskId>, Failure> {
    let mut meant = Vec::with_capacity(tasks.len());
    for task in tasks {
        match task {
            WaitFor::Task(name) => meant.push(named::task(client, name).await?),
            WaitFor::Input => meant.extend(of_input()?),
        }
    }
    if meant.is_empty() {
        return Err(Failure::usage(
            "standard input names no task; give ids, one a line, as `--output quiet` prints them",
        ));
    }
    Ok(meant)
}

fn of_input() -> Result<Vec<TaskId>, Failure> {
    let mut text = String::new();
    let read = std::io::stdin()
        .take(IDS_BYTES_MAX + 1)
        .read_to_string(&mut text);
    read.map_err(|error| Failure::usage(format!("standard input cannot be read: {error}")))?;
    if text.len() as u64 > IDS_BYTES_MAX {
        return Err(Failure::usage(format!(
            "standard input holds more than {} MiB of ids, which is more than is read",
            IDS_BYTES_MAX >> 20
        )));
    }
    let lines = (1..).zip(text.lines().map(str::trim));
    let lines = lines.filter(|(_, line)| !line.is_empty());
    let ids = lines.map(|(number, line)| {
        line.parse().map_err(|error| {
            Failure::usage(format!(
                "line {number} of standard input names no task: {error}\n  `--output quiet` prints ids alone, one a line."
            ))
        })
    });
    ids.collect()
}

fn row(task: &Task, is_terminal: bool) -> Vec<Cell> {
    vec![
        task.id.into(),
        output::status_cell(task.status),
        Cell::from(result(task, is_terminal)),
    ]
}

/// Why it failed, or its output; of a command, where a terminal has room for little, the first line that it printed.
fn result(task: &Task, is_terminal: bool) -> String {
    if let Some(error) = &task.error {
        return error.message.clone();
    }
    let printed = is_terminal.then(|| printed(task)).flatten();
    let output = || output::payload(task.output.as_ref()).unwrap_or_default();
    printed.unwrap_or_else(|| output().to_owned())
}

/// Of a command, the first line that it printed.
pub(super) fn printed(task: &Task) -> Option<String> {
    let output = output::payload(task.output.as_ref()).filter(|_| task.kind == COMMAND);
    output.and_then(first_line)
}

fn first_line(output: &str) -> Option<String> {
    let printed: Printed<'_> = serde_json::from_str(output).ok()?;
    let mut lines = printed.stdout.lines().chain(printed.stderr.lines());
    lines
        .find(|line| !line.trim().is_empty())
        .map(str::to_owned)
}

/// How many ended in which way.
fn summary(statuses: &[Status]) -> String {
    let ways = [
        Status::Completed,
        Status::Failed,
        Status::Timeout,
        Status::Cancelled,
    ];
    let count = |way: Status| statuses.iter().filter(|status| **status == way).count();
    let ended = ways.map(|way| (count(way), way.as_str()));
    let open = statuses.iter().filter(|status| !status.is_final()).count();
    let words = ended.into_iter().chain([(open, "not ended")]);
    let words: Vec<String> = words
        .filter(|(count, _)| *count > 0)
        .map(|(count, way)| format!("{count} {way}"))
        .collect();
    words.join(", ")
}

/// The task once it has ended, or as it stands when the time is up. A server that is away meanwhile is waited for with
/// this patience.
pub(crate) async fn ended(
    client: &Client,
    task: TaskId,
    until: Option<Instant>,
    patience: &mut Patience,
) -> Result<Task, Failure> {
    loop {
        let left = until.map_or(ONE_WAIT, |until| {
            until
                .saturating_duration_since(Instant::now())
                .min(ONE_WAIT)
        });
        let is_up = left.is_zero();
        match client.task(task, Some(left)).await {
            Ok(task) => {
                patience.answered();
                if is_up || task.status.is_final() {
                    return Ok(task);
                }
            }
            Err(error) => {
                if is_up || !patience.goes_on(&error).await {
                    return Err(patience.gave_up(task, error));
                }
            }
        }
    }
}

/// Each outcome has its own.
pub(crate) fn exit_code(status: Status) -> u8 {
    match status {
        Status::Completed => 0,
        Status::Failed => 4,
        Status::Timeout => 5,
        Status::Cancelled => 6,
        Status::Scheduled | Status::Pending | Status::Assigned | Status::Running => NOT_ENDED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_command_a_terminal_shows_the_first_line_that_it_printed() {
        for (stdout, stderr, line) in [
            ("a \"b\"\nc\n", "", Some("a \"b\"")),
            ("\n  two\n", "no", Some("  two")),
            ("", "warned\n", Some("warned")),
            ("", "", None),
        ] {
            let output = serde_json::json!({"exit_code": 0, "stdout": stdout, "stderr": stderr});
            assert_eq!(first_line(&output.to_string()).as_deref(), line);
        }
        assert_eq!(first_line("7"), None);
    }

    #[test]
    fn a_summary_counts_the_ways_to_end() {
        use Status::{Assigned, Cancelled, Completed, Failed, Running};

        assert_eq!(
            summary(&[Completed, Failed, Completed, Running, Assigned]),
            "2 completed, 1 failed, 2 not ended"
        );
        assert_eq!(summary(&[Cancelled; 2]), "2 cancelled");
    }
}
