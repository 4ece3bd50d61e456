//! A demo that is ended in the middle of its story leaves nothing behind.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::ChildStdout;

use nix::sys::signal::Signal;

use super::behind::{is_empty, started_by, until};
use crate::yard::{Process, Yard, is_heeded};

/// A demo whose temporary files are in this directory, and whose workers are at work.
fn begin(yard: &Yard, temporary: &Path) -> (Process, BufReader<ChildStdout>) {
    std::fs::create_dir(temporary).unwrap();
    let mut demo = yard.alone("demo", &["demo"], &[("TMPDIR", temporary)]);
    let mut lines = BufReader::new(demo.child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("Submitted") {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "{}", demo.log());
    }
    assert!(!started_by(demo.child.id()).is_empty());
    (demo, lines)
}

#[test]
fn a_demo_that_is_told_to_end_takes_its_processes_and_its_directory_along() {
    for (signal, code) in [
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
        (Signal::SIGINT, 130),
    ] {
        if !is_heeded(signal) {
            continue;
        }
        let yard = Yard::new();
        let temporary = yard.path("temporary");
        let (mut demo, _lines) = begin(&yard, &temporary);

        demo.signal(signal);

        assert_eq!(demo.wait().code(), Some(code), "{signal}");
        assert!(started_by(demo.child.id()).is_empty(), "{signal}");
        // The work directories of its commands go with their guardians.
        until("its directory is still there", || is_empty(&temporary));
    }
}

#[test]
fn what_a_killed_demo_has_started_ends_by_itself() {
    let yard = Yard::new();
    let (demo, _lines) = begin(&yard, &yard.path("temporary"));
    let id = demo.child.id();

    demo.kill();

    until("what it has started goes on", || started_by(id).is_empty());
}
