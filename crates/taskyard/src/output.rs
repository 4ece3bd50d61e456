//! How results are printed: as a table for people, as JSON for programs, or as ids alone for pipes.

mod table;
mod wrap;

use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::time::Duration;

use serde::Serialize;
use taskyard_api::payload::Raw;
use taskyard_api::task::{Progress, Status};

pub(crate) use self::table::{Cell, Column, Pieces, Tint, cut, leaving, table};

/// What goes on below stands so much further in.
const HANG: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people: in colour, one line a row; what a terminal has no room for is cut or left out.
    Table,
    /// For programs: what the server answered, one document.
    Json,
    /// Ids alone, one a line.
    Quiet,
}

/// A result that can be shown in each format.
pub(crate) trait Shown {
    fn table(&self) -> String;
    /// One line each; what another command takes as its argument.
    fn ids(&self) -> Vec<String>;
}

impl Format {
    pub(crate) fn print<T: Shown + Serialize>(self, shown: &T) -> anyhow::Result<()> {
        let text = match self {
            Self::Table => shown.table(),
            Self::Json => escaped(&serde_json::to_string_pretty(shown)?),
            Self::Quiet => safe(&shown.ids().join("\n")),
        };
        line(&text)
    }
}

/// To standard output, with its colours taken out where nobody sees them. That nobody reads it is no failure.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    line_of_many(text).map(|_| ())
}

/// Whether what a command prints is wanted still.
#[must_use]
pub(crate) enum Read {
    On,
    /// Whoever reads has seen enough, like `head`: there is nothing left to do for a command that only shows.
    Enough,
}

/// The same, for a command that prints more only for as long as somebody reads.
pub(crate) fn line_of_many(text: &str) -> anyhow::Result<Read> {
    if text.is_empty() {
        return Ok(Read::On);
    }
    let written = writeln!(anstream::stdout(), "{text}");
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Read::Enough),
        written => Ok(written.map(|()| Read::On)?),
    }
}

/// To standard error: what is said about the work, not the work's result. What of it others have written steers no terminal.
pub(crate) fn note(text: &str) {
    painted_note(&safe(text));
}

/// The same of text that has colours of our own, and nothing in it that others have written.
pub(crate) fn painted_note(text: &str) {
    let size = terminal_size::terminal_size_of(std::io::stderr());
    let width = size.map(|(width, _)| usize::from(width.0));
    let text = wrap::wrap(text, width, HANG) + "\n";
    if !crate::logs::say_last(&text) {
        // Nobody listens: there is nobody to tell.
        let _ = anstream::stderr().write_all(text.as_bytes());
    }
}

/// A line that goes on below, further in, where it is longer than this.
pub(crate) fn hung(line: &str, within: Option<usize>) -> String {
    wrap::wrap(line, within, HANG)
}

/// What stands beside a name in a sheet, in as many lines as it has: whoever wrote it, it steers no terminal.
pub(crate) struct Value {
    text: String,
    tint: Tint,
}

impl Value {
    pub(crate) fn tinted(text: &str, tint: Tint) -> Self {
        Self {
            tint,
            ..Self::from(text)
        }
    }
}

impl<T: Display> From<T> for Value {
    fn from(value: T) -> Self {
        Self {
            text: safe(&value.to_string()),
            tint: Tint::Plain,
        }
    }
}

/// Names on the left, values on the right; a value of several lines stays under itself. As standard output takes it: fit
/// for its terminal, or whole.
pub(crate) fn sheet(rows: &[(&str, Value)]) -> String {
    let size = terminal_size::terminal_size_of(std::io::stdout());
    sheet_within(rows, size.map(|(width, _)| usize::from(width.0)))
}

fn sheet_within(rows: &[(&str, Value)], within: Option<usize>) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|(name, value)| (safe(name), value))
        .collect();
    let width = rows
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let indent = " ".repeat(width + 2);
    let room = within.map(|within| within.saturating_sub(indent.len()));
    rows.iter()
        .map(|(name, value)| {
            let value = wrap::wrap(&value.tint.paint(&value.text), room, 0);
            format!(
                "{name:<width$}  {}",
                value.replace('\n', &format!("\n{indent}"))
            )
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// How long something took, with as many digits as tell something.
pub(crate) fn time(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match seconds {
        short if short < 0.01 => format!("{:.1}ms", short * 1e3),
        short if short < 1.0 => format!("{:.0}ms", short * 1e3),
        short if short < 100.0 => format!("{short:.1}s"),
        long if long < 6000.0 => format!("{:.0}m", long / 60.0),
        long => format!("{:.1}h", long / 3600.0),
    }
}

fn tint(status: Status) -> Tint {
    match status {
        Status::Scheduled | Status::Pending => Tint::Plain,
        Status::Assigned | Status::Running => Tint::Active,
        Status::Completed => Tint::Good,
        Status::Failed | Status::Timeout => Tint::Bad,
        Status::Cancelled => Tint::Odd,
    }
}

/// A status in a sheet.
pub(crate) fn status(status: Status) -> Value {
    Value::tinted(status.as_str(), tint(status))
}

/// A status in a table.
pub(crate) fn status_cell(status: Status) -> Cell {
    Cell::tinted(status.as_str(), tint(status))
}

/// Text from a task or a worker, fit for a terminal, now or when the file that it goes to is shown on one: colours are left
/// out, and whatever else steers a terminal is shown and not obeyed. Nothing that a reader should see goes with it, as it
/// might with sequences of other kinds, of which some have no end.
pub(crate) fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if let Some(behind) = behind_colours(rest) {
            rest = behind;
            continue;
        }
        safe.push(if steers(letter) {
            char::REPLACEMENT_CHARACTER
        } else {
            letter
        });
        rest = &rest[letter.len_utf8()..];
    }
    safe
}

