//! How many files a process may have open, which connections count as.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::yard::{PATIENCE, Process, Server, Yard, after, run};

/// More than a server may have that is allowed 200 files.
const CROWD: usize = 250;

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The first line of the answer.
fn get(stream: &mut TcpStream, path: &str) -> String {
    ask(stream, path);
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while !answer.windows(2).any(|end| end == b"\r\n") {
        let read = stream.read(&mut piece).unwrap();
        assert_ne!(read, 0, "closed without an answer");
        answer.extend_from_slice(&piece[..read]);
    }
    let answer = String::from_utf8(answer).unwrap();
    answer.split("\r\n").next().unwrap().to_owned()
}

fn ask(stream: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
}

#[test]
fn a_server_takes_as_many_as_it_may_have() {
    let yard = Yard::new();

    let server = yard.serve_after(
        "ulimit -Sn 300; ulimit -Hn 4000",
        &["--connections-max", "3000"],
    );

    assert_eq!(server.process.open_files(), (4000, 4000));
    let log = server.log_of_start();
    assert!(!log.contains("--connections-max"), "{log}");
}

#[test]
fn a_worker_takes_as_many_as_it_may_have() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let mut command = after("ulimit -Sn 300; ulimit -Hn 400");
    command.args(["worker", "--server", &server.url, "--name", "w"]);
    let worker = Process::start(command, yard.path("w.log"));

    // Once it works, it has long raised them.
    let submit = ["submit", "noop", "--wait", "--server", &server.url];
    assert_eq!(run(yard.directory.path(), &submit, &[]).code, 0);

    assert_eq!(worker.open_files(), (400, 400));
}

#[test]
fn probes_are_answered_however_many_say_nothing_where_few_files_may_be_open() {
    let yard = Yard::new();
    let server = yard.serve_after("ulimit -Sn 100; ulimit -Hn 200", &["--head-within", "1h"]);
    let log = server.process.log_with("--connections-max");
    for said in [
        "--connections-max is 10000",
        "--connections-spare 100",
        "200 files",
        "56 connections",
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }

    let _silent: Vec<TcpStream> = (0..CROWD).map(|_| connect(&server)).collect();

    for path in ["/health", "/ready", "/api/v1/tasks"] {
        assert_eq!(get(&mut connect(&server), path), "HTTP/1.1 200 OK");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_are_answered_while_all_are_served_where_few_files_may_be_open() {
    let yard = Yard::new();
    let server = yard.serve_after(
        "ulimit -n 200",
        &["--internal-workers", "0", "--place-within", "1h"],
    );
    let id = server.submit("noop", serde_json::Value::Null).await;

    // It has 64 for itself; of the others each half waits for the task, and at the door.
    let waiting: Vec<TcpStream> = (0..CROWD)
        .map(|_| {
            let mut stream = connect(&server);
            ask(&mut stream, &format!("/api/v1/tasks/{id}?wait_ms=60000"));
            stream
        })
        .collect();

    for path in ["/health", "/ready"] {
        assert_eq!(get(&mut connect(&server), path), "HTTP/1.1 200 OK");
    }
    drop(waiting);
}

#[test]
fn too_few_files_for_any_connection_are_refused() {
    let yard = Yard::new();
    let mut command = after("ulimit -n 80");
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--database",
        &yard.database(),
    ]);

    let printed = Process::start(command, yard.path("server.log")).finish();

    assert_eq!(printed.code, 2, "{}", printed.stderr);
    for said in ["80 files", "88", "ulimit -Hn", "--internal-workers"] {
        assert!(printed.stderr.contains(said), "{}", printed.stderr);
    }
}
