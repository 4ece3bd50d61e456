//! A token that the server refuses in mid-run: most likely it is being changed, and the server knows the new one already,
//! or not yet. What the worker runs goes on, and everything is said again, as to a server that is away; but only as long as
//! its leases can hold. What comes later counts for nothing, and whoever looks after the worker has to hear of it.

use taskyard_api::client;
use tokio::time::Instant;

use super::Runtime;
use super::settings::Error;

pub(super) struct Unwelcome {
    /// When the leases are over that the server renewed last.
    until: Instant,
    error: client::Error,
}

impl Unwelcome {
    pub(super) fn until(&self) -> Instant {
        self.until
    }
}

impl Runtime {
    /// Said aloud once, until something gets through again.
    pub(super) fn bear_refusal(&mut self, error: client::Error, now: Instant) {
        if let Some(unwelcome) = &mut self.unwelcome {
            unwelcome.error = error;
            return;
        }
        let lease = self.limits.borrow().lease;
        let until = self.renewed.unwrap_or(now) + lease;
        tracing::error!(
            %error,
            runs = self.hands.count(),
            seconds = until.saturating_duration_since(now).as_secs(),
            "the server refuses this worker's token: its runs go on, and it tries again until their leases are over; if the \
             token was changed, start the worker again with the new one"
        );
        self.unwelcome = Some(Unwelcome { until, error });
    }

    /// Nothing got through until the leases were over.
    pub(super) fn end_unwelcome(&mut self, now: Instant) -> Result<(), Error> {
        match self.unwelcome.take_if(|unwelcome| unwelcome.until <= now) {
            Some(unwelcome) => Err(Error::Refused(unwelcome.error)),
            None => Ok(()),
        }
    }
}