/// What stands behind the change of colours, bold and so on with which this begins (SGR, ECMA-48 8.3.117).
fn behind_colours(text: &str) -> Option<&str> {
    let of_parameters = |letter: char| letter.is_ascii_digit() || matches!(letter, ';' | ':');
    let behind = text.strip_prefix("\u{1b}[")?;
    behind.trim_start_matches(of_parameters).strip_prefix('m')
}

/// The same JSON, fit for a terminal: such letters stand in its strings only, where they can be spelled out.
pub(crate) fn escaped(json: &str) -> String {
    json.chars()
        .fold(String::with_capacity(json.len()), |mut text, letter| {
            if steers(letter) {
                let _ = write!(text, "\\u{:04x}", u32::from(letter));
            } else {
                text.push(letter);
            }
            text
        })
}

/// Whether a terminal does something else with it than to print it: its commands, and what turns the direction of text, so
/// that a line reads as something that it is not.
pub(crate) fn steers(letter: char) -> bool {
    let turns = matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (letter.is_control() && letter != '\n' && letter != '\t')
}

/// An input or an output as people see it: nothing where there is nothing in it.
pub(crate) fn payload(payload: Option<&Raw>) -> Option<&str> {
    payload
        .map(|payload| payload.get())
        .filter(|text| *text != "null")
}

/// `name=value` of each.
pub(crate) fn pairs<N: Display, V: Display>(
    pairs: impl IntoIterator<Item = (N, V)>,
    separator: &str,
) -> String {
    let pairs = pairs.into_iter();
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join(separator)
}

/// How far a run is, in its worker's words.
pub(crate) fn progress(progress: &Progress) -> String {
    let words = [share(progress), progress.message.clone()];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// The share that is done.
pub(crate) fn share(progress: &Progress) -> Option<String> {
    let percent = progress.fraction? * 100.0;
    Some(format!("{percent:.0} %"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_and_not_obeyed() {
        assert_eq!(
            safe("a\x1b]52;c;evil\x07b\n\tc"),
            "a\u{fffd}]52;c;evil\u{fffd}b\n\tc"
        );
        assert_eq!(
            safe("\x1b[1;31mred\x1b[m, \x1b[38:5:9mtoo\x1b[0m"),
            "red, too"
        );
        assert_eq!(safe("\x1b\x1b[31m[2J \x1b[3"), "\u{fffd}[2J \u{fffd}[3");
        assert_eq!(
            safe("pay \u{202e}001\u{202c} now"),
            "pay \u{fffd}001\u{fffd} now"
        );
    }

    #[test]
    fn json_says_the_same_without_steering_a_terminal() {
        let said = serde_json::json!({ "a": "\u{9b}2J \u{202e} \u{7f} \u{1b} é" });

        let text = escaped(&serde_json::to_string_pretty(&said).unwrap());

        assert_eq!(
            text,
            "{\n  \"a\": \"\\u009b2J \\u202e \\u007f \\u001b é\"\n}"
        );
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, said);
    }

    #[test]
    fn a_sheet_keeps_lines_under_their_value() {
        let text = sheet(&[("id", 7.into()), ("output", "a\nb".into())]);

        assert_eq!(text, "id      7\noutput  a\n        b");
    }

    #[test]
    fn what_others_wrote_into_a_sheet_steers_no_terminal() {
        let rows = [
            ("code\u{1b}[2J", "owned\u{1b}]0;title\u{7}".into()),
            ("status", Value::tinted("fai\u{202e}led", Tint::Bad)),
        ];

        let text = sheet_within(&rows, None);

        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            "code\u{fffd}[2J  owned\u{fffd}]0;title\u{fffd}\nstatus    fai\u{fffd}led"
        );
        assert!(
            text.contains(&Tint::Bad.paint("fai\u{fffd}led")),
            "{text:?}"
        );
    }

    #[test]
    fn a_sheet_breaks_long_values_between_words() {
        let rows = [
            ("id", 7.into()),
            (
                "reason",
                "no worker that is online runs this\nstart one".into(),
            ),
        ];

        assert_eq!(
            sheet_within(&rows, Some(30)),
            "id      7\nreason  no worker that is\n        online runs this\n        start one"
        );
    }

    #[test]
    fn times_have_as_many_digits_as_tell_something() {
        let times = [400, 12_300, 999_000, 61_000_000, 600_000_000, 9_000_000_000];
        let times = times.map(|micros| time(Duration::from_micros(micros)));

        assert_eq!(times, ["0.4ms", "12ms", "999ms", "61.0s", "10m", "2.5h"]);
    }
}
