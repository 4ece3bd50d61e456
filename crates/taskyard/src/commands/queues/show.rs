//! `taskyard queues show`: one queue, with what happened in it.

use std::process::ExitCode;

use serde::Serialize;
use taskyard_api::client::{Client, Error};
use taskyard_api::page::PageQuery;
use taskyard_api::queue::Queue;
use taskyard_api::stats::{Recent, Stats};

use super::super::list::span;
use super::super::{Done, client, stats};
use super::{PAGE, status, tint, words};
use crate::cli::QueueArgs;
use crate::failure::Failure;
use crate::output::{self, Format, Shown, Value};

#[derive(Serialize)]
struct Whole {
    queue: Queue,
    /// What happened in it in the last 1, 15 and 60 minutes, as far as the server tells it apart.
    windows: Vec<Of>,
}

#[derive(Serialize)]
struct Of {
    minutes: u32,
    #[serde(flatten)]
    recent: Recent,
}

impl Shown for Whole {
    fn table(&self) -> String {
        let queue = &self.queue;
        let mut rows = vec![
            ("queue", (&queue.name).into()),
            (
                "status",
                Value::tinted(status(queue.paused), tint(queue.paused)),
            ),
        ];
        rows.extend(stats::counts(&queue.counts));
        rows.extend(queue.oldest_ms.map(|ms| ("oldest", span(ms / 1000).into())));
        let set = words(&queue.defaults, queue.retention.as_ref());
        let set = if set.is_empty() {
            "as the server says".to_owned()
        } else {
            set
        };
        rows.push(("defaults", set.into()));
        let sheet = output::sheet(&rows);
        if self.windows.is_empty() {
            return sheet;
        }
        let windows = self.windows.iter();
        let windows = windows.map(|of| stats::row(&stats::minutes(of.minutes), &of.recent));
        let windows = output::table(&stats::COLUMNS, windows.collect());
        format!("{sheet}\n\n{windows}")
    }

    fn ids(&self) -> Vec<String> {
        vec![self.queue.name.clone()]
    }
}

pub(super) async fn run(args: &QueueArgs, format: Format) -> Done {
    let client = client(&args.connection)?;
    let Some(queue) = find(&client, &args.queue).await? else {
        return Err(Failure::new(format!(
            "no queue is called {:?}: no task has used it yet, or all that did are gone, and nothing is set of it\n  \
             `taskyard queues` lists those there are.",
            args.queue
        )));
    };
    let windows = windows(client.stats().await?, &args.queue);
    format.print(&Whole { queue, windows })?;
    Ok(ExitCode::SUCCESS)
}

/// Page after page, up to where it would stand: they are sorted by name.
async fn find(client: &Client, name: &str) -> Result<Option<Queue>, Error> {
    let mut query = PageQuery {
        limit: Some(PAGE),
        cursor: None,
    };
    loop {
        let page = client.queues(&query).await?;
        let at = page
            .items
            .into_iter()
            .find(|queue| queue.name.as_str() >= name);
        if let Some(queue) = at {
            return Ok(Some(queue).filter(|queue| queue.name == name));
        }
        if page.next_cursor.is_none() {
            return Ok(None);
        }
        query.cursor = page.next_cursor;
    }
}

fn windows(stats: Stats, name: &str) -> Vec<Of> {
    let windows = stats.windows.into_iter();
    let of = windows.filter_map(|mut window| {
        Some(Of {
            minutes: window.minutes,
            recent: window.by_queue.remove(name)?,
        })
    });
    of.collect()
}
