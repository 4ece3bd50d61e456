//! When something scheduled is due next, as far as this server knows.

use taskyard_core::time::Timestamp;
use tokio::sync::watch;

/// The earliest time for which anything is scheduled, to wait for. [`Timestamp::MAX`] while none is known.
pub(crate) struct NextDue(watch::Sender<Timestamp>);

impl Default for NextDue {
    fn default() -> Self {
        Self(watch::Sender::new(Timestamp::MAX))
    }
}

impl NextDue {
    /// Something is scheduled for then. Whoever waits hears of it only if nothing is due earlier: most of what is
    /// scheduled is a back-off or a date, and far ahead.
    pub(crate) fn scheduled(&self, at: Timestamp) {
        self.0.send_if_modified(|next| {
            let is_earlier = at < *next;
            if is_earlier {
                *next = at;
            }
            is_earlier
        });
    }

    /// Said before a store is asked what is due, so that what is scheduled while it answers is not missed.
    pub(crate) fn forget(&self) {
        self.0.send_replace(Timestamp::MAX);
    }

    /// Resolves when its time has come, also if it became an earlier one meanwhile.
    pub(crate) async fn comes(&self, now: impl Fn() -> Timestamp) {
        let mut next = self.0.subscribe();
        loop {
            let wait = next.borrow_and_update().since(now());
            if wait.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => return,
                // The sender lives as long as this does.
                _ = next.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_earliest_is_waited_for_whenever_it_is_told() {
        let started = Instant::now();
        let begun = Timestamp::from_micros(1_790_000_000_000_000);
        let now = || begun + started.elapsed();
        let minutes = |minutes| begun + Duration::from_mins(minutes);
        let next = NextDue::default();
        next.scheduled(minutes(9));
        next.forget();
        next.scheduled(minutes(5));

        let told = async {
            tokio::time::sleep(Duration::from_mins(1)).await;
            next.scheduled(minutes(7));
            next.scheduled(minutes(3));
        };
        tokio::join!(next.comes(now), told);

        assert_eq!(now(), minutes(3));
    }
}
