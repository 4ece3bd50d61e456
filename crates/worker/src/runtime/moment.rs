//! A point in time to measure from what happened meanwhile elsewhere.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// Unlike an [`Instant`] alone, it also counts the time that the machine slept.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    instant: Instant,
    since_boot: Duration,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            instant: Instant::now(),
            since_boot: since_boot(),
        }
    }

    pub(super) fn elapsed(self) -> Duration {
        let counted = since_boot().saturating_sub(self.since_boot);
        self.instant.elapsed().max(counted)
    }
}

/// Nothing where the kernel does not tell.
fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}
