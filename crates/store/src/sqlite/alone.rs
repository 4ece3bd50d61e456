//! Watching for an answer where sleeping until it comes would take longer.
//!
//! A caller that sends one thing after the other leaves the cores idle while the disk syncs, and a thread that sleeps
//! on an idle core is some 30 µs away from its answer, more than all else that an answer takes but the sync. So whoever
//! brings such a batch looks for the answer again and again, in turns with whoever else wants the core, and for no
//! longer than a sync is worth it. As soon as a second caller sends, or the disk is slow, it sleeps as all do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// An answer that takes longer than this is slept for.
const SOON: Duration = Duration::from_micros(400);
/// After so many batches in a row that were alone and answered soon, the next is watched.
const IN_A_ROW: usize = 8;

pub(super) struct Alone {
    under_way: AtomicUsize,
    in_a_row: AtomicUsize,
    /// A thread that watches takes a core that the one it watches for does not need.
    has_cores: bool,
}

impl Alone {
    pub(super) fn new() -> Self {
        let cores = thread::available_parallelism();
        Self::on(cores.map_or(1, usize::from))
    }

    fn on(cores: usize) -> Self {
        Self {
            under_way: AtomicUsize::new(0),
            in_a_row: AtomicUsize::new(0),
            has_cores: cores > 1,
        }
    }

    pub(super) fn begin(&self) -> Begun<'_> {
        if self.under_way.fetch_add(1, Ordering::Relaxed) > 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
        Begun {
            alone: self,
            at: now(),
        }
    }

    fn is_worth_watching(&self) -> bool {
        self.has_cores && self.in_a_row.load(Ordering::Relaxed) >= IN_A_ROW
    }

    fn note(&self, commands: usize, took: Duration) {
        if commands <= 1 && took < SOON {
            self.in_a_row.fetch_add(1, Ordering::Relaxed);
        } else {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
    }
}

/// A batch under way, until it is dropped.
pub(super) struct Begun<'a> {
    alone: &'a Alone,
    at: Instant,
}

impl Begun<'_> {
    /// Returns once it is answered, or at once where that is not worth it.
    pub(super) fn watch(&self, is_answered: impl Fn() -> bool) {
        if self.alone.is_worth_watching() {
            while !is_answered() && self.at.elapsed() < SOON {
                thread::yield_now();
            }
        }
    }

    /// It held so many commands.
    pub(super) fn answered(self, commands: usize) {
        self.alone.note(commands, self.at.elapsed());
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.alone.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a thread keeps its core is no matter of the clock that tests move"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn after_a_row() -> Alone {
        let alone = Alone::on(2);
        for _ in 0..IN_A_ROW {
            assert!(!alone.is_worth_watching());
            alone.note(1, Duration::ZERO);
        }
        assert!(alone.is_worth_watching());
        alone
    }

    #[test]
    fn it_is_watched_until_it_is_answered() {
        let alone = after_a_row();
        let looks = Cell::new(0);

        alone.begin().watch(|| {
            looks.set(looks.get() + 1);
            looks.get() == 2
        });

        // A machine that took the core away for long may have ended it before.
        assert!((1..=2).contains(&looks.get()));
    }

    #[test]
    fn it_is_watched_for_no_longer_than_a_sync_is_worth_it() {
        after_a_row().begin().watch(|| false);
    }

    #[test]
    fn where_a_second_one_sends_nobody_watches() {
        let alone = after_a_row();

        let first = alone.begin();
        let second = alone.begin();

        assert!(!alone.is_worth_watching());
        drop((first, second));
    }

    #[test]
    fn one_after_the_other_they_are_alone() {
        let alone = after_a_row();

        drop(alone.begin());
        drop(alone.begin());

        assert!(alone.is_worth_watching());
    }

    #[test]
    fn a_slow_answer_or_one_to_many_ends_the_row() {
        for (commands, took) in [(2, Duration::ZERO), (1, SOON)] {
            let alone = after_a_row();
            alone.note(commands, took);
            assert!(!alone.is_worth_watching());
        }
    }

    #[test]
    fn a_lone_core_is_left_to_the_one_that_works() {
        let alone = Alone::on(1);
        (0..IN_A_ROW).for_each(|_| alone.note(1, Duration::ZERO));

        alone
            .begin()
            .watch(|| unreachable!("it is not worth a look"));
    }
}
