//! The log: for people on a terminal, JSON lines otherwise; always to standard error.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;

use crate::cli::{General, LogFormat};
use crate::failure::Failure;
use crate::output;

pub(crate) fn start(general: &General) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&general.log)
        .map_err(|error| Failure::usage(format!("--log {:?}: {error}", general.log)))?;
    let human = match general.log_format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false);
    if human {
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        builder
            .with_ansi(colours)
            .with_target(false)
            .with_writer(move || Lines::new(Some(colours)))
            .init();
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_writer(|| Lines::new(None))
            .init();
    }
    Ok(())
}

/// Where events go, each written at once.
struct Lines<W> {
    to: W,
    /// For people, and with colours or without; a program's lines cannot be mistaken.
    human: Option<bool>,
}

impl Lines<io::Stderr> {
    fn new(human: Option<bool>) -> Self {
        Self {
            to: io::stderr(),
            human,
        }
    }
}

impl<W: Write> Write for Lines<W> {
    /// What cannot be written is lost: a full disk or a reader that has gone must not take the work along.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let _ = match self.human {
            Some(colours) => self.to.write_all(&one_line(event, colours)),
            None => self.to.write_all(event),
        };
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.to.flush();
        Ok(())
    }
}

/// The event as one line: text that somebody sent in cannot make another one that looks like ours, nor steer the terminal.
/// Escape characters of such text are spelled out already; those that are left are our colours.
fn one_line(event: &[u8], colours: bool) -> Vec<u8> {
    let event = String::from_utf8_lossy(event);
    let text = event.strip_suffix('\n').unwrap_or(&event);
    let mut line = String::with_capacity(event.len());
    for letter in text.chars() {
        let is_ours = letter == '\t' || (colours && letter == '\u{1b}');
        if !is_ours && (letter == '\n' || output::steers(letter)) {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    line.push('\n');
    line.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is full, or a pipe that nobody reads.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    #[test]
    fn a_log_that_cannot_be_written_fails_nobody() {
        let mut lines = Lines {
            to: Gone,
            human: Some(false),
        };
        lines.write_all(b"an event\n").unwrap();
        lines.flush().unwrap();
    }

    #[test]
    fn what_was_sent_in_makes_no_line_of_its_own() {
        let event = "INFO refused argv=x\n2026-01-01 ERROR \r\u{202e}it is \u{1b}[31mred\n";
        assert_eq!(
            String::from_utf8(one_line(event.as_bytes(), false)).unwrap(),
            "INFO refused argv=x\\n2026-01-01 ERROR \\r\\u{202e}it is \\u{1b}[31mred\n"
        );
    }

    #[test]
    fn our_own_colours_stay() {
        let event = b"\x1b[32m INFO\x1b[0m serving\n";
        assert_eq!(one_line(event, true), event);
    }
}
