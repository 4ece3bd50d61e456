//! The log: for people on a terminal, JSON lines otherwise; always to standard error.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::cli::{General, LogFormat};
use crate::failure::Failure;
use crate::output;

/// Whose words can be asked for, besides those of the modules of ours.
const OTHERS: [&str; 6] = [
    "hyper",
    "hyper_util",
    "reqwest",
    "rustls",
    "tokio_postgres",
    "tracing",
];
const OURS: [&str; 7] = [
    "taskyard",
    "taskyard_api",
    "taskyard_core",
    "taskyard_engine",
    "taskyard_server",
    "taskyard_store",
    "taskyard_worker",
];

/// What `--log` may say: a level for all, and others for whole crates of [`OURS`] and [`OTHERS`] or modules in them. Any
/// other word would be taken for a module that never says anything, and the log be silent.
pub(crate) fn levels(text: &str) -> Result<String, String> {
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    let is_target = |word: &str| {
        let name = word.split("::").next().unwrap_or_default();
        OURS.contains(&name) || OTHERS.contains(&name)
    };
    for word in text.split(',').map(str::trim) {
        let (target, level) = word.split_once('=').unzip();
        let fits = match (target, level) {
            (Some(target), Some(level)) => is_target(target) && is_level(level),
            _ => is_level(word) || is_target(word),
        };
        if !fits {
            return Err(format!(
                "{word:?} is none of error, warn, info, debug, trace and off, nor MODULE=LEVEL, where MODULE begins with \
                 one of {}, {}",
                OURS.join(", "),
                OTHERS.join(", ")
            ));
        }
    }
    Ok(text.to_owned())
}

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
    /// The width of a terminal that is narrow.
    within: Option<usize>,
}

/// On a narrower terminal the time and the level take so much of a line that the rest is broken between words. On a wider
/// one a line stays whole, for who copies it, or makes the window larger.
const NARROW: usize = 80;

impl Lines<io::Stderr> {
    fn new(human: Option<bool>) -> Self {
        let to = io::stderr();
        let size = terminal_size::terminal_size_of(&to);
        let width = size.map(|(width, _)| usize::from(width.0));
        Self {
            to,
            human,
            within: width.filter(|width| *width < NARROW),
        }
    }
}

impl<W: Write> Write for Lines<W> {
    /// What cannot be written is lost: a full disk or a reader that has gone must not take the work along.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let _ = match self.human {
            Some(colours) => {
                let line = one_line(event, colours);
                self.to
                    .write_all((output::hung(&line, self.within) + "\n").as_bytes())
            }
            None => self.to.write_all(event),
        };
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.to.flush();
        Ok(())
    }
}

/// The event as one line, without its end: text that somebody sent in cannot make another one that looks like ours, nor steer the terminal.
/// Escape characters of such text are spelled out already; those that are left are our colours.
fn one_line(event: &[u8], colours: bool) -> String {
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
    line
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
    fn a_log_is_of_levels_and_of_modules_that_there_are() {
        for text in [
            "info",
            "WARN",
            "off",
            "info,taskyard_engine=debug",
            "warn, taskyard_store::postgres=trace,hyper=info",
            "taskyard_worker",
        ] {
            assert!(levels(text).is_ok(), "{text}");
        }
        for text in [
            "foo",
            "verbose",
            "",
            "info,",
            "a=b=c",
            "taskyard_engine=loud",
            "taskyard_engine=",
            "taskyard_engine=info=debug",
            "nowhere=info",
            "taskyard_engin=info",
        ] {
            let said = levels(text).unwrap_err();
            assert!(
                said.contains("trace") && said.contains("taskyard_engine"),
                "{said}"
            );
        }
    }

    #[test]
    fn every_crate_of_ours_can_be_asked_for() {
        let crates = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap();
        let mut names: Vec<String> = crates
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| match name.as_str() {
                "taskyard" => name,
                _ => format!("taskyard_{name}"),
            })
            .collect();
        names.sort_unstable();

        assert_eq!(names, OURS);
    }

    #[test]
    fn a_log_that_cannot_be_written_fails_nobody() {
        let mut lines = Lines {
            to: Gone,
            human: Some(false),
            within: None,
        };
        lines.write_all(b"an event\n").unwrap();
        lines.flush().unwrap();
    }

    #[test]
    fn what_was_sent_in_makes_no_line_of_its_own() {
        let event = "INFO refused argv=x\n2026-01-01 ERROR \r\u{202e}it is \u{1b}[31mred\n";
        assert_eq!(
            one_line(event.as_bytes(), false),
            "INFO refused argv=x\\n2026-01-01 ERROR \\r\\u{202e}it is \\u{1b}[31mred"
        );
    }

    #[test]
    fn our_own_colours_stay() {
        let event = "\u{1b}[32m INFO\u{1b}[0m serving";
        assert_eq!(one_line(event.as_bytes(), true), event);
    }

    #[test]
    fn on_a_narrow_terminal_lines_are_broken_between_words() {
        let mut lines = Lines {
            to: Vec::new(),
            human: Some(true),
            within: Some(40),
        };

        let event = "2026-11-27T09:17:10.123456Z \u{1b}[32m INFO\u{1b}[0m serving, for whoever asks url=http://[::1]:8000\n";
        lines.write_all(event.as_bytes()).unwrap();

        assert_eq!(
            String::from_utf8(lines.to).unwrap(),
            "2026-11-27T09:17:10.123456Z \u{1b}[32m INFO\u{1b}[0m\n  serving, for whoever asks\n  url=http://[::1]:8000\n"
        );
    }
}
