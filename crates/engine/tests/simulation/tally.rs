//! How often what happened, so that one sees that a simulation is not idle.

use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, Default)]
pub(crate) struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(crate) fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, others: impl IntoIterator<Item = (&'static str, u64)>) {
        for (what, times) in others {
            *self.0.entry(what).or_default() += times;
        }
    }

    pub(crate) fn into_counts(self) -> BTreeMap<&'static str, u64> {
        self.0
    }
}

/// On lines that a terminal holds.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut width = 0;
        for (what, times) in &self.0 {
            let entry = format!(" {what}={times}");
            if width + entry.len() > 116 {
                write!(f, "\n   ")?;
                width = 0;
            }
            width += entry.len();
            f.write_str(&entry)?;
        }
        Ok(())
    }
}
