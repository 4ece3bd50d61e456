//! How many bytes of bodies the server holds at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use taskyard_api::problem::Problem;

use crate::problem::{self, Code};

/// Up to here a body is small.
pub(super) const SMALL: usize = 64 << 10;
/// That part of the budget is for small bodies alone, so that a few large ones cannot shut them out.
const RESERVED: usize = 8;

pub(crate) struct Budget {
    max: usize,
    held: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        let held = AtomicUsize::new(0);
        Arc::new(Self { max, held })
    }

    pub(crate) fn nothing(self: &Arc<Self>) -> Held {
        Held {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }
}

/// One request's part of the budget, given back when it is dropped.
pub(crate) struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Held {
    /// Holds so many bytes from now on, more or fewer than before; where they do not fit, as many as before.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), Box<Problem>> {
        let all = &self.budget.held;
        if let Some(fewer) = self.bytes.checked_sub(bytes) {
            all.fetch_sub(fewer, Ordering::Relaxed);
        } else {
            let (more, max) = (bytes - self.bytes, self.budget.max);
            let room = if bytes <= SMALL {
                max
            } else {
                max - max / RESERVED
            };
            let fits = |held: usize| Some(held + more).filter(|held| *held <= room);
            all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
                .map_err(|_| full())?;
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cold]
fn full() -> Box<Problem> {
    let detail = "the server holds as many bytes of other requests' bodies as it may; send it \
                  again in a moment, or in smaller parts";
    problem::later(Code::BodiesFull, detail, problem::SOON_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 16 * SMALL;

    #[test]
    fn large_bodies_leave_an_eighth_to_small_ones() {
        let budget = Budget::new(MAX);
        let mut large = budget.nothing();
        assert!(large.hold(14 * SMALL + 1).is_err());
        large.hold(14 * SMALL).unwrap();

        let mut small = [budget.nothing(), budget.nothing()];
        assert!(small[0].hold(SMALL + 1).is_err());
        for held in &mut small {
            held.hold(SMALL).unwrap();
        }
        assert!(budget.nothing().hold(1).is_err());
    }

    #[test]
    fn what_is_let_go_is_there_for_others() {
        let budget = Budget::new(MAX);
        let mut first = budget.nothing();
        first.hold(14 * SMALL).unwrap();
        let mut second = budget.nothing();
        assert!(second.hold(2 * SMALL).is_err());

        first.hold(12 * SMALL).unwrap();
        second.hold(2 * SMALL).unwrap();
        drop(first);

        second.hold(14 * SMALL).unwrap();
        drop(second);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }
}
