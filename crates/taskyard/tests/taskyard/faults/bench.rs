//! A benchmark that is ended in the middle of what it measures leaves nothing behind.

use std::path::Path;

use nix::sys::signal::Signal;
use taskyard_store::postgres::scratch;

use super::behind::{is_empty, started_by, until};
use crate::yard::{Process, Yard, is_heeded, postgres_server, run, taskyard};

/// One that goes on for a minute, or again and again, with its files in this directory.
fn begin(yard: &Yard, directory: &Path, workload: &str, database: &str) -> Process {
    std::fs::create_dir(directory).unwrap();
    let mut command = taskyard();
    command
        .args(["bench", "--only", workload, "--database", database])
        .args(["--seconds", "1m", "--repeat", "100"])
        .current_dir(directory)
        .env("TMPDIR", directory);
    Process::start(command, yard.path("bench.log"))
}

/// A database that somebody has begun to write.
fn holds_a_database(directory: &Path) -> bool {
    let runs = directory.read_dir().unwrap().flatten();
    runs.into_iter()
        .any(|run| run.path().join("bench.db").exists())
}

#[test]
fn a_benchmark_that_is_told_to_end_takes_its_processes_and_its_files_along() {
    // The engine in the process itself; a server; and a worker process beside it.
    for (workload, processes, signal, code) in [
        ("W0", 0, Signal::SIGINT, 130),
        ("W5x64", 1, Signal::SIGTERM, 143),
        ("W3", 2, Signal::SIGHUP, 129),
    ] {
        if !is_heeded(signal) {
            continue;
        }
        let yard = Yard::new();
        let directory = yard.path("place");
        let mut bench = begin(&yard, &directory, workload, "sqlite:.");
        until("it never began", || {
            holds_a_database(&directory) && started_by(bench.id()).len() >= processes
        });

        bench.signal(signal);

        assert_eq!(
            bench.wait().code(),
            Some(code),
            "{workload}: {}",
            bench.log()
        );
        assert!(started_by(bench.id()).is_empty(), "{workload}");
        assert!(is_empty(&directory), "{workload}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_benchmark_that_is_told_to_end_drops_its_database() {
    let Some(server) = postgres_server() else {
        return;
    };
    let yard = Yard::new();
    let directory = yard.path("place");
    let mut bench = begin(&yard, &directory, "W5x64", &server);
    let database = format!("taskyard_bench_{}_1", bench.id());
    let database = scratch::address(&server, &database).unwrap();
    let stats = || {
        run(
            yard.directory.path(),
            &["db", "stats", "--database", &database],
            &[],
        )
    };
    until("it never began", || stats().code == 0);

    bench.signal(Signal::SIGINT);

    assert_eq!(bench.wait().code(), Some(130), "{}", bench.log());
    let gone = stats().stderr;
    assert!(gone.contains("does not exist"), "{gone}");
    assert!(is_empty(&directory));
}
