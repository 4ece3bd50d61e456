//! What was asked and what came of it, a line of JSON for each call: by this alone a run is judged.

use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use taskyard_api::attempt;
use taskyard_api::task::Status;
use taskyard_api::time::Time;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// One call. Times are microseconds since the run began, all of one clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) proc: String,
    /// Of the call; a claim that brought several tasks is as many records.
    pub(crate) seq: u64,
    pub(crate) t_invoke: u64,
    pub(crate) t_return: u64,
    pub(crate) op: Op,
    pub(crate) args_hash: String,
    pub(crate) outcome: Outcome,
    /// None where no answer came.
    pub(crate) http: Option<u16>,
    /// The problem's word, or what broke.
    pub(crate) code: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) server: usize,
    /// Of a submission: what its task is known by, whatever id it has.
    pub(crate) name: Option<String>,
    /// Where the answer says that the task stands.
    pub(crate) status: Option<Status>,
    /// A refusal for the moment (429, 503, 507) that does not say when to come back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) without_retry_after: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Op {
    Submit,
    Claim,
    Heartbeat,
    Report,
    Cancel,
    Read,
    /// A probe. None of those that are counted.
    Ready,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Ok,
    /// Nothing was done.
    Fail,
    /// The time was up, the connection broke, or the server does not know itself: it was done, or not.
    Unknown,
}

/// A task as it stood when all was over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) status: Status,
    pub(crate) attempts: u32,
    pub(crate) failures: u32,
    pub(crate) losses: u32,
    pub(crate) max_attempts: u32,
    pub(crate) max_losses: u32,
    pub(crate) runs: Vec<Run>,
    /// The results that were refused, as far as they are kept.
    pub(crate) late_results: u32,
}

/// One time that a task was given out, by the database's own times.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) fence: u32,
    pub(crate) worker: String,
    pub(crate) outcome: Option<attempt::Outcome>,
    pub(crate) claimed_at: Time,
    pub(crate) ended_at: Option<Time>,
}

/// How many calls have been answered, and how many of them well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) operations: u64,
    pub(crate) ok: u64,
}

/// Where calls are written down.
pub(crate) struct History {
    begun: Instant,
    written: Mutex<Written>,
    counts: watch::Sender<Counts>,
}

struct Written {
    records: Vec<Record>,
    file: BufWriter<File>,
}

impl History {
    pub(crate) fn new(file: &Path) -> Self {
        let written = Written {
            records: Vec::new(),
            file: BufWriter::new(File::create(file).unwrap()),
        };
        Self {
            begun: Instant::now(),
            written: Mutex::new(written),
            counts: watch::Sender::new(Counts::default()),
        }
    }

    /// What time it is in the history.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap()
    }

    /// The records of one call.
    pub(crate) fn add(&self, records: Vec<Record>) {
        let Some(first) = records.first() else {
            return;
        };
        let (counts, is_ok) = (first.op != Op::Ready, first.outcome == Outcome::Ok);
        let mut written = self.written.lock();
        for record in &records {
            write_line(&mut written.file, record);
        }
        written.records.extend(records);
        if counts {
            self.counts.send_modify(|counts| {
                counts.operations += 1;
                counts.ok += u64::from(is_ok);
            });
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Once so many calls have been answered, well or not.
    pub(crate) async fn until(&self, within: Duration, is_so: impl Fn(Counts) -> bool) {
        let mut counts = self.counts.subscribe();
        let waiting = counts.wait_for(|counts| is_so(*counts));
        let came = timeout(within, waiting).await.is_ok();
        assert!(
            came,
            "the load stands still: {:?} after {within:?}",
            self.counts()
        );
    }

    /// The first one that is so.
    pub(crate) fn first(&self, is_so: impl Fn(&Record) -> bool) -> Option<Record> {
        self.written
            .lock()
            .records
            .iter()
            .find(|record| is_so(record))
            .cloned()
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        let mut written = self.written.lock();
        written.file.flush().unwrap();
        written.records.clone()
    }
}

/// Writes down what was found, beside the history.
pub(crate) fn write_found(file: &Path, found: &[Found]) {
    let mut file = BufWriter::new(File::create(file).unwrap());
    for task in found {
        write_line(&mut file, task);
    }
    file.flush().unwrap();
}

fn write_line(file: &mut BufWriter<File>, line: &impl Serialize) {
    serde_json::to_writer(&mut *file, line).unwrap();
    file.write_all(b"\n").unwrap();
}

pub(crate) fn hash_of(arguments: &str) -> String {
    let mut hasher = DefaultHasher::new();
    arguments.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
