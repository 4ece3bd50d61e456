//! Kinds of which this worker cannot begin a run, for a reason of its own: the disk is full, no process can be started.
//!
//! It would be the quickest of all to be done with a task, and so be given nearly every one. So it takes nothing for a
//! while, of no kind, and the others do the work. What it still gets by a claim that was open is tried like any other.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::executor::{Failure, Finish};

/// The first wait, which doubles each time.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Inability {
    /// Those of which no later run has begun well.
    kinds: BTreeMap<String, Spell>,
}

struct Spell {
    wait: Duration,
    until: Instant,
    /// Runs with numbers up to this one were begun before.
    before: u64,
}

impl Inability {
    /// Nothing is to be taken before.
    pub(super) fn until(&self) -> Option<Instant> {
        self.kinds.values().map(|spell| spell.until).max()
    }

    /// What the run of this number came to, the last that was begun having that one.
    pub(super) fn hear(&mut self, kind: &str, number: u64, last: u64, finish: &Finish) {
        match finish {
            Finish::NotBegun { why } => self.extend(kind, last, why, Instant::now()),
            Finish::Completed(_) | Finish::Failed(Failure { retry: true, .. }) => {
                self.end(kind, number);
            }
            // These may have come to their end before they began.
            Finish::Failed(Failure { retry: false, .. }) | Finish::Stopped { .. } => {}
        }
    }

    fn extend(&mut self, kind: &str, last: u64, why: &str, now: Instant) {
        let Some(spell) = self.kinds.get_mut(kind) else {
            tracing::warn!(
                kind,
                "this worker cannot begin runs of a kind: it hands them back, and takes nothing for {WAIT_MIN:?}, then \
                 longer each time up to {WAIT_MAX:?}, until one begins: {why}"
            );
            let spell = Spell {
                wait: WAIT_MIN,
                until: now + WAIT_MIN,
                before: last,
            };
            self.kinds.insert(kind.to_owned(), spell);
            return;
        };
        // One that had been taken already says nothing new.
        if spell.until <= now {
            spell.wait = WAIT_MAX.min(spell.wait * 2);
            spell.until = now + spell.wait;
            spell.before = last;
        }
    }

    fn end(&mut self, kind: &str, number: u64) {
        let has_passed = |spell: &Spell| spell.before < number;
        if self.kinds.get(kind).is_some_and(has_passed) {
            self.kinds.remove(kind);
            tracing::info!(kind, "this worker can begin runs of the kind again");
        }
    }
}
