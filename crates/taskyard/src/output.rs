//! How results are printed: as a table for people, as JSON for programs, or as ids alone for pipes.

use std::fmt::Display;
use std::io::{IsTerminal, Write as _};

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, Color, ColumnConstraint, ContentArrangement, Table, presets};
use serde::Serialize;
use taskyard_api::task::{Progress, Status};

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

/// Columns as wide as their contents, folded to the terminal's width where there is one; the first, which names
/// things, is never cut.
pub(crate) fn table<C: Into<Cell>>(headers: &[&str], rows: Vec<Vec<C>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table.set_header(headers.iter().map(|header| header.to_uppercase()));
    for row in rows {
        table.add_row(row.into_iter().map(Into::into).collect::<Vec<Cell>>());
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if number == 0 {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
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

/// What a word is told apart by where there are colours.
#[derive(Clone, Copy)]
pub(crate) enum Tint {
    Plain,
    Active,
    Good,
    Bad,
    Odd,
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
    let colour = match tint(status) {
        Tint::Plain => None,
        Tint::Active => Some(AnsiColor::Blue),
        Tint::Good => Some(AnsiColor::Green),
        Tint::Bad => Some(AnsiColor::Red),
        Tint::Odd => Some(AnsiColor::Yellow),
    };
    match colour.filter(|_| is_coloured()) {
        Some(colour) => {
            let style = Style::new().fg_color(Some(colour.into()));
            format!("{style}{status}{style:#}")
        }
        None => status.to_string(),
    }
}

/// A status in a table.
pub(crate) fn status_cell(status: Status) -> Cell {
    cell(status.as_str(), tint(status))
}

/// A word in a table, where escapes within the text would count as its width.
pub(crate) fn cell(text: &str, tint: Tint) -> Cell {
    let cell = Cell::new(text);
    if !is_coloured() {
        return cell;
    }
    match tint {
        Tint::Plain => cell,
        Tint::Active => cell.fg(Color::DarkBlue),
        Tint::Good => cell.fg(Color::DarkGreen),
        Tint::Bad => cell.fg(Color::DarkRed),
        Tint::Odd => cell.fg(Color::DarkYellow),
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
