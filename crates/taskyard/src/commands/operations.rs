//! `taskyard operations`: what was done to every task of a filter at once.

use std::process::ExitCode;

use serde::Serialize;
use taskyard_api::operation::{Act, Operation, Status, TasksFilter};
use taskyard_api::page::{Page, PageQuery};
use taskyard_core::shell::flag;
use taskyard_core::time::Timestamp;

use super::list::age;
use super::{Done, client, now};
use crate::cli::{ListOperationsArgs, OperationVerb, OperationsArgs};
use crate::failure::{About, Failure};
use crate::output::{self, Cell, Column, Format, Shown, Tint, Value};

/// What can be seen of each operation.
pub(crate) const COLUMNS: [Column; 7] = [
    Column::new("operation").id(),
    Column::new("act").leaves(5),
    Column::new("status").leaves(6),
    Column::new("done").leaves(4),
    Column::new("skipped").leaves(1),
    Column::new("age").leaves(2),
    Column::new("filter").text().leaves(3),
];

#[derive(Serialize)]
struct Operations {
    #[serde(flatten)]
    page: Page<Operation>,
    /// The server's time, for ages.
    #[serde(skip)]
    now: Timestamp,
}

impl Shown for Operations {
    fn table(&self) -> String {
        let rows = self.page.items.iter();
        output::table(
            &COLUMNS,
            rows.map(|operation| row(operation, self.now)).collect(),
        )
    }

    fn ids(&self) -> Vec<String> {
        let ids = self.page.items.iter().map(|operation| operation.id);
        ids.map(|id| id.to_string()).collect()
    }
}

impl Shown for Operation {
    fn table(&self) -> String {
        let (word, tint) = status(self.status);
        let mut rows = vec![
            ("operation", self.id.into()),
            ("act", act(self.act).into()),
            ("status", Value::tinted(word, tint)),
            ("filter", filter(&self.filter).into()),
            ("matched", self.matched.into()),
            ("done", self.done.into()),
            ("skipped", self.skipped.into()),
            ("created", self.created_at.into()),
        ];
        rows.extend(self.ended_at.map(|ended| ("ended", ended.into())));
        output::sheet(&rows)
    }

    fn ids(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }
}

/// One as its row among others.
#[derive(Serialize)]
pub(super) struct Row {
    #[serde(flatten)]
    pub(super) operation: Operation,
    /// The server's time, for its age.
    #[serde(skip)]
    pub(super) now: Timestamp,
}

impl Shown for Row {
    fn table(&self) -> String {
        output::table(&COLUMNS, vec![row(&self.operation, self.now)])
    }

    fn ids(&self) -> Vec<String> {
        self.operation.ids()
    }
}

fn act(act: Act) -> &'static str {
    match act {
        Act::Cancel => "cancel",
        Act::Retry => "retry",
    }
}

fn status(status: Status) -> (&'static str, Tint) {
    match status {
        Status::Running => ("running", Tint::Active),
        Status::Done => ("done", Tint::Good),
        Status::Cancelled => ("cancelled", Tint::Odd),
    }
}

fn row(operation: &Operation, now: Timestamp) -> Vec<Cell> {
    let (word, tint) = status(operation.status);
    vec![
        operation.id.to_string().into(),
        act(operation.act).into(),
        Cell::tinted(word, tint),
        operation.done.into(),
        operation.skipped.into(),
        age(operation.created_at, now).into(),
        filter(&operation.filter).into(),
    ]
}

/// Which tasks it is about, in the words of the flags.
fn filter(filter: &TasksFilter) -> String {
    let statuses: Vec<&str> = filter.status.iter().map(|status| status.as_str()).collect();
    let statuses = (!statuses.is_empty()).then(|| statuses.join(","));
    let labels = filter
        .label
        .iter()
        .map(|label| ("label", Some(label.clone())));
    let time = |time: Option<taskyard_api::time::Time>| time.map(|time| time.to_string());
    let conditions = [
        ("kind", filter.kind.clone()),
        ("queue", filter.queue.clone()),
        ("status", statuses),
        ("worker", filter.worker_id.clone()),
        ("search", filter.q.clone()),
        ("created-after", time(filter.created_after)),
        ("created-before", time(filter.created_before)),
    ];
    let conditions = conditions.into_iter().chain(labels);
    let given = conditions.filter_map(|(name, value)| Some((name, value?)));
    let text = output::pairs(given, " ");
    if text.is_empty() {
        return "all".to_owned();
    }
    text
}

pub(super) async fn run(args: &OperationsArgs, format: Format) -> Done {
    let about = |error| Failure::about(error, About::Operation);
    let one = match &args.verb {
        None => return list(&args.list, format).await,
        Some(OperationVerb::List(args)) => return list(args, format).await,
        Some(OperationVerb::Show(show)) => {
            let client = client(&show.connection)?;
            client.operation(show.operation).await.map_err(about)?
        }
        Some(OperationVerb::Cancel(cancel)) => {
            let client = client(&cancel.connection)?;
            let cancelled = client.cancel_operation(cancel.operation).await;
            cancelled.map_err(about)?
        }
    };
    format.print(&one)?;
    Ok(ExitCode::SUCCESS)
}

async fn list(args: &ListOperationsArgs, format: Format) -> Done {
    let query = PageQuery {
        limit: Some(args.limit),
        cursor: args.cursor.clone(),
    };
    let client = client(&args.connection)?;
    let page = client.operations(&query).await?;
    let (is_empty, next) = (page.items.is_empty(), page.next_cursor.clone());
    let now = now(&client);
    format.print(&Operations { page, now })?;
    if format == Format::Table {
        if is_empty && args.cursor.is_none() {
            output::note(
                "Nothing was done to all tasks of a filter. `taskyard cancel --kind resize` would.",
            );
        }
        if let Some(cursor) = next {
            output::note(&format!("There are more: {}", flag("--cursor", &cursor)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_reads_like_the_flags_that_made_it() {
        let given = TasksFilter {
            kind: Some("resize".to_owned()),
            status: vec![
                taskyard_api::task::Status::Failed,
                taskyard_api::task::Status::Timeout,
            ],
            label: vec!["team=blue".to_owned()],
            ..TasksFilter::default()
        };

        assert_eq!(
            filter(&given),
            "kind=resize status=failed,timeout label=team=blue"
        );
        assert_eq!(filter(&TasksFilter::default()), "all");
    }
}
