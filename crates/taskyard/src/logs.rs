//! The log: for people on a terminal, JSON lines otherwise; always to standard error, and by a thread of its own.

mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};

use self::queue::Queue;
use crate::cli::{General, LogFormat};
use crate::failure::Failure;
use crate::output;

/// How much may wait for a reader that takes it slowly, some thousand lines; it takes no memory until then.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// How long the reader has for the last lines before the process ends without them.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(1);
/// The same for a panic, and before an abort, which waits for nothing.
const ABORT_WITHIN: Duration = Duration::from_millis(100);

/// What this process says, once it logs; one process has one standard error.
static QUEUE: OnceLock<Queue> = OnceLock::new();

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
    let filter = filter(&general.log)
        .map_err(|error| Failure::usage(format!("--log {:?}: {error}", general.log)))?;
    let human = match general.log_format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let queue = Queue::start(WAITING_BYTES_MAX, io::stderr(), |_, lines| {
        tracing::warn!(lines, "lines of the log are missing here: nobody took them");
    })?;
    let queue = QUEUE.get_or_init(|| queue);
    tell_panics(queue);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false);
    if human {
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        builder
            .with_ansi(colours)
            .with_target(false)
            .with_writer(move || Lines::new(queue, Some(colours)))
            .init();
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_writer(move || Lines::new(queue, None))
            .init();
    }
    Ok(())
}

/// The pool of connections warns of each that broke, of which the store has a line of its own, with the reason.
fn filter(levels: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(format!("{levels},deadpool=off"))
}

/// Says this behind all that was logged, if this process logs, and whether it does.
pub(crate) fn say_last(text: &str) -> bool {
    let queue = QUEUE.get();
    queue
        .inspect(|queue| queue.push_last(text.as_bytes()))
        .is_some()
}

/// How many lines were dropped because nobody took those before them.
pub(crate) fn lines_dropped() -> Arc<AtomicU64> {
    QUEUE.get().map(Queue::dropped).unwrap_or_default()
}

/// Waits for the last lines, as long as they may take. To be called before the process ends.
pub(crate) fn finish() {
    if let Some(queue) = QUEUE.get() {
        queue.wait_until_written(LAST_LINES_WITHIN);
    }
}

/// The same before it is aborted.
pub(crate) fn last_words() {
    if let Some(queue) = QUEUE.get() {
        queue.wait_until_written(ABORT_WITHIN);
    }
}

/// The same as [`finish`] when it is dropped.
pub(crate) struct Finish;

impl Drop for Finish {
    fn drop(&mut self) {
        finish();
    }
}

/// As the standard library tells of a panic, but for a thread that must not wait for a reader.
fn tell_panics(queue: &'static Queue) {
    panic::set_hook(Box::new(move |panic| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("<unnamed>");
        let trace = Backtrace::capture();
        let trace = match trace.status() {
            BacktraceStatus::Captured => trace.to_string(),
            _ => "note: RUST_BACKTRACE=1 in the environment shows what led there".to_owned(),
        };
        queue.push(format!("\nthread '{name}' {panic}\n{trace}\n").as_bytes());
        queue.wait_until_written(ABORT_WITHIN);
    }));
}

/// Where events go, each as one line.
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

impl Lines<Queue> {
    fn new(queue: &Queue, human: Option<bool>) -> Self {
        let size = terminal_size::terminal_size_of(io::stderr());
        let width = size.map(|(width, _)| usize::from(width.0));
        Self {
            to: queue.clone(),
            human,
            within: width.filter(|width| *width < NARROW),
        }
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        match self.human {
            Some(colours) => {
                let line = one_line(event, colours);
                let line = output::hung(&line, self.within) + "\n";
                self.to.write_all(line.as_bytes())?;
            }
            None => self.to.write_all(event)?,
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
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
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

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
    fn a_connection_that_broke_has_a_line_of_ours_alone() {
        for levels in ["info", "trace,taskyard_store=debug"] {
            let subscriber = tracing_subscriber::registry().with(filter(levels).unwrap());
            tracing::subscriber::with_default(subscriber, || {
                assert!(
                    tracing::enabled!(target: "taskyard_store::postgres", tracing::Level::WARN)
                );
                assert!(!tracing::enabled!(target: "deadpool.postgres", tracing::Level::WARN));
            });
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
