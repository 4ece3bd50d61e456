//! When a lane may be looked at from its very beginning, though it is known where it was last found to begin. That may mean to
//! walk over all that has gone from it, where an old snapshot keeps a database from clearing that away; and it is rare that
//! another server puts something before what is known, and tells nobody.

use std::time::Duration;

use taskyard_core::time::Timestamp;

/// It takes this share of the time at most; until it may be done again, lanes are looked at from where they were last found to
/// begin.
pub(super) const SHARE: u32 = 50;
/// But it may be done after so long at the latest: what another server put before that waits no longer to be found.
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

    /// One of them took so long. What stood still for once, or waited for others, makes none dear: the last one counts too.
    pub(super) fn took(&mut self, took: Duration, now: Timestamp) {
        let costs = took.min(std::mem::replace(&mut self.took, took));
        let since = if self.may(now) { now } else { self.from };
        self.from = (since + costs * SHARE).min(now + WITHIN);
    }
}
