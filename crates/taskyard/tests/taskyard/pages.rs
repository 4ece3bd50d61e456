//! What a page tells to type does what the page says.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::yard::{Process, QUICK, Server, Yard, run, taskyard};

const API: &str = include_str!("../../../../docs/api.md");
const WORKERS: &str = include_str!("../../../../docs/workers.md");
const DIALECTS: &str = include_str!("../../../../docs/dialects.md");
const EXECUTORS: &str = include_str!("../../../../docs/executors.md");
const EXAMPLES: &str = include_str!("../../../../examples/README.md");

/// A block of a page, between its fences, and the language that it is in.
struct Block<'a> {
    language: &'a str,
    text: &'a str,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced
        .map(|block| {
            let (language, text) = block.split_once('\n').unwrap();
            Block { language, text }
        })
        .collect()
}

/// How close an answer has to be to what is shown of it.
#[derive(Clone, Copy)]
enum Likeness {
    /// Values are as shown.
    Same,
    /// Words are as shown, and settings; ids, tokens, times and counts are others each time.
    Alike,
}

/// Everything that the page shows of an answer is there; it may hold more.
fn is_like(answer: &Value, shown: &Value, likeness: Likeness) -> bool {
    let is_same = matches!(likeness, Likeness::Same);
    match (answer, shown) {
        (Value::Object(answer), Value::Object(shown)) => shown.iter().all(|(name, shown)| {
            let answer = answer.get(name);
            let is_set = name.ends_with("_ms") || name.ends_with("_max");
            answer.is_some_and(|answer| {
                is_like(answer, shown, likeness) && (!is_set || answer == shown)
            })
        }),
        (Value::Array(answer), Value::Array(shown)) => {
            shown.iter().enumerate().all(|(index, shown)| {
                answer
                    .get(index)
                    .is_some_and(|answer| is_like(answer, shown, likeness))
            })
        }
        (answer, shown) if is_same => answer == shown,
        (Value::String(answer), Value::String(shown)) => {
            !shown.chars().all(|letter| letter.is_ascii_lowercase()) || answer == shown
        }
        (answer, shown) => std::mem::discriminant(answer) == std::mem::discriminant(shown),
    }
}

/// Runs every line of a page that is to be typed, and compares what it answers with what is shown behind it. Answers how
/// many that were.
fn does_what_it_says(page: &str, likeness: Likeness, yard: &Yard, server: &Server) -> usize {
    const END: &str = "%%";
    const SHOWN: &str = "http://127.0.0.1:8000";
    let blocks = blocks(page);
    let mut script = "set -eu\n".to_owned();
    for block in blocks.iter().filter(|block| block.language == "sh") {
        script += &block.text.replace(SHOWN, &server.url);
        script += &format!("echo '{END}'\n");
    }
    let program = taskyard();
    let beside = Path::new(program.get_program()).parent().unwrap();
    let path = std::env::var("PATH").unwrap();

    let mut shell = Command::new("sh");
    for (name, _) in program.get_envs() {
        shell.env_remove(name);
    }
    let ran = shell
        .args(["-c", &script])
        // Neither a proxy nor settings of whoever runs the tests.
        .env("no_proxy", "*")
        .env("HOME", yard.directory.path())
        .env("PATH", format!("{}:{path}", beside.display()))
        .env("TASKYARD_URL", &server.url)
        .current_dir(yard.directory.path())
        .output()
        .unwrap();

    let said = String::from_utf8_lossy(&ran.stdout);
    let complaints = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}\n{complaints}");
    let mut answers = said.split(END);
    let mut answer = "";
    let mut compared = 0;
    for block in &blocks {
        match block.language {
            "sh" => answer = answers.next().unwrap(),
            "json" => {
                let answer: Value = serde_json::from_str(answer)
                    .unwrap_or_else(|error| panic!("{error}: {answer}\n{complaints}"));
                let shown: Value =
                    serde_json::from_str(&block.text.replace(SHOWN, &server.url)).unwrap();
                assert!(
                    is_like(&answer, &shown, likeness),
                    "{answer}\nis not like\n{shown}"
                );
                compared += 1;
            }
            _ => {}
        }
    }
    compared
}

#[test]
fn the_page_for_those_who_write_workers_does_what_it_says() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);

    let compared = does_what_it_says(WORKERS, Likeness::Alike, &yard, &server);

    assert_eq!(compared, 8, "each call shows its answer");
}

#[test]
fn the_page_about_the_api_does_what_it_says() {
    let yard = Yard::new();
    let server = yard.serve(&[]);

    let compared = does_what_it_says(API, Likeness::Alike, &yard, &server);

    assert_eq!(compared, 13, "each call shows its answer");
}

#[test]
fn the_page_for_those_who_come_from_older_systems_does_what_it_says() {
    let yard = Yard::new();
    let server = yard.serve(&["--allow-command", "echo"]);

    let compared = does_what_it_says(DIALECTS, Likeness::Alike, &yard, &server);

    assert_eq!(compared, 12, "each call shows its answer");
}

#[test]
fn the_page_about_the_kinds_does_what_it_says() {
    let yard = Yard::new();
    let server = yard.serve(&["--allow-command", "wc,sh", "--allow-http", "127.0.0.1"]);

    let compared = does_what_it_says(EXECUTORS, Likeness::Same, &yard, &server);

    assert_eq!(compared, 4, "each call shows its answer");
}

#[test]
fn the_examples_do_what_their_page_says() {
    let yard = Yard::new();
    let server = yard.serve(&[&QUICK[..], &["--internal-workers", "0"]].concat());
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let beside = Path::new(taskyard().get_program())
        .parent()
        .unwrap()
        .to_owned();
    let mut shout = Command::new(beside.join("examples/shout"));
    let mut count_words = Command::new("python3");
    count_words.arg(format!("{examples}/count_words.py"));
    for command in [&mut shout, &mut count_words] {
        command
            .env("TASKYARD_URL", &server.url)
            .env_remove("TASKYARD_TOKEN")
            .env("no_proxy", "*");
    }
    let _shout = Process::start(shout, yard.path("shout.log"));
    let mut count_words = Process::start(count_words, yard.path("count_words.log"));

    let compared = does_what_it_says(EXAMPLES, Likeness::Same, &yard, &server);

    assert_eq!(compared, 5, "each call shows its answer");
    let name = format!("counter-{}", count_words.id());
    let drained = run(
        &yard.path(""),
        &["workers", "drain", &name],
        &[("TASKYARD_URL", &server.url)],
    );
    assert_eq!(drained.code, 0, "{}", drained.stderr);
    assert!(count_words.wait().success(), "{}", count_words.log());
}
