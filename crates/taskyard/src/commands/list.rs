//! `taskyard list`.

mod watch;

use std::borrow::Cow;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::Serialize;
use taskyard_api::client::{Client, Error};
use taskyard_api::page::{TaskPage, TasksQuery};
use taskyard_api::task::{Status, Task};
use taskyard_api::time::Time;
use taskyard_core::id::TaskId;
use taskyard_core::shell::flag;
use taskyard_core::time::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

use super::away::Patience;
use super::wait::printed;
use super::{Done, client, now};
use crate::cli::ListArgs;
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Shown};
use crate::signals;

/// What can be seen of each task.
pub(crate) const COLUMNS: [Column; 9] = [
    Column::new("task").id(),
    Column::new("kind").name().leaves(7),
    Column::new("queue").name().leaves(1),
    Column::new("status").leaves(8),
    Column::new("attempts").leaves(2),
    Column::new("worker").name().leaves(4),
    Column::new("age").leaves(6),
    Column::new("took").leaves(3),
    Column::new("result").text().leaves(5),
];

/// So many of those that cannot be read are named.
const LEFT_OUT_SHOWN_MAX: usize = 3;
/// So much is seen of an output; `taskyard show` has all of it.
const OUTPUT_LETTERS: usize = 200;

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
    let shows_outputs = format == Format::Table && !args.watch && args.filter.lets_completed();
    let query = TasksQuery {
        include: shows_outputs.then(|| "payload".to_owned()),
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
            let instants = args.filter.instants();
            output::note(&format!(
                "There are more: {instants}{}",
                flag("--cursor", cursor)
            ));
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
/// or not. Payloads, where they are asked for, come with the first one alone, which bounds them, and only where the server
/// has room for them: tasks are seen without them as well.
pub(super) async fn find(
    client: &Client,
    mut query: TasksQuery,
    found: &mut TaskPage,
) -> Result<(), Error> {
    let wanted = query.limit;
    loop {
        let answer = client.list(&query).await;
        let had_payloads = query.include.take().is_some();
        let page = match answer {
            Err(error) if had_payloads && error.code() == Some("answers_full") => continue,
            answer => answer?,
        };
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
    let took = task.started_at.zip(task.ended_at);
    let took = took.map(|(start, end)| match end.0.since(start.0) {
        // Times are told to the millisecond.
        Duration::ZERO => "<1ms".to_owned(),
        took => output::time(took),
    });
    vec![
        task.id.to_string().into(),
        task.kind.clone().into(),
        task.queue.clone().into(),
        output::status_cell(task.status),
        task.attempts.into(),
        task.worker_id.clone().unwrap_or_default().into(),
        age(task.created_at, now).into(),
        took.unwrap_or_default().into(),
        result(task, now).into(),
    ]
}

/// How it ended; before that when it is due, how far it is, or why its latest run did not end it.
fn result(task: &Task, now: Timestamp) -> String {
    let error = task.error.as_ref().map(ToString::to_string);
    match task.status {
        Status::Scheduled => {
            let due = span(task.run_at.0.since(now).as_secs());
            let due = format!("due in {due}");
            error.map_or(due.clone(), |error| format!("{due}; {error}"))
        }
        Status::Pending => error.unwrap_or_default(),
        Status::Assigned | Status::Running => {
            let progress = task.progress.as_ref().map(output::progress);
            progress.or(error).unwrap_or_default()
        }
        Status::Completed | Status::Failed | Status::Timeout | Status::Cancelled => error
            .or_else(|| printed(task))
            .or_else(|| {
                output::payload(task.output.as_ref()).map(|output| beginning(&readable(output)))
            })
            .unwrap_or_default(),
    }
}

/// Letters that were sent as numbers, as Python writes all but ASCII's.
fn readable(output: &str) -> Cow<'_, str> {
    let numbered = output
        .contains("\\u")
        .then(|| serde_json::from_str(output).ok());
    let value: Option<serde_json::Value> = numbered.flatten();
    value.map_or(Cow::Borrowed(output), |value| value.to_string().into())
}

fn beginning(output: &str) -> String {
    let mut letters = output.chars();
    let mut beginning: String = letters.by_ref().take(OUTPUT_LETTERS).collect();
    if letters.next().is_some() {
        beginning.push('…');
    }
    beginning
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

    fn task(changed: serde_json::Value) -> Task {
        let time = "2026-01-01T00:00:00Z";
        let mut task = serde_json::json!({
            "id": "01890a5d-ac96-774b-bcce-b302099a8057", "kind": "echo", "queue": "default", "error": null,
            "priority": 0, "labels": {}, "requires": {}, "run_at": time, "created_at": time, "assigned_at": null,
            "started_at": null, "ended_at": null, "timeout_ms": 1, "attempts": 0, "failures": 0, "losses": 0,
            "max_attempts": 1, "max_losses": 1, "worker_id": null, "progress": null, "job_id": null,
            "retry": {"backoff_ms": 1, "factor": 2.0, "max_ms": 1, "jitter": 0.5}, "exclusive": false,
            "unique_key": null, "retry_of": null, "origin": null, "required_submissions": 1,
        });
        let serde_json::Value::Object(changed) = changed else {
            panic!("it is an object");
        };
        task.as_object_mut().unwrap().extend(changed);
        serde_json::from_str(&task.to_string()).unwrap()
    }

    #[test]
    fn letters_sent_as_numbers_are_shown_as_letters() {
        let shown = r#"{"t":"日本"}"#;
        assert_eq!(readable(r#"{"t": "\u65e5\u672c"}"#), shown);
        assert_eq!(readable(shown), shown);
        let cut = r#""\u65"#;
        assert_eq!(readable(cut), cut);
    }

    #[test]
    fn the_last_column_says_what_matters_of_a_task_where_it_stands() {
        let error = serde_json::json!({"code": "exit_code", "message": "it ended with 1"});
        let long = "x".repeat(300);
        let shown = format!("\"{}…", &long[..199]);
        for (changed, said) in [
            (serde_json::json!({"status": "pending"}), ""),
            (
                serde_json::json!({"status": "scheduled", "run_at": "2026-01-01T01:30:00Z"}),
                "due in 1h",
            ),
            (
                serde_json::json!({"status": "scheduled", "run_at": "2026-01-01T00:00:04Z", "error": error}),
                "due in 4s; exit_code: it ended with 1",
            ),
            (
                serde_json::json!({"status": "running", "progress": {"fraction": 0.5, "message": "half"}}),
                "50 % half",
            ),
            (
                serde_json::json!({"status": "failed", "error": error}),
                "exit_code: it ended with 1",
            ),
            (
                serde_json::json!({"status": "completed", "output": {"a": [1]}}),
                "{\"a\":[1]}",
            ),
            (
                serde_json::json!({"status": "completed", "output": null}),
                "",
            ),
            (
                serde_json::json!({"status": "completed", "output": long}),
                &shown,
            ),
            (
                serde_json::json!({"status": "completed", "kind": "command",
                    "output": {"exit_code": 0, "stdout": "5\n6\n", "stderr": ""}}),
                "5",
            ),
        ] {
            let time: Time = "2026-01-01T00:00:00Z".parse().unwrap();
            assert_eq!(result(&task(changed), time.0), said);
        }
    }

    #[test]
    fn ages_have_one_unit() {
        assert_eq!(
            [0, 59, 60, 3599, 3600, 90_000].map(span),
            ["0s", "59s", "1m", "59m", "1h", "1d"]
        );
    }
}
