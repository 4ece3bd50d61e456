//! How many bytes of bodies, and of answers, the server holds at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use taskyard_api::problem::Problem;

use crate::problem::{self, Code};

/// Up to here a body or an answer is small.
pub(crate) const SMALL: usize = 64 << 10;
/// That part of the bodies' budget is for small ones alone, so that a few large ones cannot shut them out.
const RESERVED: usize = 8;

pub(crate) struct Budget {
    of: Of,
    max: usize,
    held: AtomicUsize,
}

#[derive(Clone, Copy)]
enum Of {
    Bodies,
    Answers,
}

impl Budget {
    pub(crate) fn of_bodies(max: usize) -> Arc<Self> {
        Self::new(Of::Bodies, max)
    }

    /// Small answers do not count here. While no other one is held, any answer fits: what was stored can be seen whatever
    /// its size.
    pub(crate) fn of_answers(max: usize) -> Arc<Self> {
        Self::new(Of::Answers, max)
    }

    fn new(of: Of, max: usize) -> Arc<Self> {
        let held = AtomicUsize::new(0);
        Arc::new(Self { of, max, held })
    }

    /// How much may be held once somebody holds `bytes`.
    fn room_for(&self, bytes: usize) -> usize {
        match self.of {
            Of::Bodies if bytes > SMALL => self.max - self.max / RESERVED,
            Of::Bodies | Of::Answers => self.max,
        }
    }

    /// Refused where not even a small part is left.
    pub(crate) fn has_room(self: &Arc<Self>) -> Result<(), Box<Problem>> {
        self.nothing().hold(SMALL)
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
            let (more, room) = (bytes - self.bytes, self.budget.room_for(bytes));
            let fits = |held: usize| {
                let is_alone = matches!(self.budget.of, Of::Answers) && held == self.bytes;
                Some(held + more).filter(|sum| *sum <= room || is_alone)
            };
            all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
                .map_err(|_| full(self.budget.of))?;
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Holds so many bytes beside those before, whether they fit or not.
    pub(crate) fn hold_anyway(&mut self, more: usize) {
        self.budget.held.fetch_add(more, Ordering::Relaxed);
        self.bytes += more;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cold]
fn full(of: Of) -> Box<Problem> {
    let (code, detail) = match of {
        Of::Bodies => (
            Code::BodiesFull,
            "the server holds as many bytes of other requests' bodies as it may; send it again in a moment, or in \
             smaller parts",
        ),
        Of::Answers => (
            Code::AnswersFull,
            "the server holds as many bytes of answers that are not read yet as it may; ask again in a moment, or for \
             less at once",
        ),
    };
    problem::later(code, detail, problem::SOON_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 16 * SMALL;

    #[test]
    fn large_bodies_leave_an_eighth_to_small_ones() {
        let budget = Budget::of_bodies(MAX);
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
        let budget = Budget::of_bodies(MAX);
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

    #[test]
    fn an_answer_of_any_size_fits_alone_and_none_beside_it() {
        let budget = Budget::of_answers(MAX);
        let mut large = budget.nothing();
        large.hold(2 * MAX).unwrap();
        assert!(budget.has_room().is_err());
        assert!(budget.nothing().hold(1).is_err());

        // Up to the last byte there is no part that is reserved.
        large.hold(MAX - SMALL).unwrap();
        budget.has_room().unwrap();
        let mut second = budget.nothing();
        second.hold(SMALL).unwrap();
        assert!(budget.nothing().hold(1).is_err());

        budget.nothing().hold_anyway(MAX);
        drop((large, second));
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }
}
