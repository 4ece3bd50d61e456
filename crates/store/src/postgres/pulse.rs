//! What is wrong with the database as far as whoever writes can tell: known at once, and not only when a batch has failed.

use std::time::Duration;

use parking_lot::Mutex;
use taskyard_core::store::{Cause, Error};
use tokio::time::Instant;

/// What has been under way for longer than this counts as trouble, whatever may become of it: readiness is to fail within
/// 5 s.
pub(super) const STUCK: Duration = Duration::from_secs(3);

#[derive(Default)]
pub(super) struct Pulse(Mutex<Beat>);

#[derive(Default)]
struct Beat {
    /// Since when the database has owed an answer.
    asked: Option<Instant>,
    /// Why there was no connection at the last look.
    wrong: Option<Error>,
}

/// An answer is waited for as long as this lives.
pub(super) struct Waiting<'a>(&'a Pulse);

impl Pulse {
    pub(super) fn waits(&self) -> Waiting<'_> {
        self.0.lock().asked = Some(Instant::now());
        Waiting(self)
    }

    pub(super) fn looked(&self, found: Option<Error>) {
        self.0.lock().wrong = found;
    }

    pub(super) fn trouble(&self) -> Option<Error> {
        self.trouble_at(Instant::now())
    }

    fn trouble_at(&self, now: Instant) -> Option<Error> {
        let beat = self.0.lock();
        let waited = beat.asked.map(|asked| now.saturating_duration_since(asked));
        match waited.filter(|waited| *waited >= STUCK) {
            Some(waited) => {
                let why = format!(
                    "what writes has waited for an answer for {} s",
                    waited.as_secs()
                );
                Some(Error::Unavailable(Cause::Silent.with(why)))
            }
            None => beat.wrong.clone(),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.lock().asked = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_three_seconds_is_trouble_until_it_is_answered() {
        let (pulse, soon) = (Pulse::default(), Duration::from_millis(1));
        let waiting = pulse.waits();
        let asked = pulse.0.lock().asked.unwrap();

        assert_eq!(pulse.trouble_at(asked + STUCK - soon), None);
        let Some(Error::Unavailable(away)) = pulse.trouble_at(asked + STUCK) else {
            panic!("it waits for long")
        };
        assert_eq!(away.cause, Cause::Silent);

        drop(waiting);
        assert_eq!(pulse.trouble_at(asked + STUCK), None);
        pulse.looked(Some(Error::Full));
        assert_eq!(pulse.trouble_at(asked), Some(Error::Full));
        pulse.looked(None);
        assert_eq!(pulse.trouble_at(asked), None);
    }
}
