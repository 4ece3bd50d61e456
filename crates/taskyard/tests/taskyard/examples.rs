//! The examples of `docs/cli.md` do what they say, and those in `examples` what a test of their page does not see.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use taskyard_api::task::{Status, Task};

use crate::shop::Shop;
use crate::way::{Fate, way_to};
use crate::yard::{PATIENCE, Process, QUICK, Yard, run};

const COMMANDS: &str = include_str!("../../../../docs/cli.md");
/// Stands in examples for a task that there is.
const SOME_TASK: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
/// These go on until they are told to stop, or measure for minutes; that they are understood is tried beside the command
/// line, what they do in tests of their own.
const GO_ON: [&str; 4] = ["serve", "worker", "bench", "demo"];
/// There is none that goes on for so long that it could be stopped, nor one whose id is known.
const OF_ONE_OPERATION: [&str; 2] = ["operations cancel", "operations show"];

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_a_command_that_ends_does_its_work() {
    let yard = Yard::new();
    let server = yard.serve(&["--allow-command", "wc"]);
    let done = server.submit("echo", json!(1)).await;
    server.ended(done).await;
    let place = yard.path("place");
    std::fs::create_dir(&place).unwrap();
    symlink(env!("CARGO_BIN_EXE_taskyard"), place.join("taskyard")).unwrap();
    let path = format!("{}:{}", place.display(), std::env::var("PATH").unwrap());
    let blocks = COMMANDS.split("```sh\n").skip(1);
    let examples = blocks.flat_map(|block| block.split("```").next().unwrap().lines());

    let mut ran = 0;
    for example in examples {
        let (_, words) = example.split_once("taskyard ").unwrap();
        let goes_on = GO_ON
            .iter()
            .any(|command| words.split(' ').next() == Some(command));
        let of_one = OF_ONE_OPERATION.iter().any(|verb| words.starts_with(verb));
        if goes_on || of_one {
            continue;
        }
        let waits = server.submit("for-nobody", json!(1)).await;
        let of_waiting = ["cancel", "patch"];
        let task = if of_waiting.iter().any(|verb| words.starts_with(verb)) {
            waits
        } else {
            done
        };
        let line = example.replace(SOME_TASK, &task.to_string());
        let mut shell = Command::new("sh");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TASKYARD_") {
                shell.env_remove(name);
            }
        }
        let output = shell
            .args(["-c", &line])
            .env("PATH", &path)
            .env("TASKYARD_URL", &server.url)
            .current_dir(&place)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        ran += 1;
    }
    assert!(ran >= 20, "{ran} examples");
    let page = std::fs::read_to_string(place.join("man1/taskyard-db-backup.1")).unwrap();
    assert!(page.contains("taskyard\\-db\\-backup"), "{page}");
    let footer = format!("\"taskyard {}\"", env!("CARGO_PKG_VERSION"));
    assert!(page.contains(&footer), "{page}");
}

#[test]
fn each_shell_gets_completions_that_know_the_commands() {
    let yard = Yard::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let printed = run(yard.directory.path(), &["completions", shell], &[]);
        assert_eq!(printed.code, 0, "{}", printed.stderr);
        assert!(printed.stdout.contains("internal-workers"), "{shell}");
        // PowerShell and Elvish complete no values.
        if ["bash", "zsh", "fish"].contains(&shell) {
            assert!(printed.stdout.contains("assigned"), "{shell}");
        }
    }
    let printed = run(yard.directory.path(), &["man", "no", "such"], &[]);
    assert_eq!(printed.code, 2);
    assert!(printed.stderr.contains("no such"), "{}", printed.stderr);
}

#[test]
fn a_server_does_not_start_beside_a_variable_that_is_no_setting() {
    let yard = Yard::new();
    for command in ["serve", "worker"] {
        let printed = run(
            yard.directory.path(),
            &[command],
            &[("TASKYARD_LEESE", "2m")],
        );
        assert_eq!(printed.code, 2, "{}", printed.stderr);
        for said in ["TASKYARD_LEESE", "TASKYARD_LEASE"] {
            assert!(printed.stderr.contains(said), "{}", printed.stderr);
        }
    }
    let printed = run(
        yard.directory.path(),
        &["config"],
        &[("TASKYARD_LEESE", "2m"), ("TASKYARD_SWEEP", "2s")],
    );
    assert_eq!(printed.code, 0);
    assert!(
        printed.stderr.contains("TASKYARD_LEESE"),
        "{}",
        printed.stderr
    );
    assert!(
        printed.stdout.contains("environment (TASKYARD_SWEEP)"),
        "{}",
        printed.stdout
    );
}

