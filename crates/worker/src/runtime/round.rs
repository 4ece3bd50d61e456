//! One heartbeat on its way, in as many calls as it takes.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::beat::Beat;

/// How many calls of one are in the air at a time.
const CALLS_MAX: usize = 4;

#[derive(Default)]
pub(super) struct Round {
    /// What is still to be sent.
    waiting: VecDeque<Beat>,
    in_air: usize,
    /// One of its calls did not arrive.
    has_failed: bool,
}

impl Round {
    /// When there is a call to make, if the next round is due then; none while that has to wait for an answer.
    pub(super) fn due(&self, now: Instant, next: Option<Instant>) -> Option<Instant> {
        if self.in_air >= CALLS_MAX {
            None
        } else if !self.waiting.is_empty() {
            Some(now)
        } else if self.in_air > 0 {
            None
        } else {
            next
        }
    }

    /// All of its calls have landed, whatever came of them.
    pub(super) fn is_over(&self) -> bool {
        self.in_air == 0 && self.waiting.is_empty()
    }

    /// It is over, and each of its calls was answered.
    pub(super) fn is_through(&self) -> bool {
        self.is_over() && !self.has_failed
    }

    pub(super) fn begin(&mut self, beats: VecDeque<Beat>) {
        *self = Self {
            waiting: beats,
            ..Self::default()
        };
    }

    pub(super) fn next_call(&mut self) -> Option<Beat> {
        if self.in_air >= CALLS_MAX {
            return None;
        }
        let beat = self.waiting.pop_front()?;
        self.in_air += 1;
        Some(beat)
    }

    pub(super) fn landed(&mut self) {
        self.in_air -= 1;
    }

    /// These calls go next.
    pub(super) fn say(&mut self, beats: [Beat; 2]) {
        for beat in beats.into_iter().rev() {
            self.waiting.push_front(beat);
        }
    }

    /// One of its calls did not arrive. Gives up what was to follow it.
    pub(super) fn fail(&mut self) -> VecDeque<Beat> {
        self.has_failed = true;
        std::mem::take(&mut self.waiting)
    }
}
