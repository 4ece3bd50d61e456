//! `taskyard workers`.

mod verbs;

use std::process::ExitCode;

use serde::Serialize;
use taskyard_api::client::Error;
use taskyard_api::page::Page;
use taskyard_api::worker::{Worker, WorkerStatus};
use taskyard_core::time::Timestamp;

use super::list::age;
use super::{Done, client, now};
use crate::cli::{ListWorkersArgs, WorkersArgs};
use crate::failure::{About, Failure};
use crate::output::{self, Cell, Column, Format, Shown, Tint};

/// What can be seen of each worker.
pub(crate) const COLUMNS: [Column; 7] = [
    Column::new("worker").name(),
    Column::new("status").leaves(6),
    Column::new("held").leaves(5),
    Column::new("heard").leaves(3),
    Column::new("queues").text().leaves(2),
    Column::new("labels").text().leaves(1),
    Column::new("kinds").text().leaves(4),
];

#[derive(Serialize)]
struct Workers {
    #[serde(flatten)]
    page: Page<Worker>,
    /// The server's time, for how long ago it heard of them.
    #[serde(skip)]
    now: Timestamp,
}

impl Shown for Workers {
    fn table(&self) -> String {
        let rows = self.page.items.iter();
        output::table(&COLUMNS, rows.map(|worker| row(worker, self.now)).collect())
    }

    fn ids(&self) -> Vec<String> {
        self.page
            .items
            .iter()
            .map(|worker| worker.worker_id.clone())
            .collect()
    }
}

pub(super) async fn run(args: &WorkersArgs, format: Format) -> Done {
    match &args.verb {
        Some(verb) => verbs::run(verb, format).await,
        None => list(&args.list, format).await,
    }
}

/// Whoever mistypes a name learns where the right ones are.
pub(super) fn found<T>(answer: Result<T, Error>, name: &str) -> Result<T, Failure> {
    answer.map_err(|error| {
        let is_unknown = error.code() == Some("not_found");
        let mut failure = Failure::about(error, About::Worker);
        if is_unknown {
            failure.message =
                format!("no worker is called {name:?}\n  `taskyard workers --all` lists them.");
        }
        failure
    })
}

async fn list(args: &ListWorkersArgs, format: Format) -> Done {
    let client = client(&args.connection)?;
    let items = client.all_workers().await?;
    let now = now(&client);
    let mut page = Page {
        items,
        next_cursor: None,
    };
    let all = page.items.len();
    if !args.all {
        page.items
            .retain(|worker| worker.status != WorkerStatus::Offline);
    }
    let hidden = all - page.items.len();
    let shown = page.items.len();
    format.print(&Workers { page, now })?;
    if shown == 0 && format == Format::Table {
        output::note(
            "No worker is here. `taskyard worker` starts one, `taskyard serve --internal-workers 3` a server with three.",
        );
    }
    // In every format: what was left out is no part of what was asked for, and to programs looks as if it were not there.
    if hidden > 0 {
        output::note(&if hidden == 1 {
            "1 more is offline; --all shows it.".to_owned()
        } else {
            format!("{hidden} more are offline; --all shows them.")
        });
    }
    Ok(ExitCode::SUCCESS)
}

fn tint(status: WorkerStatus) -> Tint {
    match status {
        WorkerStatus::Idle => Tint::Plain,
        WorkerStatus::Busy => Tint::Active,
        WorkerStatus::Draining => Tint::Odd,
        WorkerStatus::Offline => Tint::Bad,
    }
}

fn row(worker: &Worker, now: Timestamp) -> Vec<Cell> {
    vec![
        worker.worker_id.clone().into(),
        Cell::tinted(worker.status.as_str(), tint(worker.status)),
        format!("{}/{}", worker.held, worker.capacity).into(),
        heard(worker, now, "").into(),
        all_or(worker.queues.as_deref()).into(),
        output::pairs(&worker.labels, " ").into(),
        all_for_star(&worker.kinds).into(),
    ]
}

/// How long ago it was heard; of one that was killed that is not known.
fn heard(worker: &Worker, now: Timestamp, ago: &str) -> String {
    let heard = worker.heard_at.map(|at| format!("{}{ago}", age(at, now)));
    heard.unwrap_or_else(|| "killed".to_owned())
}

fn all_or(queues: Option<&[String]>) -> String {
    queues.map_or("all".to_owned(), |queues| queues.join(","))
}

fn all_for_star(kinds: &[String]) -> String {
    if kinds == ["*"] {
        "all".to_owned()
    } else {
        kinds.join(",")
    }
}
