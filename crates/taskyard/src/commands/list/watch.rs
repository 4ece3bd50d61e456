//! `taskyard list --watch`: the table is drawn again each second. Where there is no terminal, a line is printed for each
//! change.

use std::collections::HashMap;
use std::io::{IsTerminal as _, Write as _};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anstream::adapter::strip_str;
use nix::sys::signal::Signal;
use taskyard_api::client::{Client, Error};
use taskyard_api::page::{TaskPage, TasksQuery};
use taskyard_api::task::Task;
use taskyard_api::time::Time;
use taskyard_core::id::TaskId;
use taskyard_core::time::Timestamp;
use tokio::time::{Instant, sleep};

use super::{COLUMNS, Tasks, find, left_out, row, span};
use crate::commands::away::Patience;
use crate::commands::{Done, now};
use crate::failure::Failure;
use crate::output::{self, Format, Read, Shown as _};
use crate::signals::{self, Signals};

const EVERY: Duration = Duration::from_secs(1);

/// Until it is told to stop or nobody reads any more, which is no failure.
pub(super) async fn watch(
    client: &Client,
    query: TasksQuery,
    format: Format,
    patience: Patience,
) -> Done {
    // Before anything is shown, so that it ends in order at any moment.
    let mut signals = Signals::listen()?;
    let mut shown = Where::open(format)?;
    let mut patience = shown.has_said(patience);
    loop {
        let query = TasksQuery {
            limit: query.limit.map(|limit| limit.min(shown.rows())),
            ..query.clone()
        };
        let end = tokio::select! {
            step = step(client, &query, &mut patience, &mut shown) => match step {
                Ok(Read::On) => continue,
                Ok(Read::Enough) => return Ok(ExitCode::SUCCESS),
                Err(failure) => Err(failure),
            },
            signal = signals.next() => Ok(signal),
        };
        shown.close()?;
        return end.map(|signal| match signal {
            Signal::SIGINT => ExitCode::SUCCESS,
            other => signals::exit_code(other),
        });
    }
}

/// One look, and the pause behind it. While no answer comes, it is shown how old the last one is.
async fn step(
    client: &Client,
    query: &TasksQuery,
    patience: &mut Patience,
    shown: &mut Where,
) -> Result<Read, Failure> {
    let asked = Instant::now();
    let page = {
        let mut looking = pin!(look(client, query, patience));
        loop {
            tokio::select! {
                page = &mut looking => break page?,
                () = sleep(EVERY) => shown.goes_without(asked.elapsed())?,
            }
        }
    };
    let read = shown.show(page, now(client))?;
    if let Read::On = read {
        sleep(EVERY).await;
    }
    Ok(read)
}

async fn look(
    client: &Client,
    query: &TasksQuery,
    patience: &mut Patience,
) -> Result<TaskPage, Error> {
    let ask = async || {
        let mut page = TaskPage::default();
        find(client, query.clone(), &mut page).await?;
        Ok(page)
    };
    patience.until_answered(ask).await
}

/// Where tasks are shown again and again.
enum Where {
    Screen(Screen),
    Lines(Lines),
}

impl Where {
    fn open(format: Format) -> anyhow::Result<Self> {
        if std::io::stdout().is_terminal() && format == Format::Table {
            return Screen::open().map(Self::Screen);
        }
        Ok(Self::Lines(Lines {
            format,
            known: HashMap::new(),
            left_out: None,
        }))
    }

    /// A screen shows by itself that the server is away: a line of text would tear it.
    fn has_said(&self, patience: Patience) -> Patience {
        match self {
            Self::Screen(_) => patience.silently(),
            Self::Lines(_) => patience,
        }
    }

    /// How many there is room for.
    fn rows(&self) -> u32 {
        match self {
            Self::Screen(_) => Screen::rows(),
            Self::Lines(_) => u32::MAX,
        }
    }

    fn show(&mut self, page: TaskPage, now: Timestamp) -> anyhow::Result<Read> {
        match self {
            Self::Screen(screen) => screen.show(Tasks { page, now }).map(|()| Read::On),
            Self::Lines(lines) => lines.show(page, now),
        }
    }

    /// No answer has come for so long.
    fn goes_without(&self, away: Duration) -> anyhow::Result<()> {
        match self {
            Self::Screen(screen) => screen.goes_without(away),
            Self::Lines(_) => Ok(()),
        }
    }

    fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Screen(screen) => screen.close(),
            Self::Lines(_) => Ok(()),
        }
    }
}

/// The terminal's other page, which leaves what stood there before as it was.
struct Screen {
    last: Option<Tasks>,
}

const OPEN: &str = "\x1b[?1049h\x1b[?25l";
const CLOSE: &str = "\x1b[?25h\x1b[?1049l";

impl Screen {
    fn open() -> anyhow::Result<Self> {
        write(OPEN)?;
        Ok(Self { last: None })
    }

