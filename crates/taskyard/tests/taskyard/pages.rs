//! What a page tells to type does what the page says.

use std::process::Command;

use serde_json::Value;

use crate::yard::Yard;

const WORKERS: &str = include_str!("../../../../docs/workers.md");

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

/// Everything that the page shows of an answer is there; it may hold more.
fn is_like(answer: &Value, shown: &Value) -> bool {
    match (answer, shown) {
        (Value::Object(answer), Value::Object(shown)) => shown.iter().all(|(name, shown)| {
            let answer = answer.get(name);
            let is_set = name.ends_with("_ms") || name.ends_with("_max");
            answer.is_some_and(|answer| is_like(answer, shown) && (!is_set || answer == shown))
        }),
        (Value::Array(answer), Value::Array(shown)) => {
            shown.iter().enumerate().all(|(index, shown)| {
                answer
                    .get(index)
                    .is_some_and(|answer| is_like(answer, shown))
            })
        }
        (Value::String(answer), Value::String(shown)) => {
            // Words are as shown; ids, tokens and times are others each time.
            !shown.chars().all(|letter| letter.is_ascii_lowercase()) || answer == shown
        }
        (answer, shown) => std::mem::discriminant(answer) == std::mem::discriminant(shown),
    }
}

#[test]
fn the_page_for_those_who_write_workers_does_what_it_says() {
    const END: &str = "%%";
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let blocks = blocks(WORKERS);
    let mut script = "set -eu\n".to_owned();
    for block in blocks.iter().filter(|block| block.language == "sh") {
        script += &block.text.replace("http://127.0.0.1:8000", &server.url);
        script += &format!("echo '{END}'\n");
    }

    let ran = Command::new("sh")
        .args(["-c", &script])
        // Neither a proxy nor settings of whoever runs the tests.
        .env("no_proxy", "*")
        .env("HOME", yard.directory.path())
        .output()
        .unwrap();

    let said = String::from_utf8_lossy(&ran.stdout);
    let complaints = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}\n{complaints}");
    let mut answers = said.split(END);
    let mut answer = "";
    let mut compared = 0;
    for block in &blocks {
        if block.language == "sh" {
            answer = answers.next().unwrap();
            continue;
        }
        let answer: Value = serde_json::from_str(answer).unwrap();
        let shown: Value = serde_json::from_str(block.text).unwrap();
        assert!(is_like(&answer, &shown), "{answer}\nis not like\n{shown}");
        compared += 1;
    }
    assert_eq!(compared, 8, "each call shows its answer");
}
