//! Lists whose filter lets little through.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use taskyard_api::submit::Submit;

use crate::yard::{Process, Yard, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_on_until_it_has_found_as_many_as_were_asked_for() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0", "--list-look-at-max", "2"]);
    let mut blue = Vec::new();
    for number in 0..12 {
        let mut task = Submit::new("noop", json!(null));
        if number % 5 == 0 {
            task.labels.insert("team".to_owned(), "blue".to_owned());
        }
        let id = server.submit_as(task).await.to_string();
        if number % 5 == 0 {
            blue.insert(0, id);
        }
    }
    let list = |limit: &str| {
        let arguments = ["list", "--label", "team=blue", "--limit", limit];
        let url = [("TASKYARD_URL", server.url.as_str())];
        let quiet = [&arguments[..], &["--output", "quiet"]].concat();
        let table = run(yard.directory.path(), &arguments, &url);
        (
            run(yard.directory.path(), &quiet, &url).stdout,
            table.stderr,
        )
    };

    let (found, said) = list("20");
    assert_eq!(found.lines().collect::<Vec<_>>(), blue);
    assert_eq!(said, "");
    let (found, said) = list("2");
    assert_eq!(found.lines().collect::<Vec<_>>(), blue[..2]);
    assert!(said.contains("There are more: --cursor"), "{said}");

    // What is said so is of one moment, which the cursor goes with.
    let list = |further: &[&str]| {
        let arguments = [&["list", "--label", "team=blue", "--limit", "2"], further].concat();
        run(
            yard.directory.path(),
            &arguments,
            &[("TASKYARD_URL", server.url.as_str())],
        )
    };
    let first = list(&["--created-after", "1h"]);
    let (_, on) = first.stderr.split_once("There are more: ").unwrap();
    let on: Vec<&str> = on.split_whitespace().collect();
    assert_eq!(on[0], "--created-after", "{}", first.stderr);
    let second = list(&on);
    assert!(second.stdout.contains(&blue[2]), "{}", second.stderr);
}

/// A server that answers as the test says, and the list that asks it.
struct Asked {
    listener: TcpListener,
    stream: TcpStream,
    heads: BufReader<TcpStream>,
}

impl Asked {
    fn by_list(yard: &Yard) -> (Self, Process) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let list = ["list", "--kind", "rare", "--server", &url];
        let list = yard.alone("list", &list, &[]);
        let (stream, _) = listener.accept().unwrap();
        let heads = BufReader::new(stream.try_clone().unwrap());
        let asked = Self {
            listener,
            stream,
            heads,
        };
        (asked, list)
    }

    /// The first line of the next request.
    fn request(&mut self) -> String {
        let mut first = String::new();
        self.heads.read_line(&mut first).unwrap();
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            self.heads.read_line(&mut line).unwrap();
        }
        first
    }

    fn answer_with_an_empty_page(&mut self) {
        self.answer("", &json!({"items": [], "next_cursor": "further"}));
    }

    fn answer(&mut self, header: &str, page: &Value) {
        let page = page.to_string();
        let length = page.len();
        write!(
            self.stream,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{header}content-length: {length}\r\n\r\n{page}"
        )
        .unwrap();
    }

    /// From now on nobody listens.
    fn goes_away(self) {
        drop(self.listener);
        drop((self.stream, self.heads));
    }
}

