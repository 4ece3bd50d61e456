//! `taskyard queues`.

mod show;

use std::process::ExitCode;

use taskyard_api::client::Client;
use taskyard_api::page::{Page, PageQuery, TaskPage, TasksQuery};
use taskyard_api::queue::{Defaults, PatchQueue, Queue, QueueSettings, Retention};
use taskyard_api::task::Retry;
use taskyard_core::retention;

use super::list::span;
use super::{Done, client};
use crate::cli::{ListQueuesArgs, OrDefault, QueueVerb, QueuesArgs, SetQueueArgs};
use crate::failure::{About, Failure};
use crate::output::{self, Cell, Column, Format, Pieces, Shown, Tint, Value};
use crate::settings::units::{duration_text, millis_sent, retention_text};

/// Queues are asked for so many at a time.
const PAGE: u32 = 1_000;

/// What can be seen of each queue.
pub(crate) const COLUMNS: [Column; 7] = [
    Column::new("queue").name(),
    Column::new("status").leaves(6),
    Column::new("pending").leaves(5),
    Column::new("oldest").leaves(4),
    Column::new("running").leaves(3),
    Column::new("scheduled").leaves(2),
    Column::new("defaults").text().leaves(1),
];

fn row(queue: &Queue) -> Vec<Cell> {
    let counts = &queue.counts;
    let age = queue.oldest_ms.map(|ms| span(ms / 1000));
    vec![
        queue.name.clone().into(),
        Cell::tinted(status(queue.paused), tint(queue.paused)),
        counts.pending.to_string().into(),
        age.unwrap_or_default().into(),
        (counts.running + counts.assigned).to_string().into(),
        counts.scheduled.to_string().into(),
        words(&queue.defaults, queue.retention.as_ref()).into(),
    ]
}

fn status(paused: bool) -> &'static str {
    if paused { "paused" } else { "open" }
}

fn tint(paused: bool) -> Tint {
    if paused { Tint::Odd } else { Tint::Plain }
}

fn words(defaults: &Defaults, retention: Option<&Retention>) -> String {
    let attempts = defaults.max_attempts.map(|max| format!("attempts={max}"));
    let timeout = defaults.timeout_ms.map(|ms| {
        let time = std::time::Duration::from_millis(ms);
        format!("timeout={}", duration_text(time))
    });
    let retry = defaults.retry.as_ref().map(backoff);
    let kept = retention.map(|kept| format!("retain={}", retention_text(&lives(kept))));
    let words = [attempts, timeout, retry, kept].into_iter().flatten();
    let words: Vec<String> = words.collect();
    words.join(" ")
}

/// The wait after the first failure, and what of the rest is not as usual.
fn backoff(retry: &Retry) -> String {
    let usual = Retry::default();
    let time = |ms| duration_text(std::time::Duration::from_millis(ms));
    let mut words = format!("backoff={}", time(retry.backoff_ms));
    if retry.factor.total_cmp(&usual.factor).is_ne() {
        words += &format!(" backoff-factor={}", retry.factor);
    }
    if retry.max_ms != usual.max_ms {
        words += &format!(" backoff-max={}", time(retry.max_ms));
    }
    if retry.jitter.total_cmp(&usual.jitter).is_ne() {
        words += &format!(" backoff-jitter={}", retry.jitter);
    }
    words
}

impl Shown for QueueSettings {
    fn table(&self) -> String {
        let status = Value::tinted(status(self.paused), tint(self.paused));
        let mut rows = vec![("queue", (&self.name).into()), ("status", status)];
        let defaults = words(&self.defaults, self.retention.as_ref());
        if !defaults.is_empty() {
            rows.push(("defaults", defaults.into()));
        }
        output::sheet(&rows)
    }

