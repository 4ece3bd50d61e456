//! Staying awake for an answer where sleeping until it comes would take longer.
//!
//! A caller that sends one thing after the other leaves the cores idle while the disk syncs, and a thread that sleeps
//! on an idle core is some 30 µs away from its answer, more than all else that an answer takes but the sync. So whoever
//! brings such a batch comes back to look for the answer again and again, whatever else its thread has to do between
//! two looks; for no longer than a sync is worth it. As soon as a second caller sends, the disk is slow, or somebody
//! else wants the core, it sleeps as all do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// An answer that has not come by then is slept for, and so are the next ones: the disk is slow, or somebody else had the
/// core, for which the system gives it away for longer.
const SOON: Duration = Duration::from_micros(400);
/// After so many batches in a row that were answered soon, of one command each, the next is watched.
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
            self.end_the_row();
        }
        Begun {
            alone: self,
            at: now(),
        }
    }

    fn is_worth_watching(&self) -> bool {
        self.has_cores && self.in_a_row.load(Ordering::Relaxed) >= IN_A_ROW
    }

    fn end_the_row(&self) {
        self.in_a_row.store(0, Ordering::Relaxed);
    }

    fn note(&self, commands: usize, took: Duration) {
        if commands == 1 && took < SOON {
            self.in_a_row.fetch_add(1, Ordering::Relaxed);
        } else {
            self.end_the_row();
        }
    }
}

/// A batch under way, until it is dropped.
pub(super) struct Begun<'a> {
    alone: &'a Alone,
    at: Instant,
}

impl Begun<'_> {
    /// Resolves when it is answered, or when that is not worth watching for any more, which may be at once.
    pub(super) async fn watch(&self, is_answered: impl FnMut() -> bool) {
        self.watch_by(now, is_answered).await;
    }

    async fn watch_by(
        &self,
        mut now: impl FnMut() -> Instant,
        mut is_answered: impl FnMut() -> bool,
    ) {
        while self.alone.is_worth_watching() && !is_answered() {
            tokio::task::yield_now().await;
            if now() - self.at > SOON {
                self.alone.end_the_row();
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
    use super::*;

    const LOOK: Duration = Duration::from_micros(10);

    fn after_a_row() -> Alone {
        let alone = Alone::on(2);
        for _ in 0..IN_A_ROW {
            assert!(!alone.is_worth_watching());
            alone.note(1, Duration::ZERO);
        }
        assert!(alone.is_worth_watching());
        alone
    }

    /// How often it is looked for an answer that comes at the n-th look, where so long passes between two.
    async fn looks(alone: &Alone, between: Duration, answered_at: u32) -> u32 {
        let begun = alone.begin();
        let (mut clock, mut looks) = (begun.at, 0);
        let now = || {
            clock += between;
            clock
        };
        let is_answered = || {
            looks += 1;
            looks == answered_at
        };
        begun.watch_by(now, is_answered).await;
        looks
    }

    #[tokio::test]
    async fn it_is_watched_until_it_is_answered() {
        let alone = after_a_row();

        assert_eq!(looks(&alone, LOOK, 7).await, 7);

        assert!(alone.is_worth_watching());
    }

    #[tokio::test]
    async fn a_slow_disk_is_not_watched_for_longer_than_that_is_worth_nor_the_next_time() {
        let alone = after_a_row();

        let soon = u32::try_from(SOON.as_micros() / LOOK.as_micros()).unwrap();
        assert_eq!(looks(&alone, LOOK, u32::MAX).await, soon + 1);

        assert_eq!(looks(&alone, LOOK, u32::MAX).await, 0);
    }

    #[tokio::test]
    async fn whoever_shares_the_core_gets_it_after_one_look() {
        let alone = after_a_row();

        assert_eq!(looks(&alone, 2 * SOON, u32::MAX).await, 1);

        assert!(!alone.is_worth_watching());
    }

    #[tokio::test]
    async fn when_a_second_one_sends_the_first_is_watched_no_more() {
        let alone = after_a_row();
        let first = alone.begin();
        let mut second = None;

        first
            .watch_by(|| first.at, || second.replace(alone.begin()).is_some())
            .await;

        assert!(!alone.is_worth_watching());
        drop(second);
        drop(first);
        assert_eq!(alone.under_way.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_after_the_other_they_are_alone() {
        let alone = after_a_row();

        drop(alone.begin());
        drop(alone.begin());

        assert!(alone.is_worth_watching());
    }

    #[test]
    fn a_slow_answer_or_one_to_none_or_many_ends_the_row() {
        let soon = SOON.checked_sub(LOOK).unwrap();
        for (commands, took) in [(0, soon), (2, soon), (1, SOON)] {
            let alone = after_a_row();
            alone.note(1, soon);
            assert!(alone.is_worth_watching());
            alone.note(commands, took);
            assert!(!alone.is_worth_watching());
        }
    }

    #[tokio::test]
    async fn a_lone_core_is_left_to_the_one_that_works() {
        let alone = Alone::on(1);
        (0..IN_A_ROW).for_each(|_| alone.note(1, Duration::ZERO));

        assert_eq!(looks(&alone, LOOK, u32::MAX).await, 0);
    }
}
