//! The logs of runs: what each printed, line by line, numbered from 1 by its worker.
//!
//! They lie apart from the rows of tasks: no rule about tasks reads a log, nothing waits for one, and what of them is
//! lost with the power changes no task. What a log may hold is decided here all the same ([`Log::take`]); the stores
//! move rows.

use std::borrow::Cow;

use async_trait::async_trait;

use crate::id::{Fence, RunKey, TaskId};
use crate::store::Error;
use crate::time::Timestamp;

/// The highest number that a line may have.
pub const SEQ_MAX: u32 = i32::MAX.cast_unsigned() - 1;
/// What a line counts besides its bytes, for what is stored with it: so empty lines come to an end too.
pub const LINE_COSTS: usize = 16;
/// Pages end before their lines grow past this, in bytes; one line goes out whatever its size.
pub const PAGE_BYTES_MAX: usize = 256 << 10;
/// How many lines a page looks at for what its filter lets through.
pub const PAGE_LOOK_AT: usize = 2_000;

/// Where a line comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stream {
    Stdout,
    Stderr,
    /// What the worker, or the server, says about the run.
    Worker,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    pub at: Timestamp,
    pub stream: Stream,
    /// Without NUL, which not every store can hold; see [`text`].
    pub text: String,
}

/// What a run printed, as text that every store can hold: what is not UTF-8, and NUL, reads as U+FFFD.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

/// A line that is kept, under its number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept<'a> {
    pub seq: u32,
    pub at: Timestamp,
    pub stream: Stream,
    pub text: Cow<'a, str>,
}

/// Whose log it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner {
    pub run: RunKey,
    /// Counted from 1 over the runs that began.
    pub attempt: i32,
    /// Tells it from a run of the same key that was given out by the same database before a backup took its place.
    pub claimed_at: Timestamp,
}

/// How much is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of one run's lines, each with [`LINE_COSTS`] more.
    pub bytes_max: usize,
    /// Bytes of one line.
    pub line_bytes_max: usize,
}

/// Lines that a run printed, from somebody who holds its lease.
#[derive(Clone, Debug)]
pub struct Append {
    pub owner: Owner,
    /// The number of the first of them, at most [`SEQ_MAX`]. None: behind what is there.
    pub first: Option<u32>,
    pub lines: Vec<Line>,
    pub limits: Limits,
}

impl Append {
    /// About how much memory it holds.
    pub fn bytes(&self) -> usize {
        let lines = self.lines.iter();
        size_of::<Self>()
            + lines
                .map(|line| size_of::<Line>() + line.text.len())
                .sum::<usize>()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The number of the run's next line; nothing below it is taken any more.
    pub next_seq: u32,
    /// No further line of this run is kept.
    pub is_full: bool,
}

/// A run's log without its lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Log {
    pub owner: Owner,
    pub next_seq: u32,
    /// Of the lines that it holds; see [`Limits::bytes_max`].
    pub bytes: usize,
    pub is_full: bool,
}

impl Log {
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            next_seq: 1,
            bytes: 0,
            is_full: false,
        }
    }

    /// Takes lines in, in order. What is numbered below the next one was taken before, and is not again; numbers that
    /// are left out are lines that were lost, which nobody waits for. The first line that there is no room for gives
    /// its place to one that says so, and with that the log is full.
    pub fn take<'a>(&mut self, append: &'a Append) -> (Vec<Kept<'a>>, Appended) {
        let lines = &append.lines;
        let first = append.first.unwrap_or(self.next_seq);
        let mut kept = Vec::with_capacity(lines.len());
        let count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        for (seq, line) in (first..=SEQ_MAX).zip(lines) {
            if seq >= self.next_seq && !self.is_full {
                kept.push(self.put(seq, line, append.limits));
            }
        }
        let behind = first.saturating_add(count).min(SEQ_MAX + 1);
        self.next_seq = self.next_seq.max(behind);
        let appended = Appended {
            next_seq: self.next_seq,
            is_full: self.is_full,
        };
        (kept, appended)
    }

    /// What is kept of it.
    fn put<'a>(&mut self, seq: u32, line: &'a Line, limits: Limits) -> Kept<'a> {
        let (mut stream, mut text) = (line.stream, cut(&line.text, limits.line_bytes_max));
        let bytes = self.bytes + text.len() + LINE_COSTS;
        if bytes <= limits.bytes_max {
            self.bytes = bytes;
        } else {
            self.is_full = true;
            stream = Stream::Worker;
            text = Cow::Owned(format!(
                "the log ends here: {} bytes of one attempt are kept (--log-max)",
                limits.bytes_max
            ));
        }
        Kept {
            seq,
            at: line.at,
            stream,
            text,
        }
    }
}

