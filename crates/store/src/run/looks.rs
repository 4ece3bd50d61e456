//! When a lane may be looked at from its very beginning, though it is known where it was last found to begin. That may mean to
//! walk over all that has gone from it, where an old snapshot keeps a database from clearing that away; and it is rare that
//! another server puts something before what is known, and tells nobody.

use std::time::Duration;

use taskyard_core::time::Timestamp;

/// As long as it takes no longer than this it is done whenever somebody may have put something there.
pub(super) const DEAR: Duration = Duration::from_millis(10);
/// Beyond, it takes this share of the time at most; until it may be done again, lanes are looked at from shortly before where
/// they were last found to begin.
pub(super) const SHARE: u32 = 50;
/// But it may be done after so long at the latest, and then is, of every lane that had to wait for it.
pub(super) const WITHIN: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Looks {
    /// Not before this.
    from: Timestamp,
    /// How long the last one took.
    took: Duration,
}

impl Looks {
    /// A time that is further away was noted before the clock was set back.
    pub(super) fn may(&self, now: Timestamp) -> bool {
        self.from <= now || self.from > now + WITHIN
    }

    /// One of them took so long, with whatever was loaded beside. What stood still for once, or waited for others, makes none
    /// dear: the last one counts too.
    pub(super) fn took(&mut self, took: Duration, now: Timestamp) {
        let costs = took.min(std::mem::replace(&mut self.took, took));
        if costs > DEAR {
            let since = if self.may(now) { now } else { self.from };
            self.from = (since + costs * SHARE).min(now + WITHIN);
        }
    }
}
