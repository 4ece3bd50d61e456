//! What `taskyard cancel` and `taskyard retry` do to every task of a filter, and `taskyard operations`, which looks after
//! that.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use taskyard_api::client::Client;
use taskyard_api::operation::{Act, Matching, Operation, Status};
use taskyard_api::page::{OperationsQuery, Page};
use taskyard_core::id::OperationId;

use super::away::Patience;
use super::list::age;
use super::submit::new_key;
use super::{Done, client};
use crate::cli::{AwayArgs, BulkArgs, OperationVerb, OperationsArgs};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Shown, Tint};

/// How often it is asked how far an operation is.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// The exit code of an operation that somebody has stopped; the same as of a cancelled task.
const CANCELLED: u8 = 6;

/// What can be seen of each operation.
pub(crate) const COLUMNS: [Column; 6] = [
    Column::new("operation"),
    Column::new("act").leaves(4),
    Column::new("status").leaves(5),
    Column::new("done").leaves(3),
    Column::new("skipped").leaves(1),
    Column::new("age").leaves(2),
];

#[derive(Serialize)]
#[serde(transparent)]
struct Operations(Page<Operation>);

impl Shown for Operations {
    fn table(&self) -> String {
        output::table(&COLUMNS, self.0.items.iter().map(row).collect())
    }

    fn ids(&self) -> Vec<String> {
        let ids = self.0.items.iter().map(|operation| operation.id);
        ids.map(|id| id.to_string()).collect()
    }
}

impl Shown for Operation {
    fn table(&self) -> String {
        output::table(&COLUMNS, vec![row(self)])
    }

    fn ids(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }
}

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

fn row(operation: &Operation) -> Vec<Cell> {
    let act = match operation.act {
        Act::Cancel => "cancel",
        Act::Retry => "retry",
    };
    let status = match operation.status {
        Status::Running => Cell::tinted("running", Tint::Active),
        Status::Done => Cell::tinted("done", Tint::Good),
        Status::Cancelled => Cell::tinted("cancelled", Tint::Odd),
    };
    vec![
        operation.id.to_string().into(),
        act.into(),
        status,
        operation.done.into(),
        operation.skipped.into(),
        age(operation.created_at).into(),
    ]
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
    let ended = if args.detach {
        begun
    } else {
        follow(client, begun, &mut patience).await?
    };
    format.print(&ended)?;
    Ok(match ended.status {
        Status::Running | Status::Done => ExitCode::SUCCESS,
        Status::Cancelled => ExitCode::from(CANCELLED),
    })
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
            Err(error) => {
                line.clear();
                let mut failure = Failure::from(error);
                failure.message = format!("{}\n  {}", failure.message, goes_on(id));
                return Err(failure);
            }
        }
    }
    line.clear();
    Ok(operation)
}

fn goes_on(id: OperationId) -> String {
    format!(
        "The operation goes on without this command; `taskyard operations` shows how far it is, `taskyard operations \
         cancel {id}` stops it."
    )
}

/// One line of the terminal, written over and over; nothing where there is none.
struct Line {
    is_shown: bool,
    is_begun: bool,
}

impl Line {
    fn new() -> Self {
        Self {
            is_shown: std::io::stderr().is_terminal(),
            is_begun: false,
        }
    }

    fn show(&mut self, operation: &Operation) {
        if !self.is_shown {
            return;
        }
        if !std::mem::replace(&mut self.is_begun, true) {
            output::note(&goes_on(operation.id));
        }
        let (done, skipped) = (operation.done, operation.skipped);
        // Nobody looks: there is nobody to tell.
        let _ = write!(
            std::io::stderr(),
            "\r\x1b[K{done} tasks done, {skipped} skipped …"
        );
    }

    fn clear(&self) {
        if self.is_begun {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// `taskyard operations`
pub(super) async fn look(args: &OperationsArgs, format: Format) -> Done {
    if let Some(OperationVerb::Cancel(cancel)) = &args.verb {
        let client = client(&cancel.connection)?;
        let stopped = client.cancel_operation(cancel.operation).await?;
        format.print(&stopped)?;
        return Ok(ExitCode::SUCCESS);
    }
    let query = OperationsQuery {
        limit: Some(args.limit),
        cursor: args.cursor.clone(),
    };
    let page = client(&args.connection)?.operations(&query).await?;
    let (is_empty, next) = (page.items.is_empty(), page.next_cursor.clone());
    format.print(&Operations(page))?;
    if format == Format::Table {
        if is_empty && args.cursor.is_none() {
            output::note(
                "Nothing was done to all tasks of a filter. `taskyard cancel --kind resize` would.",
            );
        }
        if let Some(cursor) = next {
            output::note(&format!("There are more: --cursor {cursor}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
