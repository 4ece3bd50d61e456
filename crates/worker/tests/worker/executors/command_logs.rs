//! What a command prints is in the task's log while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::value::RawValue;
use serde_json::{Value, json};
use taskyard_api::logs::Stream;
use taskyard_worker::executor::{Context, Executor as _, Finish, Reports, Stop, stop_signal};
use taskyard_worker::executors::Command;

use super::{Said, Workshop, listened_to, run_of, stopped};

fn shell(script: &str) -> Value {
    json!({"argv": ["sh", "-c", script]})
}

/// Everything that a script says, run to its end.
async fn said_by(script: &str) -> Arc<Said> {
    let workshop = Workshop::new();
    let said = Arc::<Said>::default();
    let (_stopper, context) = listened_to(&said);
    let command = Command::new(workshop.settings());
    command.run(run_of(&shell(script)), context).await;
    said
}

#[tokio::test]
async fn both_streams_are_told_line_by_line() {
    let said = said_by("printf 'a\\n\\nb'; printf 'c\\r\\nd\\n' >&2; exit 3").await;

    assert_eq!(said.of(Stream::Stdout), ["a", "", "b"]);
    assert_eq!(said.of(Stream::Stderr), ["c", "d"]);
    assert!(said.of(Stream::Worker).is_empty());
}

#[tokio::test]
async fn a_line_is_told_while_the_command_goes_on() {
    let workshop = Workshop::new();
    let said = Arc::<Said>::default();
    let (stopper, context) = listened_to(&said);
    let command = Command::new(workshop.settings());
    // Neither buffers, nor ends by itself.
    let run = run_of(&shell("printf 'one\\ntwo\\nopen'; sleep 1000"));
    let running = tokio::spawn(async move { command.run(run, context).await });

    said.until(|said| said.of(Stream::Stdout).len() == 2).await;

    assert_eq!(said.of(Stream::Stdout), ["one", "two"]);
    assert!(!running.is_finished());
    stopper.stop(Stop::Cancelled);
    let (_, detail) = stopped(running.await.unwrap());
    assert_eq!(detail.unwrap()["stdout"], "one\ntwo\nopen");
    assert_eq!(said.of(Stream::Stdout), ["one", "two", "open"]);
}

#[tokio::test]
async fn what_is_no_text_is_made_text() {
    let said = said_by("printf '\\377\\n\\303'").await;

    assert_eq!(said.of(Stream::Stdout), ["\u{FFFD}", "\u{FFFD}"]);
}

#[tokio::test]
async fn a_progress_bar_is_a_few_lines() {
    let said = said_by(
        "i=0; while [ $i -lt 1000 ]; do printf \"$i%%\\r\"; i=$((i+1)); done; echo 'done '",
    )
    .await;

    let lines = said.of(Stream::Stdout);
    assert_eq!(lines.first().map(String::as_str), Some("0%"));
    assert_eq!(lines.last().map(String::as_str), Some("done "));
    assert!(lines.len() < 100, "{}", lines.len());
}

#[tokio::test]
async fn a_line_of_megabytes_is_cut() {
    let said = said_by("head -c 5000000 /dev/zero | tr '\\0' x; echo; echo short").await;

    let lines = said.of(Stream::Stdout);
    assert_eq!(lines[0].len(), 16 << 10);
    assert!(
        lines[0].ends_with("x… 4983659 bytes of this line left out …"),
        "{}",
        &lines[0][16000..]
    );
    assert_eq!(lines[1..], ["short"]);
}

/// Only counts what it hears.
#[derive(Default)]
struct Counted {
    lines: AtomicU64,
    bytes: AtomicU64,
}

impl Reports for Counted {
    fn progress(&self, _: f64, _: Option<&str>) {}

    fn checkpoint(&self, _: Box<RawValue>) {}

    fn log(&self, _: Stream, line: &str) {
        let lines = line.split('\n').count() as u64;
        self.lines.fetch_add(lines, Ordering::Relaxed);
        self.bytes.fetch_add(line.len() as u64, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_flood_goes_through_and_the_output_is_kept_as_ever() {
    for (script, lines) in [
        ("yes | head -c 20000000", 10_000_000),
        ("head -c 20000000 /dev/zero", 1),
        ("head -c 20000000 /dev/zero | tr '\\0' '\\r'; echo end", 1),
    ] {
        let workshop = Workshop::new();
        let counted = Arc::<Counted>::default();
        let (_stopper, stop) = stop_signal();
        let context = Context {
            reports: Arc::clone(&counted) as _,
            stop,
        };
        let command = Command::new(workshop.settings());

        let finish = command.run(run_of(&shell(script)), context).await;

        let Finish::Completed(output) = finish else {
            panic!("{finish:?}");
        };
        let output: Value = serde_json::from_str(output.get()).unwrap();
        assert!(output["stdout_bytes"].as_u64().unwrap() >= 20_000_000);
        assert_eq!(output["truncated"], true);
        assert_eq!(counted.lines.load(Ordering::Relaxed), lines, "{script}");
    }
}
