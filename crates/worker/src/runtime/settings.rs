//! What can be set of a worker, and what it tells when it is done.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::line::LINE_BYTES_MAX;

/// The most runs that one worker does at once, whatever it is told.
pub const CONCURRENCY_MAX: usize = 10_000;

/// Who a worker is and how it works. Each field says its default; all but the name have one.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name, 1–64 of `A–Z a–z 0–9 . _ -`, but not `.` or `..`. Another process that registers under it takes its
    /// place.
    pub name: String,
    /// The queues that it serves. Default `None`: all.
    pub queues: Option<Vec<String>>,
    /// What tasks can make demands on. Default none.
    pub labels: BTreeMap<String, String>,
    /// How many runs it does at once, 1 to [`CONCURRENCY_MAX`], and how many leases it holds at most: it takes nothing
    /// that it cannot start. Default 1.
    pub concurrency: usize,
    /// How long the server may hold a claim for want of tasks; up to a minute. Default 30 s.
    pub poll: Duration,
    /// How long runs may go on after the worker was told to stop. Default 30 s.
    pub drain_within: Duration,
    /// How long a run may take to end once it was told to; after that it is dropped. One whose time is up gets four
    /// fifths of the server's `--timeout-margin` at most (8 s unless that is set), one whose lease is lost 2 s. Default
    /// 30 s, which leaves a command its own grace of 10 s.
    pub stop_within: Duration,
    /// How long a worker that was told to stop, and whose runs have all ended, tries to deliver their results. Default
    /// 10 s.
    pub deliver_within: Duration,
    /// How what runs print goes to the server.
    pub logs: Logs,
}

/// What a worker does with the lines of its runs. What the server keeps of them is its own to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logs {
    /// How much of one run's log is kept until it is sent, about 100 bytes for each line beside its text. Lines that find
    /// no room are left out, and a line says how many. Default 1 MiB.
    pub buffer_bytes_max: usize,
    /// The longest line; the rest of a longer one is left out. Default 16 KiB, which servers take.
    pub line_bytes_max: usize,
    /// The time between two batches of lines, unless one is full sooner. The first line after a pause goes at once.
    /// Default 200 ms.
    pub every: Duration,
    /// How long the result of a run that has ended may wait for the last lines of its log to be sent. What is not sent by
    /// then is lost. Default 2 s; a run whose time is up gets an eighth of what it had to end at most.
    pub deliver_within: Duration,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            buffer_bytes_max: 1 << 20,
            line_bytes_max: LINE_BYTES_MAX,
            every: Duration::from_millis(200),
            deliver_within: Duration::from_secs(2),
        }
    }
}

impl Settings {
    /// The defaults under this name.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            queues: None,
            labels: BTreeMap::new(),
            concurrency: 1,
            poll: Duration::from_secs(30),
            drain_within: Duration::from_secs(30),
            stop_within: Duration::from_secs(30),
            deliver_within: Duration::from_secs(10),
            logs: Logs::default(),
        }
    }
}

/// What a worker did in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Runs by what was said of them.
    pub completed: u64,
    pub failed: u64,
    pub timed_out: u64,
    /// Handed back for others to run.
    pub released: u64,
    /// Runs that were ended because their task was cancelled or their lease lost; nothing is said of them.
    pub dropped: u64,
    /// Results that the server did not take, counted above as well.
    pub refused: u64,
    /// Results that could not be delivered before the worker had to go, counted above as well.
    pub undelivered: u64,
}

/// Why a worker stopped that nobody had told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its name is another's now, or nobody's. Two processes were started under one name, or this one was given up.
    #[error(
        "worker {0} was killed, or another process has registered under its name, so this one has ended its tasks and \
         stopped"
    )]
    Replaced(String),
    /// A token that is not valid, a name that cannot be one: nothing that waiting would mend.
    #[error("the server refuses this worker: {0}")]
    Refused(#[source] taskyard_api::client::Error),
}
