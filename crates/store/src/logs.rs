//! What the log stores share: how a batch of appends becomes rows, and how a page is put together.
//!
//! Each has a writer of its own that takes whatever waits as one transaction, like the store beside it, and loads and
//! writes rows; what is kept is decided by [`Log::take`], once for all of them.

use std::collections::BTreeMap;

use taskyard_core::id::{Fence, RunKey};
use taskyard_core::log::{
    Append, Appended, Line, Log, PAGE_BYTES_MAX, PAGE_LOOK_AT, Page, Position, SEQ_MAX, Told,
    Wanted,
};

use crate::rows::log::{Chunk, chunks};

/// So much of what waits becomes one transaction.
pub(crate) const BATCH_MAX: usize = 256;
pub(crate) const BATCH_BYTES_MAX: usize = 1 << 20;
/// How many runs of a task one page looks into.
pub(crate) const PAGE_RUNS_MAX: usize = 100;

/// A log as a database has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub(crate) id: i64,
    pub(crate) log: Log,
}

/// What a batch of appends changes.
#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) logs: Vec<Stored>,
    /// Runs whose lines are of another life of the database, and go before the new ones come.
    pub(crate) cleared: Vec<i64>,
}

/// Takes the appends in, one after the other, over the logs that were loaded: one for each run that they name.
pub(crate) fn decide(
    appends: &[Append],
    mut stored: BTreeMap<RunKey, Stored>,
) -> (Changes, Vec<Appended>) {
    let mut changes = Changes::default();
    let mut lines = Vec::new();
    let before = stored.clone();
    let mut answers = Vec::with_capacity(appends.len());
    for append in appends {
        let found = stored.get_mut(&append.owner.run);
        let stored = found.expect("every log that is appended to was loaded");
        if stored.log.owner.claimed_at != append.owner.claimed_at {
            stored.log = Log::new(append.owner);
            changes.cleared.push(stored.id);
            // What this batch put in for the run of the same key goes with the rest.
            lines.retain(|(run, _)| *run != stored.id);
        }
        let (kept, appended) = stored.log.take(append);
        let run = stored.id;
        lines.extend(kept.into_iter().map(|line| (run, line)));
        answers.push(appended);
    }
    changes.chunks = chunks(lines);
    let is_changed = |stored: &Stored| before[&stored.log.owner.run].log != stored.log;
    changes.logs = stored.into_values().filter(is_changed).collect();
    (changes, answers)
}

/// A run of a task, as a page goes through them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    pub(crate) id: i64,
    pub(crate) fence: Fence,
    pub(crate) attempt: i32,
}

/// A page in the making.
pub(crate) struct Paging {
    wanted: Wanted,
    page: Page,
    looked_at: usize,
    bytes: usize,
}

impl Paging {
    pub(crate) fn new(wanted: Wanted) -> Self {
        let page = Page {
            reached: wanted.after,
            ..Page::default()
        };
        Self {
            wanted,
            page,
            looked_at: 0,
            bytes: 0,
        }
    }

    /// Behind which line of this run it goes on.
    pub(crate) fn behind(&self, run: Listed) -> u32 {
        let reached = self.page.reached;
        if run.fence == reached.fence {
            reached.seq
        } else {
            0
        }
    }

    /// How many more lines it looks at.
    pub(crate) fn looks_at(&self) -> usize {
        PAGE_LOOK_AT - self.looked_at
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.page.goes_on
    }

    /// The next lines, some of which may have been told. Once the page is whole, what comes is not looked at.
    pub(crate) fn take_all(&mut self, run: Listed, lines: Vec<(u32, Line)>) {
        let behind = self.behind(run);
        for (seq, line) in lines {
            if seq > behind && !self.is_whole() {
                self.take(run, seq, line);
            }
        }
    }

    fn take(&mut self, run: Listed, seq: u32, line: Line) {
        let position = Position {
            fence: run.fence,
            seq,
        };
        if self.wanted.stream.is_none_or(|only| only == line.stream)
            && !self.put(run, position, line)
        {
            return;
        }
        self.page.reached = position;
        self.looked_at += 1;
        self.page.goes_on =
            self.looked_at >= PAGE_LOOK_AT || self.page.lines.len() >= self.wanted.limit;
    }

    /// Whether there was room for it.
    fn put(&mut self, run: Listed, position: Position, line: Line) -> bool {
        self.bytes += line.text.len();
        if self.bytes > PAGE_BYTES_MAX && !self.page.lines.is_empty() {
            self.page.goes_on = true;
            return false;
        }
        let attempt = run.attempt;
        self.page.lines.push(Told {
            attempt,
            position,
            line,
        });
        true
    }

    /// All lines of these runs were told, at most [`PAGE_RUNS_MAX`] of them; where there are as many, there may be more.
    pub(crate) fn end(mut self, runs: &[Listed]) -> Page {
        if let Some(last) = runs.last()
            && runs.len() >= PAGE_RUNS_MAX
            && !self.is_whole()
        {
            self.page.goes_on = true;
            self.page.reached = Position {
                fence: last.fence,
                seq: SEQ_MAX,
            };
        }
        self.page
    }
}

/// The runs that a batch names, each once, in the order in which they are locked.
pub(crate) fn owners(appends: &[Append]) -> BTreeMap<RunKey, taskyard_core::log::Owner> {
    appends
        .iter()
        .map(|append| (append.owner.run, append.owner))
        .collect()
}