/// Leaves as much of the text as may be with a word on how long it was. Where there is room for no more than that, the word
/// alone is left.
fn cut(text: &str, bytes_max: usize) -> Cow<'_, str> {
    let bytes = text.len();
    if bytes <= bytes_max {
        return Cow::Borrowed(text);
    }
    let said = format!(" … [cut: the line has {bytes} bytes]");
    let left = text.floor_char_boundary(bytes_max.saturating_sub(said.len()));
    Cow::Owned(format!("{}{said}", &text[..left]))
}

/// A place in a task's log, on or behind a line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Position {
    pub fence: Fence,
    pub seq: u32,
}

/// What is asked of a task's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    pub task: TaskId,
    /// Only lines behind this one.
    pub after: Position,
    pub attempt: Option<i32>,
    pub stream: Option<Stream>,
    /// At least 1.
    pub limit: usize,
}

/// Lines of one task, in the order of its runs and of their numbers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    pub lines: Vec<Told>,
    /// How far it looked.
    pub reached: Position,
    /// There may be more behind that.
    pub goes_on: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    pub attempt: i32,
    pub position: Position,
    pub line: Line,
}

/// Where logs are kept.
#[async_trait]
pub trait Logs: Send + Sync {
    /// Puts lines behind a run's log, each once. They are not on the disk when this answers, but outlive the process,
    /// and whoever reads sees them.
    async fn append(&self, append: Append) -> Result<Appended, Error>;

    async fn page(&self, wanted: Wanted) -> Result<Page, Error>;

    /// Tasks that have logs, by id, behind `after` if it is given; at most `limit`.
    async fn tasks(&self, after: Option<TaskId>, limit: usize) -> Result<Vec<TaskId>, Error>;

    /// Takes a task's logs away. Done again it does nothing.
    async fn forget(&self, task: TaskId) -> Result<(), Error>;

    /// Why no log is kept or shown until somebody mends it, where that is known without a look at what is stored.
    fn trouble(&self) -> Option<Error> {
        None
    }
}

