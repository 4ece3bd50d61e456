//! When it is said that the database takes no writes, and that it takes them again: a disk that is full refuses
//! everything, many times a second, and one that is nearly full refuses now this and now that.

use std::time::Duration;

use crate::desk::Moment;

/// So long there is nothing more to say.
const QUIET: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(crate) struct Outage {
    /// Since when nothing was written.
    began: Option<Moment>,
    is_said: bool,
    said: Option<Moment>,
}

impl Outage {
    /// Nothing was written since something was refused.
    pub(crate) fn is_on(&self) -> bool {
        self.began.is_some()
    }

    /// Something was refused; whether that is to be said.
    pub(crate) fn goes_on(&mut self, now: Moment) -> bool {
        self.began.get_or_insert(now);
        let is_quiet = self.said.is_some_and(|said| now < said + QUIET);
        if self.is_said || is_quiet {
            return false;
        }
        self.is_said = true;
        self.said = Some(now);
        true
    }

    /// Something was written; how long nothing was, if that is to be said.
    pub(crate) fn ends(&mut self, now: Moment) -> Option<Duration> {
        let began = self.began.take()?;
        let was_said = std::mem::take(&mut self.is_said);
        was_said.then(|| now.saturating_sub(began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_outage_is_said_once_and_its_end_with_how_long_it_was() {
        let mut outage = Outage::default();

        assert!(outage.goes_on(5 * SECOND));
        for second in 6..100 {
            assert!(!outage.goes_on(second * SECOND), "{second}");
        }

        assert_eq!(outage.ends(100 * SECOND), Some(95 * SECOND));
        assert_eq!(outage.ends(101 * SECOND), None);
    }

    #[test]
    fn one_that_comes_and_goes_is_said_every_ten_seconds_at_most() {
        let mut outage = Outage::default();
        let mut said = 0;

        for second in 0..30 {
            said += usize::from(outage.goes_on(second * SECOND));
            outage.ends(second * SECOND + SECOND / 2);
        }

        assert_eq!(said, 3);
    }
}
