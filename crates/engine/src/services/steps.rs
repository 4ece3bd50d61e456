//! How a service works off rows that the database picks, the oldest first.
//!
//! One that cannot be read, or whose change the database refuses, makes the step that holds it fail. So the steps get
//! smaller until it stands alone; from then on it is passed over, and costs those behind it nothing.

use taskyard_core::store;

use super::STEP_ROWS_MAX;
use crate::error::Error;

/// Remembers which rows are passed over: so many of the oldest, for bad ones stay where they are while the others go.
#[derive(Default, Debug)]
pub struct Steps {
    skip: usize,
}

impl Steps {
    pub(crate) fn passed_over(&self) -> usize {
        self.skip
    }

    /// Begins to work off all that there is in this table.
    pub(crate) fn round(&mut self, table: &'static str) -> Round<'_> {
        Round {
            steps: self,
            table,
            rows: STEP_ROWS_MAX,
            taken: 0,
            is_behind_bad: false,
        }
    }
}

pub(crate) struct Round<'a> {
    steps: &'a mut Steps,
    table: &'static str,
    /// How many rows the next step asks for.
    rows: usize,
    taken: usize,
    /// Nothing was taken since a bad row was passed over.
    is_behind_bad: bool,
}

impl Round<'_> {
    /// How many rows the next step asks for, and behind how many.
    pub(crate) fn step(&self) -> (usize, usize) {
        (self.rows, self.steps.skip)
    }

    /// Says how many rows the step took. Answers how many the whole round did, once it is over.
    ///
    /// # Errors
    /// Where two rows in a row are bad, the database may be broken for all of them: the rest is left for the next round.
    pub(crate) fn took(&mut self, rows: Result<usize, Error>) -> Result<Option<usize>, Error> {
        match rows {
            Ok(taken) => {
                self.taken += taken;
                // A full step says that there may be more, which must not wait: they may come faster than a step a
                // turn.
                let is_over = taken < self.rows;
                self.rows = (self.rows * 2).min(STEP_ROWS_MAX);
                self.is_behind_bad = false;
                Ok(is_over.then_some(self.taken))
            }
            Err(Error::Store(store::Error::Failed(_))) if self.rows > 1 => {
                self.rows /= 2;
                Ok(None)
            }
            Err(Error::Store(error @ store::Error::Failed(_))) => {
                let table = self.table;
                tracing::error!(table, %error, "a row is bad and is passed over; the others go on");
                self.steps.skip += 1;
                if self.is_behind_bad {
                    return Err(error.into());
                }
                self.is_behind_bad = true;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows that are left, true for those that are bad, and how often some of them were asked for.
    struct Table {
        rows: Vec<bool>,
        asked: usize,
    }

    impl Table {
        fn of(count: usize, bad: &[usize]) -> Self {
            Self {
                rows: (0..count).map(|row| bad.contains(&row)).collect(),
                asked: 0,
            }
        }

        fn work_off(&mut self, steps: &mut Steps) -> Result<usize, Error> {
            let mut round = steps.round("table");
            loop {
                let (limit, skip) = round.step();
                if let Some(taken) = round.took(self.take(limit, skip))? {
                    return Ok(taken);
                }
            }
        }

        fn take(&mut self, limit: usize, skip: usize) -> Result<usize, Error> {
            self.asked += 1;
            let behind = skip.min(self.rows.len());
            let end = (behind + limit).min(self.rows.len());
            if self.rows[behind..end].contains(&true) {
                return Err(store::Error::Failed("bad".to_owned()).into());
            }
            Ok(self.rows.drain(behind..end).count())
        }
    }

    #[test]
    fn bad_rows_are_found_passed_over_and_left() {
        let (mut table, mut steps) = (Table::of(2_000, &[0, 617, 1_999]), Steps::default());

        assert_eq!(table.work_off(&mut steps).unwrap(), 1_997);

        assert_eq!(table.rows, [true; 3]);
        assert!(table.asked < 80, "asked {} times", table.asked);
        table.asked = 0;
        assert_eq!(table.work_off(&mut steps).unwrap(), 0);
        assert_eq!(table.asked, 1, "it is known where they are");
    }

    #[test]
    fn a_database_that_takes_nothing_is_left_alone_soon_and_gone_on_with_behind_what_it_refused() {
        let (mut table, mut steps) = (Table::of(4, &[0, 1, 2]), Steps::default());

        assert!(table.work_off(&mut steps).is_err());
        assert_eq!(steps.passed_over(), 2);
        assert!(table.asked < 12, "asked {} times", table.asked);

        assert_eq!(table.work_off(&mut steps).unwrap(), 1);
    }
}