/// A store without logs, for as long as it lives: none can be written, and none are there.
pub struct NoLogs(pub Cow<'static, str>);

#[async_trait]
impl Logs for NoLogs {
    async fn append(&self, _append: Append) -> Result<Appended, Error> {
        Err(Error::Failed(self.0.clone().into_owned()))
    }

    async fn page(&self, _wanted: Wanted) -> Result<Page, Error> {
        Err(Error::Failed(self.0.clone().into_owned()))
    }

    async fn tasks(&self, _after: Option<TaskId>, _limit: usize) -> Result<Vec<TaskId>, Error> {
        Ok(Vec::new())
    }

    async fn forget(&self, _task: TaskId) -> Result<(), Error> {
        Ok(())
    }

    fn trouble(&self) -> Option<Error> {
        Some(Error::Failed(self.0.clone().into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SlotKey;

    const LIMITS: Limits = Limits {
        bytes_max: 100,
        line_bytes_max: 40,
    };

    fn log() -> Log {
        let task = TaskId::new(Timestamp::default(), 0);
        Log::new(Owner {
            run: SlotKey::only(task).run(Fence(1)),
            attempt: 1,
            claimed_at: Timestamp::default(),
        })
    }

    /// Hands these in and answers what was kept of them.
    fn take(log: &mut Log, first: Option<u32>, texts: &[&str]) -> (Vec<(u32, String)>, Appended) {
        let line = |text: &&str| Line {
            at: Timestamp::default(),
            stream: Stream::Stdout,
            text: (*text).to_owned(),
        };
        let append = Append {
            owner: log.owner,
            first,
            lines: texts.iter().map(line).collect(),
            limits: LIMITS,
        };
        let (kept, appended) = log.take(&append);
        let kept = kept
            .into_iter()
            .map(|line| (line.seq, line.text.into_owned()));
        (kept.collect(), appended)
    }

    fn seqs(log: &mut Log, first: Option<u32>, count: usize) -> (Vec<u32>, u32) {
        let (kept, appended) = take(log, first, &vec![""; count]);
        (
            kept.iter().map(|(seq, _)| *seq).collect(),
            appended.next_seq,
        )
    }

    #[test]
    fn lines_are_kept_once_whatever_is_sent_again_or_left_out() {
        let mut log = log();

        assert_eq!(seqs(&mut log, Some(1), 2), (vec![1, 2], 3));
        assert_eq!(seqs(&mut log, Some(1), 2), (vec![], 3), "again");
        assert_eq!(seqs(&mut log, Some(2), 2), (vec![3], 4), "an overlap");
        assert_eq!(seqs(&mut log, Some(8), 1), (vec![8], 9), "a gap");
        assert_eq!(seqs(&mut log, Some(5), 1), (vec![], 9), "within the gap");
        assert_eq!(seqs(&mut log, None, 1), (vec![9], 10), "without a number");
        assert_eq!(seqs(&mut log, Some(20), 0), (vec![], 20), "only a number");
    }

    #[test]
    fn numbers_end_at_the_highest() {
        let mut log = log();

        assert_eq!(
            seqs(&mut log, Some(SEQ_MAX), 3),
            (vec![SEQ_MAX], SEQ_MAX + 1)
        );
        assert_eq!(seqs(&mut log, None, 1), (vec![], SEQ_MAX + 1));
    }

    #[test]
    fn a_line_is_whole_up_to_its_limit() {
        let (fits, long) = ("x".repeat(40), "x".repeat(41));
        let (kept, _) = take(&mut log(), None, &[&fits]);
        assert_eq!(kept, [(1, fits.clone())]);

        let (kept, _) = take(&mut log(), None, &[&long]);
        assert_eq!(
            kept,
            [(1, "xxxxxxx … [cut: the line has 41 bytes]".to_owned())]
        );
        assert_eq!(kept[0].1.len(), 40, "with the word");

        let (kept, _) = take(&mut log(), None, &[&"é".repeat(21)]);
        assert!(kept[0].1.starts_with("ééé …"), "{kept:?}");
    }

    #[test]
    fn a_log_is_full_with_the_first_line_that_there_is_no_room_for() {
        let mut exact = log();
        let fits = "x".repeat(34);
        let (kept, appended) = take(&mut exact, None, &[&fits, &fits]);
        assert_eq!((kept.len(), appended.is_full, exact.bytes), (2, false, 100));

        let (kept, appended) = take(&mut exact, None, &["", "", ""]);
        let said = "the log ends here: 100 bytes of one attempt are kept (--log-max)";
        assert_eq!(kept, [(3, said.to_owned())]);
        assert_eq!((appended.next_seq, appended.is_full), (6, true));

        let (kept, appended) = take(&mut exact, Some(6), &["more"]);
        assert_eq!(
            (kept.len(), appended.next_seq, appended.is_full),
            (0, 7, true)
        );
    }

    #[test]
    fn whatever_was_printed_can_be_stored() {
        assert_eq!(text(b"a\0\xffb\t"), "a\u{fffd}\u{fffd}b\t");
    }
}
