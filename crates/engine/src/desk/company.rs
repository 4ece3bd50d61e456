//! Whether what waits is worth a batch yet.
//!
//! A fleet that has nothing to do still says that it lives and asks again, one worker at a time, and a batch of its own for
//! each would be most of what the fleet costs. Nobody is kept waiting by them: they go along with whatever else is to be
//! done, and for a moment they wait for each other.

use std::time::Duration;

use super::Moment;

/// How long they wait for company at most: nothing beside the seconds from one to the next of the same worker.
const PATIENCE: Duration = Duration::from_millis(20);
/// So many are company enough.
const ENOUGH: usize = 16;

#[derive(Default)]
pub(super) struct Company {
    /// Something waits that is to be done at once.
    is_pressing: bool,
    /// How many wait that are in no hurry.
    patient: usize,
    /// When one of them will not wait any longer.
    until: Option<Moment>,
    /// When the first of them was looked at.
    since: Option<Moment>,
}

impl Company {
    pub(super) fn press(&mut self) {
        self.is_pressing = true;
    }

    /// One more that is in no hurry before then.
    pub(super) fn joins(&mut self, until: Moment) {
        self.patient += 1;
        self.until = Some(self.until.map_or(until, |first| first.min(until)));
    }

    /// Those that waited are in a batch, but for a `rest` that had no room.
    pub(super) fn left(&mut self, rest: bool) {
        *self = Self {
            is_pressing: rest,
            ..Self::default()
        };
    }

    pub(super) fn is_due(&mut self, now: Moment) -> bool {
        if self.patient > 0 {
            self.since.get_or_insert(now);
        }
        self.is_pressing || self.patient >= ENOUGH || self.due_at().is_some_and(|at| at <= now)
    }

    /// When those that are in no hurry go by themselves.
    pub(super) fn due_at(&self) -> Option<Moment> {
        let patience = self.since? + PATIENCE;
        Some(self.until.map_or(patience, |until| until.min(patience)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Moment = Duration::from_secs(60);

    fn ms(ms: u64) -> Moment {
        Duration::from_millis(ms)
    }

    #[test]
    fn nothing_is_due_where_nothing_waits() {
        let mut company = Company::default();

        assert!(!company.is_due(LATER));
        assert_eq!(company.due_at(), None);
    }

    #[test]
    fn what_is_in_no_hurry_waits_for_others_from_when_it_is_looked_at_first() {
        let mut company = Company::default();
        company.joins(LATER);
        assert!(!company.is_due(ms(100)));
        assert!(!company.is_due(ms(110)));
        assert_eq!(company.due_at(), Some(ms(120)));

        company.joins(LATER);
        assert!(!company.is_due(ms(119)), "the second waits with the first");

        assert!(company.is_due(ms(120)));
        company.left(false);
        assert!(!company.is_due(ms(120)));
    }

    #[test]
    fn one_whose_time_is_up_waits_for_nobody() {
        let mut company = Company::default();
        company.joins(LATER);
        assert!(!company.is_due(ms(100)));

        company.joins(ms(105));

        assert!(!company.is_due(ms(104)));
        assert!(company.is_due(ms(105)));
    }

    #[test]
    fn so_many_are_company_enough() {
        let mut company = Company::default();
        for _ in 1..ENOUGH {
            company.joins(LATER);
        }
        assert!(!company.is_due(ms(1)));

        company.joins(LATER);

        assert!(company.is_due(ms(1)));
    }

    #[test]
    fn what_presses_goes_at_once_and_so_does_what_had_no_room() {
        let mut company = Company::default();
        company.joins(LATER);
        company.press();
        assert!(company.is_due(ms(1)));

        company.left(true);

        assert!(company.is_due(ms(1)));
    }
}
