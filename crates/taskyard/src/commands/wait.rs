//! `taskyard wait`, and what an outcome is as an exit code.

use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use taskyard_api::client::Client;
use taskyard_api::task::{Status, Task};
use taskyard_core::id::TaskId;
use tokio::time::Instant;

use super::away::Patience;
use super::{Done, client};
use crate::cli::WaitArgs;
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Shown};

/// How long one request is held at most.
const ONE_WAIT: Duration = Duration::from_secs(30);
const NOT_ENDED: u8 = 7;

#[derive(Serialize)]
#[serde(transparent)]
struct Tasks(Vec<Task>);

impl Shown for Tasks {
    fn table(&self) -> String {
        let rows = self.0.iter().map(|task| {
            let output = output::payload(task.output.as_ref());
            let error = task.error.as_ref().map(|error| error.message.as_str());
            vec![
                task.id.into(),
                output::status_cell(task.status),
                Cell::from(error.or(output).unwrap_or_default()),
            ]
        });
        let columns = [
            Column::new("task"),
            Column::new("status").leaves(2),
            Column::new("result").text().leaves(1),
        ];
        output::table(&columns, rows.collect())
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|task| task.id.to_string()).collect()
    }
}

pub(super) async fn run(args: &WaitArgs, format: Format) -> Done {
    let client = client(&args.connection)?;
    let until = args.within.map(|within| Instant::now() + within);
    let mut patience = Patience::of(args.away.server_wait);
    let mut tasks = Vec::with_capacity(args.tasks.len());
    for task in &args.tasks {
        tasks.push(ended(&client, *task, until, &mut patience).await?);
    }
    let code = tasks
        .iter()
        .map(|task| exit_code(task.status))
        .max()
        .unwrap_or(0);
    format.print(&Tasks(tasks))?;
    Ok(ExitCode::from(code))
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
