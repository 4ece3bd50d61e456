//! What a page tells to type does what the page says.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use taskyard_api::page::TasksQuery;
use taskyard_api::task::Status;

use crate::shop::Shop;
use crate::yard::{PATIENCE, Process, QUICK, Server, Yard, run, taskyard};

const README: &str = include_str!("../../../../README.md");
const API: &str = include_str!("../../../../docs/api.md");
const WORKERS: &str = include_str!("../../../../docs/workers.md");
const DIALECTS: &str = include_str!("../../../../docs/dialects.md");
const EXECUTORS: &str = include_str!("../../../../docs/executors.md");
const GLOSSARY: &str = include_str!("../../../../docs/glossary.md");
const OPERATIONS: &str = include_str!("../../../../docs/operations.md");
const INBOX: &str = include_str!("../../../../docs/inbox.md");
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
    const SHOWN: &str = "127.0.0.1:8000";
    let address = server.url.strip_prefix("http://").unwrap();
    let blocks = blocks(page);
    let mut script = "set -eu\n".to_owned();
    for block in blocks.iter().filter(|block| block.language == "sh") {
        script += &block.text.replace(SHOWN, address);
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
                    serde_json::from_str(&block.text.replace(SHOWN, address)).unwrap();
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

    assert_eq!(compared, 9, "each call shows its answer");
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

#[tokio::test(flavor = "multi_thread")]
async fn the_page_for_operators_does_what_it_says() {
    let yard = Yard::new();
    // Where the commands beside it look for it.
    let database = format!("sqlite:{}", yard.path("taskyard.db").display());
    let server = yard.serve_on(&database, "127.0.0.1:0", &["--internal-workers", "3"]);

    let known = async { while server.client.worker("worker-2").await.is_err() {} };
    tokio::time::timeout(PATIENCE, known).await.unwrap();

    let compared = does_what_it_says(OPERATIONS, Likeness::Alike, &yard, &server);

    assert_eq!(compared, 1, "a sweep answers");
    for name in ["tasks-monday.db", "tasks-latest.db"] {
        assert!(yard.path(name).is_file(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_about_inboxes_does_what_it_says() {
    let Some(shop) = Shop::open("page").await else {
        return;
    };
    let yard = Yard::new();
    let server = yard.serve(&["--inbox", &shop.url]);
    does_what_it_says(INBOX, Likeness::Same, &yard, &server);
    assert!(yard.path("inbox.sql").is_file());
    // Roles are those of the whole server.
    let (of_shop, of_yard) = (
        format!("shop_{}", server.process.id()),
        format!("yard_{}", server.process.id()),
    );
    shop.run(&format!(
        "create role {of_shop}; create role {of_yard};
         create table orders (item text); create table users (id int, is_late bool);
         insert into users (id, is_late) values (1, true), (2, false)"
    ))
    .await;

    for block in blocks(INBOX).iter().filter(|block| block.language == "sql") {
        let roles = block.text.replace(" to shop;", &format!(" to {of_shop};"));
        shop.run(&roles.replace(" to taskyard;", &format!(" to {of_yard};")))
            .await;
    }

    shop.until("true", 0).await;
    assert_eq!(server.tasks().await, 3, "a receipt, a picture, a reminder");
    shop.run(&format!(
        "drop owned by {of_shop}, {of_yard}; drop role {of_shop}; drop role {of_yard}"
    ))
    .await;
    shop.close().await;
}

#[test]
fn what_the_glossary_shows_is_understood() {
    let yard = Yard::new();
    let server = yard.serve(&[]);

    let compared = does_what_it_says(GLOSSARY, Likeness::Same, &yard, &server);

    assert_eq!(compared, 0, "it shows no answers");
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
    let python = |name: &str| {
        let mut command = Command::new("python3");
        command.arg(format!("{examples}/{name}.py"));
        command
    };
    let (mut count_words, mut reverse) = (python("count_words"), python("reverse"));
    for command in [&mut shout, &mut count_words, &mut reverse] {
        command
            .env("TASKYARD_URL", &server.url)
            .env_remove("TASKYARD_TOKEN")
            .env("no_proxy", "*");
    }
    let shout = Process::start(shout, yard.path("shout.log"));
    let mut count_words = Process::start(count_words, yard.path("count_words.log"));
    let mut reverse = Process::start(reverse, yard.path("reverse.log"));

    let compared = does_what_it_says(EXAMPLES, Likeness::Same, &yard, &server);

    assert_eq!(compared, 6, "each call shows its answer");
    for (worker, name) in [(&mut count_words, "counter"), (&mut reverse, "reverser")] {
        let name = format!("{name}-{}", worker.id());
        let drained = run(
            &yard.path(""),
            &["workers", "drain", &name],
            &[("TASKYARD_URL", &server.url)],
        );
        assert_eq!(drained.code, 0, "{}", drained.stderr);
        assert!(worker.wait().success(), "{}", worker.log());
    }
    assert!(
        shout.stop().success(),
        "it ends in order when it is told to"
    );
}

/// What README tells to type, line by line, without what is said behind it.
fn lines_of_readme() -> impl Iterator<Item = &'static str> {
    let blocks = blocks(README).into_iter();
    let typed = blocks.filter(|block| block.language == "sh");
    typed
        .flat_map(|block| block.text.lines())
        .map(|line| line.split(" # ").next().unwrap().trim())
        .filter(|line| !line.is_empty())
}

/// The one that begins so, without its beginning.
fn line_of_readme(beginning: &str) -> &'static str {
    let mut lines = lines_of_readme();
    let line = lines.find_map(|line| line.strip_prefix(beginning));
    line.unwrap_or_else(|| panic!("README shows no line that begins with {beginning:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn readme_does_what_it_says() {
    // Left out: the demonstration and the tests are tests themselves, and the program that would be installed is here.
    const LEFT_OUT: [&str; 3] = ["make demo", "make test", "cargo install "];
    let yard = Yard::new();
    let top = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    for name in ["README.md", "docs", "examples"] {
        symlink(Path::new(top).join(name), yard.path(name)).unwrap();
    }
    let flags = line_of_readme("taskyard serve ").split_whitespace();
    let server = yard.serve(&flags.collect::<Vec<_>>());
    let mut script = String::new();
    for line in lines_of_readme() {
        let goes_on = ["taskyard serve ", "taskyard worker "];
        let mut others = LEFT_OUT.iter().chain(&goes_on);
        if others.any(|other| line.starts_with(other)) {
            continue;
        }
        script += &format!("{line}\n");
        if line.ends_with('&') {
            script += "trap \"kill -KILL $!\" EXIT\n";
        }
    }

    does_what_it_says(
        &format!("```sh\n{script}```"),
        Likeness::Same,
        &yard,
        &server,
    );

    let all = TasksQuery {
        limit: Some(1_000),
        ..TasksQuery::default()
    };
    let tasks = server.client.list(&all).await.unwrap().items;
    let count = |kind| tasks.iter().filter(|task| task.kind == kind).count();
    let pages = std::fs::read_dir(yard.path("docs")).unwrap();
    let pages =
        pages.filter(|page| page.as_ref().unwrap().path().extension() == Some("md".as_ref()));
    assert_eq!(count("command"), 1 + pages.count(), "{tasks:?}");
    assert_eq!(
        (count("echo"), count("sleep"), count("count-words")),
        (2, 1, 1)
    );
    assert!(tasks.iter().all(|task| task.status != Status::Failed));

    // With those inside gone, the one outside is left.
    let flags = line_of_readme("taskyard worker ").split_whitespace();
    let worker = yard.worker(&server, "outside", &flags.collect::<Vec<_>>());
    server.client.stop_pool().await.unwrap();
    let input = json!({"argv": ["wc", "-c"], "stdin": "hello"});
    let ended = server.submit("command", input).await;
    let ended = server.ended(ended).await;
    assert_eq!(ended.worker_id.as_deref(), Some("outside"), "{ended:?}");
    assert!(worker.stop().success());
}
