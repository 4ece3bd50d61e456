//! How results are printed: as a table for people, as JSON for programs, or as ids alone for pipes.

mod table;

use std::fmt::Display;
use std::io::Write as _;

use serde::Serialize;
use taskyard_api::task::{Progress, Status};

pub(crate) use self::table::{Cell, Column, Tint, leaving, table};

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
            Self::Json => serde_json::to_string_pretty(shown)?,
            Self::Quiet => shown.ids().join("\n"),
        };
        line(&text)
    }
}

/// To standard output, with its colours taken out where nobody sees them.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let written = writeln!(anstream::stdout(), "{text}");
    match written {
        // Whoever reads has seen enough, like `head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// To standard error: what is said about the work, not the work's result.
pub(crate) fn note(text: &str) {
    // Nobody listens: there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Names on the left, values on the right; a value of several lines stays under itself.
pub(crate) fn sheet(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let indent = " ".repeat(width + 2);
    rows.iter()
        .map(|(name, value)| {
            format!(
                "{name:<width$}  {}",
                value.replace('\n', &format!("\n{indent}"))
            )
        })
        .collect::<Vec<_>>()
        .join("\n")
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

/// A status in running text.
pub(crate) fn status(status: Status) -> String {
    tint(status).paint(status.as_str())
}

/// A status in a table.
pub(crate) fn status_cell(status: Status) -> Cell {
    Cell::tinted(status.as_str(), tint(status))
}

/// Text from a task or a worker, fit for a terminal: what steers one is shown and not obeyed.
pub(crate) fn safe(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\n' | '\t' => letter,
            letter if letter.is_control() => char::REPLACEMENT_CHARACTER,
            letter => letter,
        })
        .collect()
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
    }

    #[test]
    fn a_sheet_keeps_lines_under_their_value() {
        let text = sheet(&[("id", "7".to_owned()), ("output", "a\nb".to_owned())]);

        assert_eq!(text, "id      7\noutput  a\n        b");
    }
}
