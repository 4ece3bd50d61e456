//! `taskyard list`.

mod watch;

use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::Serialize;
use taskyard_api::client::{Client, Error};
use taskyard_api::page::{TaskPage, TasksQuery};
use taskyard_api::task::Task;
use taskyard_api::time::Time;
use taskyard_core::id::TaskId;
use taskyard_core::time::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

use super::away::Patience;
use super::{Done, client, now};
use crate::cli::ListArgs;
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Shown};
use crate::signals;

/// What can be seen of each task.
pub(crate) const COLUMNS: [Column; 8] = [
    Column::new("task").id(),
    Column::new("kind").name().leaves(6),
    Column::new("queue").name().leaves(1),
    Column::new("status").leaves(7),
    Column::new("attempts").leaves(2),
    Column::new("worker").name().leaves(3),
    Column::new("age").leaves(5),
    Column::new("what").text().leaves(4),
];

/// So many of those that cannot be read are named.
const LEFT_OUT_SHOWN_MAX: usize = 3;

#[derive(Serialize)]
struct Tasks {
    #[serde(flatten)]
    page: TaskPage,
    /// The server's time, for ages.
    #[serde(skip)]
    now: Timestamp,
}

impl Shown for Tasks {
    fn table(&self) -> String {
        let rows = self.page.items.iter().map(|task| row(task, self.now));
        output::table(&COLUMNS, rows.collect())
    }

    fn ids(&self) -> Vec<String> {
        self.page
            .items
            .iter()
            .map(|task| task.id.to_string())
            .collect()
    }
}

pub(super) async fn run(args: &ListArgs, format: Format) -> Done {
    let query = TasksQuery {
        sort: args.oldest_first.then(|| "created".to_owned()),
        limit: Some(args.limit),
        cursor: args.cursor.clone(),
        ..args.filter.query()
    };
    let client = client(&args.connection)?;
    if args.watch {
        let patience = Patience::of(args.away.server_wait);
        return watch::watch(&client, query, format, patience).await;
    }
    let mut page = TaskPage {
        next_cursor: args.cursor.clone(),
        ..TaskPage::default()
    };
    // Before the first page is asked for, so that it ends the search at any moment.
    let mut interrupts = signal(SignalKind::interrupt())?;
    let end = tokio::select! {
        found = find(&client, query, &mut page) => match found {
            Ok(()) => End::Whole,
            Err(error) => End::Failed(error),
        },
        _ = interrupts.recv() => End::Interrupted,
    };
    let has_nothing =
        page.items.is_empty() && page.unreadable.is_empty() && page.next_cursor == args.cursor;
    let now = now(&client);
    let tasks = Tasks { page, now };
    match end {
        End::Failed(error) if has_nothing => return Err(error.into()),
        // What was found until then is shown, with where to go on.
        End::Whole | End::Interrupted | End::Failed(_) => format.print(&tasks)?,
    }
    if format == Format::Table {
        let is_whole = matches!(end, End::Whole);
        let is_known = tasks.page.unreadable.is_empty();
        let is_empty = tasks.page.items.is_empty() && tasks.page.next_cursor.is_none();
        if is_whole && is_known && is_empty {
            output::note(nothing(args));
        }
        if let Some(cursor) = &tasks.page.next_cursor {
            output::note(&format!("There are more: --cursor {cursor}"));
        }
    }
    // Whoever counts on the ids alone misses some.
    if let Some(said) = left_out(&tasks.page.unreadable) {
        output::note(&said);
    }
    match end {
        End::Whole => Ok(ExitCode::SUCCESS),
        End::Interrupted => Ok(signals::exit_code(Signal::SIGINT)),
        End::Failed(error) => Err(Failure::from(error).told()),
    }
}

/// What is said of those that the database cannot read, if there are any.
fn left_out(unreadable: &[TaskId]) -> Option<String> {
    let (shown, others) = unreadable.split_at(unreadable.len().min(LEFT_OUT_SHOWN_MAX));
    let shown: Vec<String> = shown.iter().map(TaskId::to_string).collect();
    let more = match others.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!unreadable.is_empty()).then(|| {
        format!(
            "Left out, since the database cannot read them: {}{more}; `taskyard db check` looks for damage.",
            shown.join(", ")
        )
    })
}

/// What an empty list means.
fn nothing(args: &ListArgs) -> &'static str {
    if !args.filter.is_empty() {
        "No task fits."
    } else if args.cursor.is_some() {
        "There are no more."
    } else {
        "There is no task yet. `taskyard submit echo '\"hello\"'` makes one."
    }
}

/// What ended the search.
enum End {
    Whole,
    Interrupted,
    Failed(Error),
}

/// Page after page: one of them ends where it has looked at so many tasks, whether its filter let any of these through
/// or not.
pub(super) async fn find(
    client: &Client,
    mut query: TasksQuery,
    found: &mut TaskPage,
) -> Result<(), Error> {
    let wanted = query.limit;
    loop {
        let page = client.list(&query).await?;
        found.items.extend(page.items);
        found.unreadable.extend(page.unreadable);
        found.next_cursor = page.next_cursor;
        let count = u32::try_from(found.items.len()).unwrap_or(u32::MAX);
        query.limit = wanted.map(|wanted| wanted.saturating_sub(count));
        query.cursor.clone_from(&found.next_cursor);
        if query.cursor.is_none() || query.limit == Some(0) {
            return Ok(());
        }
    }
}

fn row(task: &Task, now: Timestamp) -> Vec<Cell> {
    let said = task.error.as_ref().map(ToString::to_string);
    let took = task.started_at.zip(task.ended_at);
    let took = took.map(|(start, end)| match end.0.since(start.0) {
        // Times are told to the millisecond.
        Duration::ZERO => "took under 1ms".to_owned(),
        took => format!("took {}", output::time(took)),
    });
    let progress = task.progress.as_ref();
    let progress =
        progress.and_then(|progress| output::share(progress).or_else(|| progress.message.clone()));
    vec![
        task.id.to_string().into(),
        task.kind.clone().into(),
        task.queue.clone().into(),
        output::status_cell(task.status),
        task.attempts.into(),
        task.worker_id.clone().unwrap_or_default().into(),
        age(task.created_at, now).into(),
        progress.or(said).or(took).unwrap_or_default().into(),
    ]
}

/// How long before now, in one unit.
pub(super) fn age(time: Time, now: Timestamp) -> String {
    span(now.since(time.0).as_secs())
}

pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_one_unit() {
        assert_eq!(
            [0, 59, 60, 3599, 3600, 90_000].map(span),
            ["0s", "59s", "1m", "59m", "1h", "1d"]
        );
    }
}
