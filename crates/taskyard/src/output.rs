//! How results are printed: as a table for people, as JSON for programs, or as ids alone for pipes.

use std::io::{IsTerminal, Write as _};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use taskyard_api::task::Status;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people: columns that fit the terminal, in colour where there is one.
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

/// Columns as wide as their contents, cut to the terminal's width where there is one.
pub(crate) fn table(headers: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table.set_header(headers.iter().map(|header| header.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
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

/// A status in its colour.
pub(crate) fn status(status: Status) -> String {
    let colour = match status {
        Status::Scheduled | Status::Pending => None,
        Status::Assigned | Status::Running => Some(AnsiColor::Blue),
        Status::Completed => Some(AnsiColor::Green),
        Status::Failed | Status::Timeout => Some(AnsiColor::Red),
        Status::Cancelled => Some(AnsiColor::Yellow),
    };
    painted(status.as_str(), colour)
}

pub(crate) fn painted(text: &str, colour: Option<AnsiColor>) -> String {
    let style = colour.map_or(Style::new(), |colour| {
        Style::new().fg_color(Some(colour.into()))
    });
    if is_coloured() {
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

/// `NO_COLOR` and pipes are honoured.
fn is_coloured() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
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

/// At most so many characters of one line.
pub(crate) fn short(text: &str, max: usize) -> String {
    let text = safe(text).replace(['\n', '\t'], " ");
    if text.chars().count() <= max {
        return text;
    }
    let cut: String = text.chars().take(max.saturating_sub(1)).collect();
    format!("{cut}…")
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
    fn long_text_is_cut_with_a_sign() {
        assert_eq!(short("abcdef", 6), "abcdef");
        assert_eq!(short("abcdefg", 6), "abcde…");
        assert_eq!(short("a\nb", 6), "a b");
    }

    #[test]
    fn a_sheet_keeps_lines_under_their_value() {
        let text = sheet(&[("id", "7".to_owned()), ("output", "a\nb".to_owned())]);

        assert_eq!(text, "id      7\noutput  a\n        b");
    }
}
