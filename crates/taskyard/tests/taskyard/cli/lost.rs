//! Answers that are lost on their way to the command line.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::yard::{Printed, Server, Yard, run};

/// What becomes of one request.
enum Fate {
    Passes,
    /// It is served, and nobody hears of it.
    IsLost,
    /// This status and body instead.
    IsAnswered(u16, Value),
}

/// A way to the server that counts requests. `fate` is told their texts, and of submits how many there were before.
fn way_to(
    server: &Server,
    fate: impl Fn(&str, usize) -> Fate + Send + Sync + 'static,
) -> (String, Arc<AtomicUsize>) {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", door.local_addr().unwrap());
    let behind = server.url.trim_start_matches("http://").to_owned();
    let (submits, fate) = (Arc::new(AtomicUsize::new(0)), Arc::new(fate));
    let counted = Arc::clone(&submits);
    thread::spawn(move || {
        for caller in door.incoming() {
            let (behind, counted, fate) = (behind.clone(), Arc::clone(&counted), Arc::clone(&fate));
            thread::spawn(move || carry(caller.unwrap(), &behind, &counted, &*fate));
        }
    });
    (url, submits)
}

fn carry(
    mut caller: TcpStream,
    behind: &str,
    submits: &AtomicUsize,
    fate: &dyn Fn(&str, usize) -> Fate,
) {
    let mut server = TcpStream::connect(behind).unwrap();
    while let Some(request) = message(&mut caller) {
        let text = String::from_utf8_lossy(&request);
        let is_submit = text.starts_with("POST /api/v1/tasks");
        let before = submits.fetch_add(usize::from(is_submit), Ordering::SeqCst);
        let answer = match fate(&text, before) {
            Fate::IsAnswered(status, body) => {
                let body = body.to_string();
                let length = body.len();
                format!("HTTP/1.1 {status} \r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
            }
            passes_or_not => {
                server.write_all(&request).unwrap();
                let answer = message(&mut server).expect("the server answers");
                if matches!(passes_or_not, Fate::IsLost) {
                    return;
                }
                answer
            }
        };
        caller.write_all(&answer).unwrap();
    }
}

/// A head, and a body of the length that it states; none at the end.
fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(bytes);
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

fn total(yard: &Yard, server: &Server) -> usize {
    let listed = run(
        yard.directory.path(),
        &["list", "--output", "quiet"],
        &[("TASKYARD_URL", &server.url)],
    );
    listed.stdout.lines().count()
}

fn ask(yard: &Yard, url: &str, arguments: &[&str]) -> Printed {
    run(yard.directory.path(), arguments, &[("TASKYARD_URL", url)])
}

#[test]
fn a_submit_whose_answer_was_lost_is_said_again_and_done_once() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    std::fs::write(yard.path("inputs"), "1\n2\n").unwrap();
    let first_is_lost = |_: &str, before| match before {
        0 => Fate::IsLost,
        _ => Fate::Passes,
    };

    let mut tasks = 0;
    for (arguments, more) in [
        (&["echo", "1", "--output", "quiet"][..], 1),
        (&["echo", "1", "--wait", "--output", "quiet"], 1),
        (&["echo", "1", "--idempotency-key", "k"], 1),
        (&["echo", "--each-line", "inputs"], 2),
    ] {
        let (url, submits) = way_to(&server, first_is_lost);
        let submitted = ask(&yard, &url, &[&["submit"], arguments].concat());

        assert_eq!(submitted.code, 0, "{arguments:?}: {}", submitted.stderr);
        assert_eq!(submits.load(Ordering::SeqCst), 2, "{arguments:?}");
        tasks += more;
        assert_eq!(total(&yard, &server), tasks, "{arguments:?}");
    }
}

#[test]
fn a_submit_that_reached_the_server_too_slowly_or_in_part_is_sent_again() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    for (tasks, (status, code)) in
        (1..).zip([(408, "body_timeout"), (400, "broken_body"), (502, "")])
    {
        let first_is_cut = move |_: &str, before| match before {
            0 => Fate::IsAnswered(status, json!({ "status": status, "code": code })),
            _ => Fate::Passes,
        };
        let (url, submits) = way_to(&server, first_is_cut);

        let submitted = ask(&yard, &url, &["submit", "echo", "1"]);

        assert_eq!(submitted.code, 0, "{code}: {}", submitted.stderr);
        assert_eq!(submits.load(Ordering::SeqCst), 2, "{code}");
        assert_eq!(total(&yard, &server), tasks, "{code}");
    }
}

#[test]
fn a_submit_that_stays_unanswered_says_how_to_make_sure() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    let (url, submits) = way_to(&server, |_, _| Fate::IsLost);

    let arguments = ["submit", "echo", "1", "--server-wait", "0s"];
    let lost = ask(&yard, &url, &arguments);

    assert_eq!(lost.code, 3, "{}", lost.stderr);
    assert_eq!(submits.load(Ordering::SeqCst), 1);
    let (_, once) = lost.stderr.split_once("--id ").expect(&lost.stderr);
    let id = once.split_whitespace().next().unwrap();
    let again = ask(
        &yard,
        &server.url,
        &["submit", "echo", "1", "--id", id, "--output", "quiet"],
    );
    assert_eq!(again.stdout.trim(), id, "{}", again.stderr);
    assert_eq!(total(&yard, &server), 1);
}

#[test]
fn what_the_server_refused_is_not_perhaps_submitted() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    for (status, code) in [(507, "disk_full"), (503, "unavailable")] {
        let refuses = move |_: &str, _| {
            let title = "Not now";
            Fate::IsAnswered(
                status,
                json!({ "title": title, "status": status, "code": code }),
            )
        };
        let (url, _) = way_to(&server, refuses);
        for input in [&["1"][..], &["--each-line", "inputs"]] {
            std::fs::write(yard.path("inputs"), "1\n").unwrap();
            let submit = ["submit", "echo", "--server-wait", "10ms"];

            let refused = ask(&yard, &url, &[&submit[..], input].concat());

            assert_eq!(refused.code, 1, "{}", refused.stderr);
            for doubt in ["Perhaps", "known to be submitted"] {
                assert!(!refused.stderr.contains(doubt), "{}", refused.stderr);
            }
        }
    }
    assert_eq!(total(&yard, &server), 0);
}

#[test]
fn a_clock_that_is_wrong_keeps_nobody_from_submitting() {
    let yard = Yard::new();
    let server = yard.serve(&[]);
    let ids_are_old = |request: &str, _| {
        let Some((_, id)) = request.split_once(r#""id":""#) else {
            return Fate::Passes;
        };
        Fate::IsAnswered(
            422,
            json!({
                "type": "/problems/invalid", "title": "Invalid value", "status": 422, "code": "invalid",
                "detail": "not of these 24 hours", "task_id": &id[..36],
            }),
        )
    };
    let (url, submits) = way_to(&server, ids_are_old);

    let submitted = ask(&yard, &url, &["submit", "echo", "1"]);

    assert_eq!(submitted.code, 0, "{}", submitted.stderr);
    assert_eq!(submits.load(Ordering::SeqCst), 2);
    assert_eq!(total(&yard, &server), 1);
}