    fn ids(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

pub(super) async fn run(args: &QueuesArgs, format: Format) -> Done {
    let about = |error| Failure::about(error, About::Queue);
    let set = match &args.verb {
        None => return list(&args.list, format).await,
        Some(QueueVerb::List(args)) => return list(args, format).await,
        Some(QueueVerb::Show(queue)) => return show::run(queue, format).await,
        Some(QueueVerb::Pause(queue)) => {
            let client = client(&queue.connection)?;
            let paused = client.pause_queue(&queue.queue).await.map_err(about)?;
            warn_if_it_is_new(&client, &queue.queue).await;
            paused
        }
        Some(QueueVerb::Resume(queue)) => {
            let client = client(&queue.connection)?;
            let resumed = client.resume_queue(&queue.queue).await.map_err(about)?;
            warn_if_it_is_new(&client, &queue.queue).await;
            resumed
        }
        Some(QueueVerb::Set(set)) => {
            let patch = patch(set)?;
            let client = client(&set.queue.connection)?;
            let patched = client.patch_queue(&set.queue.queue, &patch).await;
            patched.map_err(about)?
        }
    };
    format.print(&set)?;
    Ok(ExitCode::SUCCESS)
}

/// Who mistyped a name should hear of it; nobody else has to know why.
async fn warn_if_it_is_new(client: &Client, queue: &str) {
    let query = TasksQuery {
        queue: Some(queue.to_owned()),
        limit: Some(1),
        ..TasksQuery::default()
    };
    let mut found = TaskPage::default();
    // What cannot be asked is not worth a failure: it was done.
    if super::list::find(client, query, &mut found).await.is_ok() && found.items.is_empty() {
        output::note(&format!(
            "No task has used the queue {queue} yet, or all that did are gone; `taskyard queues` lists those there are."
        ));
    }
}

/// All of them, page after page, each printed as it comes; as JSON all in one document.
async fn list(args: &ListQueuesArgs, format: Format) -> Done {
    let client = client(&args.connection)?;
    let mut query = PageQuery {
        limit: Some(PAGE),
        cursor: None,
    };
    let mut table = Pieces::of(&COLUMNS);
    let mut all = Vec::new();
    let mut is_empty = true;
    loop {
        let page = client.queues(&query).await?;
        let is_last = page.next_cursor.is_none();
        query.cursor = page.next_cursor;
        is_empty &= page.items.is_empty();
        let text = match format {
            // Without any there is a header all the same, at the end.
            Format::Table if is_empty && !is_last => String::new(),
            Format::Table => table.more(page.items.iter().map(row).collect()),
            Format::Quiet => names(&page.items),
            Format::Json => {
                all.extend(page.items);
                String::new()
            }
        };
        output::line(&text)?;
        if is_last {
            break;
        }
    }
    match format {
        Format::Table if is_empty => {
            output::note("No queue has or had a task. `taskyard submit echo 1` submits one.");
        }
        Format::Json => {
            let page = Page {
                items: all,
                next_cursor: None,
            };
            let text = serde_json::to_string_pretty(&page).map_err(anyhow::Error::from)?;
            output::line(&output::escaped(&text))?;
        }
        Format::Table | Format::Quiet => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn names(queues: &[Queue]) -> String {
    let names: Vec<&str> = queues.iter().map(|queue| queue.name.as_str()).collect();
    output::safe(&names.join("\n"))
}

fn patch(args: &SetQueueArgs) -> Result<PatchQueue, Failure> {
    let more = &args.backoff_more;
    let retry = match args.backoff {
        Some(OrDefault(None)) if more.is_asked() => {
            return Err(Failure::usage(
                "--backoff default takes all four as the server says, so none of the others goes with it",
            ));
        }
        Some(OrDefault(None)) => Some(None),
        Some(OrDefault(Some(backoff))) => Some(more.retry(Some(backoff))),
        None => more.retry(None).map(Some),
    };
    let patch = PatchQueue {
        max_attempts: args.max_attempts.map(|max| max.0),
        timeout_ms: args.timeout.map(|time| time.0.map(millis_sent)),
        retry,
        retention: args.retain.map(|retain| retain.0.map(|kept| times(&kept))),
    };
    if patch == PatchQueue::default() {
        return Err(Failure::usage(
            "nothing is set; give one of --max-attempts, --timeout, --backoff and --retain, or several",
        ));
    }
    Ok(patch)
}

/// As it is sent.
fn times(kept: &retention::Retention) -> Retention {
    let ms = |life: Option<std::time::Duration>| life.map(millis_sent);
    Retention {
        completed_ms: ms(kept.completed),
        failed_ms: ms(kept.failed),
        timeout_ms: ms(kept.timeout),
        cancelled_ms: ms(kept.cancelled),
    }
}

/// As it is shown.
fn lives(kept: &Retention) -> retention::Retention {
    let life = |ms: Option<i64>| {
        ms.map(|ms| std::time::Duration::from_millis(u64::try_from(ms).unwrap_or_default()))
    };
    retention::Retention {
        completed: life(kept.completed_ms),
        failed: life(kept.failed_ms),
        timeout: life(kept.timeout_ms),
        cancelled: life(kept.cancelled_ms),
    }
}