#[test]
fn a_list_that_is_interrupted_shows_what_it_found_and_where_to_go_on() {
    let yard = Yard::new();
    let (mut asked, list) = Asked::by_list(&yard);

    asked.request();
    asked.answer_with_an_empty_page();
    let second = asked.request();
    list.signal(Signal::SIGINT);
    let printed = list.finish();

    assert!(second.contains("cursor=further"), "{second}");
    assert_eq!(printed.code, 130);
    assert!(printed.stdout.contains("TASK"), "{}", printed.stdout);
    assert_eq!(printed.stderr.trim(), "There are more: --cursor further");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_watched_tells_each_change_until_it_is_interrupted() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let id = server.submit("resize", json!(1)).await;
    let mut list = crate::yard::taskyard();
    list.args(["list", "--watch", "--server", &server.url])
        .stdout(std::process::Stdio::piped());
    let mut list = list.spawn().unwrap();
    let mut lines = BufReader::new(list.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();

    let first = next();
    server.client.cancel(id).await.unwrap();
    let second = next();
    let newer = server.submit("resize", json!(1)).await;
    let third = next();

    for (line, task, status) in [
        (first, id, "pending"),
        (second, id, "cancelled"),
        (third, newer, "pending"),
    ] {
        assert!(line.starts_with(&task.to_string()), "{line}");
        assert!(line.contains(status), "{line}");
    }
    let pid = nix::unistd::Pid::from_raw(list.id().try_into().unwrap());
    nix::sys::signal::kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(list.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_watched_ends_when_nobody_reads_what_it_tells_next() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    server.submit("resize", json!(1)).await;
    for format in ["table", "json", "quiet"] {
        let watch = ["list", "--watch", "--output", format];
        let mut list = yard.command(&server, format, &watch);
        let mut line = String::new();
        let mut stdout = BufReader::new(list.child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();

        drop(stdout);
        server.submit("resize", json!(1)).await;
        let printed = list.finish();

        assert_eq!((printed.code, printed.stderr.as_str()), (0, ""), "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_watched_ends_as_others_do_when_the_server_stays_away() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    server.submit("resize", json!(1)).await;
    let watch = ["list", "--watch", "--server-wait", "100ms"];
    let mut list = yard.command(&server, "list", &watch);
    let mut line = String::new();
    let stdout = list.child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();

    let url = server.url.clone();
    server.process.kill();
    let printed = list.finish();

    assert_eq!(printed.code, 3, "{}", printed.stderr);
    let away = format!("The server at {url} is away; waiting up to 100ms");
    for said in [away.as_str(), "`taskyard serve`"] {
        assert!(printed.stderr.contains(said), "{}", printed.stderr);
    }
}

#[test]
fn ages_are_told_by_the_servers_clock() {
    let yard = Yard::new();
    let (mut asked, list) = Asked::by_list(&yard);
    let time = "2020-01-01T00:00:00Z";
    let task = json!({
        "id": "01890a5d-ac96-774b-bcce-b302099a8057", "kind": "rare", "queue": "default", "status": "pending",
        "error": null, "priority": 0, "labels": {}, "requires": {}, "run_at": time, "created_at": time,
        "assigned_at": null, "started_at": null, "ended_at": null, "timeout_ms": 1, "attempts": 0, "failures": 0,
        "losses": 0, "max_attempts": 1, "max_losses": 1,
        "retry": {"backoff_ms": 1, "factor": 2.0, "max_ms": 1, "jitter": 0.5}, "worker_id": null, "progress": null,
        "job_id": null, "exclusive": false, "unique_key": null, "retry_of": null, "origin": null,
        "required_submissions": 1,
    });

    asked.request();
    let date = "date: Wed, 01 Jan 2020 00:07:30 GMT\r\n";
    asked.answer(date, &json!({"items": [task], "next_cursor": null}));
    let printed = list.finish();

    let row = printed.stdout.lines().last().unwrap();
    assert!(row.ends_with("  7m"), "{row}");
}

#[test]
fn what_a_list_leaves_out_is_told() {
    let yard = Yard::new();
    let (mut asked, list) = Asked::by_list(&yard);
    let ids: Vec<String> = (10..15)
        .map(|n| format!("01890a5d-ac96-774b-bcce-b302099a80{n}"))
        .collect();

    asked.request();
    asked.answer(
        "",
        &json!({"items": [], "next_cursor": "further", "unreadable": ids[..1]}),
    );
    asked.request();
    asked.answer(
        "",
        &json!({"items": [], "next_cursor": null, "unreadable": ids[1..]}),
    );
    let printed = list.finish();

    assert_eq!(printed.code, 0);
    let said = format!("{} and 2 more", ids[..3].join(", "));
    assert_eq!(printed.stderr.lines().count(), 1, "{}", printed.stderr);
    assert!(printed.stderr.contains(&said), "{}", printed.stderr);
}

#[test]
fn a_list_that_fails_on_its_way_shows_what_it_found_and_where_to_go_on() {
    let yard = Yard::new();
    let (mut asked, list) = Asked::by_list(&yard);

    asked.request();
    asked.answer_with_an_empty_page();
    asked.request();
    asked.goes_away();
    let printed = list.finish();

    assert_eq!(printed.code, 3);
    assert!(printed.stdout.contains("TASK"), "{}", printed.stdout);
    let told: Vec<&str> = printed.stderr.lines().collect();
    assert_eq!(told[0], "There are more: --cursor further");
    assert!(told[1].starts_with("taskyard: "), "{told:?}");
}

#[test]
fn a_list_that_fails_at_once_shows_nothing_but_why() {
    let yard = Yard::new();
    let (mut asked, list) = Asked::by_list(&yard);

    asked.request();
    asked.goes_away();
    let printed = list.finish();

    assert_eq!((printed.code, printed.stdout.as_str()), (3, ""));
    assert!(
        printed.stderr.starts_with("taskyard: "),
        "{}",
        printed.stderr
    );
}
