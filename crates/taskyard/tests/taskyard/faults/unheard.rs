//! A log that nobody reads: whoever was to read it has stopped doing so, and has not gone.

use std::io::{ErrorKind, PipeReader, PipeWriter, Read as _, Write as _};
use std::process::Stdio;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serde_json::json;
use taskyard_api::task::Status;

use crate::yard::{Process, Server, Yard, taskyard};

/// A pipe that has no room for one letter more, and how many there are in it.
fn full_pipe() -> (PipeReader, PipeWriter, usize) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let set = |writer: &PipeWriter, flags| fcntl(writer, FcntlArg::F_SETFL(flags)).unwrap();
    set(&writer, OFlag::O_NONBLOCK);
    let mut letters = 0;
    let error = loop {
        match writer.write(&[b'.'; 4096]) {
            Ok(written) => letters += written,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    // It is one flag for all who write to it.
    set(&writer, OFlag::empty());
    (reader, writer, letters)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_holds_up_neither_work_nor_a_stop() {
    let yard = Yard::new();
    let (_silent, log, _) = full_pipe();
    let start = |arguments: &[&str]| {
        let mut command = taskyard();
        command.args(arguments).args(["--log", "debug"]);
        command
            .stdout(Stdio::piped())
            .stderr(log.try_clone().unwrap());
        Process::of(command.spawn().unwrap())
    };
    let database = yard.database();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--database", &database];

    let server = Server::of(start(&[&serve[..], &["--internal-workers", "0"]].concat()));
    let worker = start(&["worker", "--server", &server.url]);

    assert!(server.client.health().await.unwrap().ok);
    let task = server.submit("echo", json!("heard")).await;
    assert_eq!(server.ended(task).await.status, Status::Completed);
    assert_eq!(worker.stop().code(), Some(0));
    assert_eq!(server.stop().code(), Some(0));
    yard.is_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_read_again_goes_on_where_it_stood_up_to_its_end() {
    let yard = Yard::new();
    let (mut reader, log, letters) = full_pipe();
    let mut command = taskyard();
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(["--database", &yard.database()])
        .stdout(Stdio::piped())
        .stderr(log);
    let server = Server::of(Process::of(command.spawn().unwrap()));
    // With it goes the test's own end of the pipe.
    drop(command);

    let read = std::thread::spawn(move || {
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        said
    });
    assert_eq!(server.stop().code(), Some(0));

    let said = read.join().unwrap();
    let log = &said[letters..];
    let told: Vec<_> = ["a new one was made", "serving", "stopped"]
        .iter()
        .map(|words| log.find(words))
        .collect();
    assert!(told.is_sorted() && told[0].is_some(), "{log}");
}
