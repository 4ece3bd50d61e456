//! `taskyard logs`, and the log of a task that is waited for.

use std::io::{self, IsTerminal, Write};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use taskyard_api::client::{Client, Error};
use taskyard_api::logs::{FollowEnd, Followed, LogLine, LogsQuery, Stream};
use taskyard_core::id::TaskId;
use tokio::time::{sleep, timeout};

use super::away::Patience;
use super::{Done, client, named};
use crate::cli::LogsArgs;
use crate::output::{self, Format, Tint};

/// Lines are asked for so many at a time.
const PAGE: u32 = 1_000;
/// How long a stream that broke off is left before it is asked for again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// How long the last lines of a task that has ended may take.
const LAST_LINES: Duration = Duration::from_secs(2);

pub(super) async fn run(args: &LogsArgs, format: Format) -> Done {
    let client = client(&args.connection)?;
    let query = LogsQuery {
        attempt: args.attempt,
        stream: args.stream.map(Stream::from),
        ..LogsQuery::default()
    };
    let mut patience = Patience::of(args.away.server_wait);
    let to = Printer::to_stdout(format, args.raw);
    let task = named::task(&client, &args.task).await?;
    let printed = if args.follow {
        followed(&client, task, query, &mut patience, &to).await
    } else {
        pages(&client, task, query, &mut patience, &to).await
    };
    match printed {
        // Whoever reads has seen enough, like `head`.
        Ok(()) | Err(Stopped::Closed) => Ok(ExitCode::SUCCESS),
        Err(Stopped::Write(error)) => Err(error.into()),
        Err(Stopped::Server(error)) => Err(patience.gave_up(task, error)),
    }
}

/// Why no more is printed.
enum Stopped {
    /// Nobody reads any more.
    Closed,
    Write(io::Error),
    Server(Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Closed
        } else {
            Self::Write(error)
        }
    }
}

async fn pages(
    client: &Client,
    task: TaskId,
    mut query: LogsQuery,
    patience: &mut Patience,
    to: &Printer,
) -> Result<(), Stopped> {
    query.limit = Some(PAGE);
    loop {
        let page = patience.until_answered(async || client.logs(task, &query).await);
        let page = page.await.map_err(Stopped::Server)?;
        for line in &page.items {
            to.print(line)?;
        }
        if page.next_cursor.is_none() {
            return Ok(());
        }
        query.cursor = page.next_cursor;
    }
}

/// To the task's end, at whatever server is there.
async fn followed(
    client: &Client,
    task: TaskId,
    mut query: LogsQuery,
    patience: &mut Patience,
    to: &Printer,
) -> Result<(), Stopped> {
    loop {
        let following = patience.until_answered(async || client.follow_logs(task, &query).await);
        let mut following = following.await.map_err(Stopped::Server)?;
        loop {
            match following.next().await {
                Ok(Some(Followed::Line(line))) => {
                    to.print(&line)?;
                    query.cursor = line.cursor;
                }
                Ok(Some(Followed::End(FollowEnd {
                    status: Some(_), ..
                }))) => return Ok(()),
                Ok(Some(Followed::End(FollowEnd { next_cursor, .. }))) => {
                    query.cursor = next_cursor.or(query.cursor);
                    break;
                }
                Ok(None) => break,
                Err(error) if error.is_worth_repeating() => break,
                Err(error) => return Err(Stopped::Server(error)),
            }
        }
        sleep(AGAIN_AFTER).await;
    }
}

/// Waits for a task, and prints its log to standard error meanwhile. Where the log cannot be had, the wait goes on without.
pub(super) async fn meanwhile<T>(
    client: &Client,
    task: TaskId,
    waiting: impl Future<Output = T>,
) -> T {
    let to = Printer::to_stderr();
    let mut telling = pin!(async {
        // Whoever waits has the patience, and says so.
        let mut patience = Patience::silent();
        let query = LogsQuery::default();
        let _ = followed(client, task, query, &mut patience, &to).await;
    });
    let mut waiting = pin!(waiting);
    tokio::select! {
        () = &mut telling => waiting.await,
        ended = &mut waiting => {
            let _ = timeout(LAST_LINES, telling).await;
            ended
        }
    }
}

/// Where lines go, and how they look there.
struct Printer {
    format: Format,
    is_stdout: bool,
    is_terminal: bool,
    /// Lines are printed byte for byte, wherever they go.
    is_raw: bool,
}

impl Printer {
    fn to_stdout(format: Format, is_raw: bool) -> Self {
        Self {
            format,
            is_stdout: true,
            is_terminal: io::stdout().is_terminal(),
            is_raw,
        }
    }

    fn to_stderr() -> Self {
        Self {
            format: Format::Table,
            is_stdout: false,
            is_terminal: io::stderr().is_terminal(),
            is_raw: false,
        }
    }

    fn print(&self, line: &LogLine) -> io::Result<()> {
        let text = self.shown(line) + "\n";
        let text = text.as_bytes();
        match (self.is_stdout, self.is_raw) {
            (true, true) => io::stdout().write_all(text),
            (true, false) => anstream::stdout().write_all(text),
            (false, _) => anstream::stderr().write_all(text),
        }
    }

    fn shown(&self, line: &LogLine) -> String {
        if self.format == Format::Json {
            let text = serde_json::to_string(line);
            return output::escaped(&text.expect("a line holds nothing but text and numbers"));
        }
        if self.is_raw {
            return line.line.clone();
        }
        let text = output::safe(&line.line);
        match line.stream {
            _ if self.format == Format::Quiet || !self.is_terminal => text,
            Stream::Stdout => text,
            Stream::Stderr => format!("{} {text}", Tint::Bad.paint("stderr")),
            Stream::Worker => format!("{} {text}", Tint::Odd.paint("worker")),
        }
    }
}

#[cfg(test)]
mod tests {
    use taskyard_api::time::Time;
    use taskyard_core::time::Timestamp;

    use super::*;

    fn shown(format: Format, is_terminal: bool, stream: Stream, text: &str) -> String {
        printed(format, is_terminal, false, stream, text)
    }

    fn printed(
        format: Format,
        is_terminal: bool,
        is_raw: bool,
        stream: Stream,
        text: &str,
    ) -> String {
        let printer = Printer {
            format,
            is_stdout: true,
            is_terminal,
            is_raw,
        };
        printer.shown(&LogLine {
            seq: 1,
            at: Time(Timestamp::from_micros(0)),
            attempt: 1,
            stream,
            line: text.to_owned(),
            cursor: None,
        })
    }

    #[test]
    fn lines_steer_no_terminal_wherever_they_go_unless_they_are_wanted_raw() {
        let text = "\u{1b}]0;title\u{7}\u{1b}[31mred\u{1b}[0m";
        for (is_terminal, stream) in [(true, Stream::Stdout), (false, Stream::Stderr)] {
            let harmless = shown(Format::Table, is_terminal, stream, text);
            assert_eq!(harmless, "\u{fffd}]0;title\u{fffd}red");
            let raw = printed(Format::Table, is_terminal, true, stream, text);
            assert_eq!(raw, text);
        }
        let marked = shown(Format::Table, true, Stream::Stderr, "oh");
        assert!(
            marked.contains("stderr") && marked.ends_with(" oh"),
            "{marked}"
        );
        assert_eq!(shown(Format::Quiet, true, Stream::Stderr, "oh"), "oh");
        let json = shown(Format::Json, true, Stream::Stdout, text);
        assert!(
            !json.contains('\u{1b}') && json.contains("\\u001b]0;title"),
            "{json}"
        );
    }
}