    fn rows() -> u32 {
        let size = terminal_size::terminal_size_of(std::io::stdout());
        let height = size.map_or(u32::MAX, |(_, height)| u32::from(height.0));
        // One line is the header's, and the last is for what is said of the server.
        height.saturating_sub(2).max(1)
    }

    fn show(&mut self, tasks: Tasks) -> anyhow::Result<()> {
        let said = left_out(&tasks.page.unreadable).map(|said| fitting(&said));
        write(&frame(&drawn(&tasks), said.as_deref()))?;
        self.last = Some(tasks);
        Ok(())
    }

    /// What was seen last, and how old it is.
    fn goes_without(&self, away: Duration) -> anyhow::Result<()> {
        let Some(last) = &self.last else {
            return Ok(());
        };
        let said = fitting(&age_of(last.now, away));
        write(&frame(&drawn(last), Some(&said)))
    }

    /// What was seen last stays, on the page that was there before.
    fn close(mut self) -> anyhow::Result<()> {
        let last = self.last.take();
        drop(self);
        last.map_or(Ok(()), |tasks| output::line(&tasks.table()))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nobody looks any more: there is nobody to tell.
        let _ = write(CLOSE);
    }
}

fn drawn(tasks: &Tasks) -> String {
    let table = tasks.table();
    // What steers the terminal is wanted also where no colours are.
    if anstream::AutoStream::choice(&std::io::stdout()) == anstream::ColorChoice::Never {
        return strip_str(&table).to_string();
    }
    table
}

/// As much of it as one line of the terminal holds.
fn fitting(said: &str) -> String {
    let size = terminal_size::terminal_size_of(std::io::stdout());
    let width = size.map_or(usize::MAX, |(width, _)| usize::from(width.0));
    output::cut(said, width)
}

fn age_of(seen: Timestamp, away: Duration) -> String {
    let seen = Time(seen).to_string();
    // The time of the day alone, to the second.
    let of_day = seen.get(11..19).unwrap_or(&seen);
    format!(
        "The server is away for {}, as of {of_day}Z",
        span(away.as_secs())
    )
}

/// From the upper left corner over what stands there, line by line, and nothing below: as one write it does not flicker,
/// and without a line's end behind the last it does not scroll.
fn frame(table: &str, last: Option<&str>) -> String {
    let lines = table.lines().chain(last);
    let lines: Vec<String> = lines.map(|line| format!("{line}\x1b[K")).collect();
    format!("\x1b[H{}\x1b[J", lines.join("\r\n"))
}

fn write(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

/// One line for each task that is new or has changed.
struct Lines {
    format: Format,
    known: HashMap<TaskId, Seen>,
    /// What was said last of those that cannot be read.
    left_out: Option<String>,
}

/// What is seen of a task that changes: status, attempts, worker, progress.
type Seen = (&'static str, u32, Option<String>, Option<String>);

impl Lines {
    fn show(&mut self, mut page: TaskPage, now: Timestamp) -> anyhow::Result<Read> {
        let left_out = left_out(&page.unreadable);
        if let Some(said) = left_out.as_ref().filter(|_| left_out != self.left_out) {
            output::note(said);
        }
        self.left_out = left_out;
        // Of a list the newest stand first, of what happens they come last.
        page.items.reverse();
        let mut known = HashMap::new();
        for task in page.items {
            let progress = task.progress.as_ref().and_then(output::share);
            let worker = task.worker_id.clone();
            let seen = (task.status.as_str(), task.attempts, worker, progress);
            if self.known.get(&task.id) != Some(&seen)
                && let Read::Enough = self.print(&task, now)?
            {
                return Ok(Read::Enough);
            }
            known.insert(task.id, seen);
        }
        self.known = known;
        Ok(Read::On)
    }

    fn print(&self, task: &Task, now: Timestamp) -> anyhow::Result<Read> {
        let text = match self.format {
            Format::Table => {
                let table = output::table(&COLUMNS, vec![row(task, now)]);
                table.lines().nth(1).unwrap_or_default().to_owned()
            }
            Format::Json => output::escaped(&serde_json::to_string(task)?),
            Format::Quiet => task.id.to_string(),
        };
        output::line_of_many(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_stands_over_the_one_before_and_leaves_nothing_of_it() {
        assert_eq!(
            frame("TASK  KIND\n1     echo", None),
            "\x1b[HTASK  KIND\x1b[K\r\n1     echo\x1b[K\x1b[J"
        );
    }

    #[test]
    fn a_frame_without_a_server_says_how_old_it_is_in_its_last_line() {
        let said = age_of(
            Timestamp::from_micros(11_758_000_000),
            Duration::from_secs(12),
        );

        assert_eq!(said, "The server is away for 12s, as of 03:15:58Z");
        assert_eq!(
            frame("TASK\n1", Some(&said)),
            format!("\x1b[HTASK\x1b[K\r\n1\x1b[K\r\n{said}\x1b[K\x1b[J")
        );
    }
}
