//! What `taskyard cancel` and `taskyard retry` do to every task of a filter.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::Signal;
use taskyard_api::client::{Client, Error};
use taskyard_api::operation::{Act, Matching, Operation, Status};
use taskyard_core::id::OperationId;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::away::Patience;
use super::submit::new_key;
use super::{Done, now, operations};
use crate::cli::{AwayArgs, BulkArgs};
use crate::failure::Failure;
use crate::output::{self, Format, Shown};
use crate::signals;

/// How often it is asked how far an operation is.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Whoever waits longer may want to leave.
const LONG: Duration = Duration::from_secs(2);
/// The exit code of an operation that somebody has stopped; the same as of a cancelled task.
const CANCELLED: u8 = 6;

impl Shown for Matching {
    fn table(&self) -> String {
        let more = if self.at_least { "at least " } else { "" };
        let tasks = if self.matched == 1 { "task" } else { "tasks" };
        format!("{more}{} {tasks}", self.matched)
    }

    fn ids(&self) -> Vec<String> {
        vec![self.matched.to_string()]
    }
}

/// Begins it, and follows it till the end unless it is not to be waited for.
pub(super) async fn run(
    client: &Client,
    act: Act,
    args: &BulkArgs,
    away: &AwayArgs,
    format: Format,
) -> Done {
    if args.filter.is_empty() && !args.all {
        return Err(Failure::usage(
            "no task is named; give ids, or flags such as --kind or --status that say which tasks, or --all for every one",
        ));
    }
    let filter = args.filter.filter();
    if args.dry_run {
        let matching = client.count_matching(act, filter).await?;
        format.print(&matching)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (key, mut patience) = (new_key(), Patience::of(away.server_wait));
    let begin = async || {
        client
            .operate(act, filter.clone(), args.all, Some(&key))
            .await
    };
    let begun = patience.until_answered(begin).await?;
    let mut interrupts = signal(SignalKind::interrupt())?;
    let id = begun.id;
    let ended = if args.detach {
        begun
    } else {
        tokio::select! {
            ended = follow(client, begun, &mut patience) => ended?,
            _ = interrupts.recv() => {
                output::note(&goes_on(id));
                return Ok(signals::exit_code(Signal::SIGINT));
            }
        }
    };
    let row = operations::Row {
        operation: ended,
        now: now(client),
    };
    format.print(&row)?;
    let ended = row.operation;
    if format == Format::Table {
        output::note(&match ended.status {
            Status::Running => goes_on(id),
            Status::Done | Status::Cancelled => summary(&ended),
        });
    }
    Ok(match ended.status {
        Status::Running | Status::Done => ExitCode::SUCCESS,
        Status::Cancelled => ExitCode::from(CANCELLED),
    })
}

/// What it came to, in a few words.
fn summary(ended: &Operation) -> String {
    let done = match ended.act {
        Act::Cancel => "cancelled",
        Act::Retry => "made again",
    };
    let stopped = match ended.status {
        Status::Cancelled => "Somebody has stopped it: ",
        Status::Running | Status::Done => "",
    };
    match (ended.done, ended.skipped) {
        (0, 0) => format!("{stopped}no task fitted"),
        (count, 0) => format!("{stopped}{count} {done}"),
        (count, skipped) => format!("{stopped}{count} {done}, {skipped} skipped"),
    }
}

/// Until it has ended. On a terminal it is shown how far it is.
async fn follow(
    client: &Client,
    mut operation: Operation,
    patience: &mut Patience,
) -> Result<Operation, Failure> {
    let mut line = Line::new();
    while operation.status == Status::Running {
        line.show(&operation);
        tokio::time::sleep(LOOK_EVERY).await;
        let id = operation.id;
        let look = async || client.operation(id).await;
        match patience.until_answered(look).await {
            Ok(now) => operation = now,
            Err(error) => return Err(left(error, id)),
        }
    }
    Ok(operation)
}

/// Why it is followed no more, which does not end it.
fn left(error: Error, id: OperationId) -> Failure {
    Failure::from(error).and(Some(&goes_on(id)))
}

fn goes_on(id: OperationId) -> String {
    format!(
        "The operation goes on without this command; `taskyard operations show {id}` shows how far it is, `taskyard \
         operations cancel {id}` stops it."
    )
}

/// One line of the terminal, written over and over; nothing where there is none.
struct Line {
    is_shown: bool,
    is_begun: bool,
    since: Instant,
    /// How it goes on alone was said.
    is_told: bool,
}

impl Line {
    fn new() -> Self {
        Self {
            is_shown: std::io::stderr().is_terminal(),
            is_begun: false,
            since: Instant::now(),
            is_told: false,
        }
    }

    fn show(&mut self, operation: &Operation) {
        if !self.is_shown {
            return;
        }
        if self.since.elapsed() >= LONG && !std::mem::replace(&mut self.is_told, true) {
            self.clear();
            output::note(&goes_on(operation.id));
        }
        self.is_begun = true;
        let (done, skipped) = (operation.done, operation.skipped);
        // Nobody looks: there is nobody to tell.
        let _ = write!(
            std::io::stderr(),
            "\r\x1b[K{done} tasks done, {skipped} skipped …"
        );
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.is_begun) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operation_came_to_is_said_in_a_few_words() {
        let check = |act: &str, status: &str, done: u64, skipped: u64, said: &str| {
            let operation = serde_json::json!({
                "id": "01890a5d-ac96-774b-bcce-b302099a8057", "act": act, "status": status, "filter": {},
                "matched": done + skipped, "done": done, "skipped": skipped,
                "created_at": "2026-01-01T00:00:00Z", "ended_at": "2026-01-01T00:00:01Z",
            });
            assert_eq!(summary(&serde_json::from_value(operation).unwrap()), said);
        };

        check("cancel", "done", 6, 0, "6 cancelled");
        check("cancel", "done", 0, 0, "no task fitted");
        check("retry", "done", 5, 1, "5 made again, 1 skipped");
        let stopped = "Somebody has stopped it: 6 cancelled";
        check("cancel", "cancelled", 6, 0, stopped);
    }
}