#[test]
fn the_worker_in_python_waits_for_a_server_that_is_away_and_ends_in_order() {
    let mut command = count_words("http://127.0.0.1:9");
    command.stderr(Stdio::piped());
    let mut worker = Process::of(command.spawn().unwrap());
    let mut said = BufReader::new(worker.child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let away = "the server at http://127.0.0.1:9/api/v1 is away";
    assert!(line.starts_with(away), "{line}");

    worker.signal(Signal::SIGINT);

    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(rest.lines().all(|line| line.starts_with(away)), "{rest}");
    assert_eq!(worker.wait().code(), Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_in_python_ends_what_is_cancelled_and_hands_back_what_it_runs() {
    let yard = Yard::new();
    let without_others = [&QUICK[..], &["--internal-workers", "0"]].concat();
    let server = yard.serve(&without_others);
    let mut worker = Process::start(count_words(&server.url), yard.path("count_words.log"));
    let endless = json!({"text": "a b c", "seconds_a_word": 1000});
    let running = |task: &Task| task.status == Status::Running;

    let cancelled = server.submit("count-words", endless.clone()).await;
    server.until(cancelled, running).await;
    server.client.cancel(cancelled).await.unwrap();
    let next = server.submit("count-words", json!({"text": "a b"})).await;
    let next = server.ended(next).await;
    assert_eq!(next.status, Status::Completed, "{}", worker.log());

    // It finds the next server under the same address.
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    assert!(server.stop().success());
    let server = yard.serve_at(&address, &without_others);
    let handed_back = server.submit("count-words", endless).await;
    server.until(handed_back, running).await;
    // That its lease was renewed shows that it has the task in hand.
    let name = format!("counter-{}", worker.id());
    let expires_at = async || {
        let worker = server.client.worker(&name).await.unwrap();
        worker.running.unwrap()[0].lease_expires_at
    };
    let first = expires_at().await;
    let renewed = async { while expires_at().await == first {} };
    tokio::time::timeout(PATIENCE, renewed).await.unwrap();
    worker.signal(Signal::SIGTERM);
    let code = worker.wait().code();
    assert_eq!(code, Some(130), "{}", worker.log());
    let task = server.client.task(handed_back, None).await.unwrap();
    assert_eq!((task.status, task.losses), (Status::Pending, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_in_python_hands_back_what_a_claim_brought_while_it_was_stopped() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let task = server.submit("count-words", json!({"text": "a b"})).await;
    let claims = AtomicUsize::new(0);
    let (url, _) = way_to(&server, move |request, _| {
        let path = request.strip_prefix("POST /api/v1/workers/counter-");
        let claim = path.and_then(|path| path.split_once("/claim "));
        let Some((id, _)) = claim else {
            return Fate::Passes;
        };
        match claims.fetch_add(1, Ordering::SeqCst) {
            0 => Fate::IsLost,
            1 => {
                kill(Pid::from_raw(id.parse().unwrap()), Signal::SIGTERM).unwrap();
                Fate::IsAnswered(503, json!({}))
            }
            _ => Fate::Passes,
        }
    });

    let mut worker = Process::start(count_words(&url), yard.path("count_words.log"));

    let code = worker.wait().code();
    assert_eq!(code, Some(130), "{}", worker.log());
    let task = server.client.task(task, None).await.unwrap();
    assert_eq!((task.status, task.losses), (Status::Pending, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_in_python_fails_for_good_what_cannot_come_to_anything() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0", "--output-max", "11"]);
    let mut worker = Process::start(count_words(&server.url), yard.path("count_words.log"));
    for (text, code, said) in [
        (json!(5), "TypeError", "text must be a string, not 5"),
        (json!("a ".repeat(10)), "too_large", "at most 11"),
    ] {
        let task = server.submit("count-words", json!({"text": text})).await;

        let task = server.ended(task).await;

        let error = task.error.unwrap();
        assert_eq!((task.status, task.attempts), (Status::Failed, 1));
        assert_eq!(error.code, code);
        assert!(error.message.contains(said), "{}", error.message);
    }
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().code(), Some(130), "{}", worker.log());
}

fn count_words(url: &str) -> Command {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let mut command = Command::new("python3");
    command
        .arg(format!("{examples}/count_words.py"))
        .env("TASKYARD_URL", url)
        .env_remove("TASKYARD_TOKEN")
        .env("no_proxy", "*");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_and_its_task_are_written_together_in_every_language() {
    let Some(shop) = Shop::open("examples").await else {
        return;
    };
    let yard = Yard::new();
    let server = yard.serve(&["--inbox", &shop.url]);
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/inbox");
    let beside = Path::new(env!("CARGO_BIN_EXE_taskyard")).parent().unwrap();
    let tables = std::fs::read_to_string(format!("{examples}/shop.sql")).unwrap();
    shop.run(&tables).await;
    let order = |name: &str| format!("{examples}/order.{name}");
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
        .args([&shop.url, "--file", &order("sql")]);
    let mut ways = vec![psql, Command::new(beside.join("examples/order"))];
    if let Some(installed) = std::env::var_os("TASKYARD_TEST_EXAMPLES").map(PathBuf::from) {
        let mut python = Command::new(installed.join("python/bin/python"));
        python.arg(order("py"));
        let mut node = Command::new("node");
        node.arg(order("js"))
            .env("NODE_PATH", installed.join("node_modules"));
        ways.extend([python, node]);
    } else {
        eprintln!(
            "skipped in part: TASKYARD_TEST_EXAMPLES names no psycopg and pg; `make test` installs them"
        );
    }

    for (orders, mut way) in (1_i64..).zip(ways) {
        let ran = way.env("SHOP_URL", &shop.url).output().unwrap();

        let said = String::from_utf8_lossy(&ran.stdout);
        let complaints = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{way:?}: {said}\n{complaints}");
        let id = said.trim().parse().unwrap();
        server.taken(id).await;
        let task = server.ended(id).await;
        assert_eq!(
            (task.status, &*task.queue, task.priority),
            (Status::Completed, "orders", 1)
        );
        let output: Value = serde_json::from_str(task.output.unwrap().get()).unwrap();
        assert_eq!(output, json!({"item": "kettle"}));
        let found = "select count(*), count(*) filter (where item = 'kettle' and task is not null) from orders";
        let found = shop.client.query_one(found, &[]).await.unwrap();
        assert_eq!((found.get(0), found.get(1)), (orders, orders), "{way:?}");
        assert_eq!(server.tasks().await, orders.unsigned_abs(), "{way:?}");
    }
    shop.until("true", 0).await;
    shop.close().await;
}
