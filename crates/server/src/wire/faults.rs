//! What is wrong with a body, collected in one pass, so that its sender can mend all of it at once.

use std::fmt;
use std::ops::RangeInclusive;

use taskyard_api::problem::{FieldError, Problem};
use taskyard_core::id::Epoch;
use taskyard_core::labels::BadLabels;

use crate::problem::{self, Code};

/// How many of them are told.
const TOLD_MAX: usize = 100;

/// Days are long enough in milliseconds: ten years.
pub(crate) const WAIT_MS_MAX: i64 = 10 * 365 * 24 * 3_600_000;

/// Numbers of runs and of hands.
pub(crate) const COUNT_MAX: i64 = 1_000_000;
pub(crate) const EPOCH_MAX: i64 = i32::MAX as i64;

/// Where in the body an object stands.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    list: &'static str,
    index: Option<usize>,
}

impl Place {
    /// The body itself.
    pub(crate) const ROOT: Self = Self {
        list: "",
        index: None,
    };

    /// The object that stands at this pointer.
    pub(crate) const fn within(list: &'static str) -> Self {
        Self { list, index: None }
    }

    /// An element of the array that stands at this pointer.
    pub(crate) fn element(list: &'static str, index: usize) -> Self {
        Self {
            list,
            index: Some(index),
        }
    }

    pub(crate) fn pointer(self, field: impl fmt::Display) -> String {
        match self.index {
            Some(index) => format!("{}/{index}/{field}", self.list),
            None => format!("{}/{field}", self.list),
        }
    }
}

#[derive(Default)]
pub(crate) struct Faults {
    wrong: Vec<FieldError>,
    /// Whether any is not about size alone.
    besides_size: bool,
    untold: usize,
}

impl Faults {
    pub(crate) fn add(
        &mut self,
        place: Place,
        field: impl fmt::Display,
        detail: impl Into<String>,
    ) {
        self.besides_size = true;
        self.push(place, field, detail.into());
    }

    fn push(&mut self, place: Place, field: impl fmt::Display, detail: String) {
        if self.wrong.len() == TOLD_MAX {
            self.untold += 1;
            return;
        }
        self.wrong.push(FieldError {
            pointer: place.pointer(field),
            detail,
        });
    }

    /// The value, or a fault in its place.
    pub(crate) fn take<T, E: fmt::Display>(
        &mut self,
        place: Place,
        field: impl fmt::Display,
        read: Result<T, E>,
    ) -> Option<T> {
        read.map_err(|error| self.add(place, field, error.to_string()))
            .ok()
    }

    /// The number, if it is in the range; the range's end, or another number within it, stands for one that is not.
    pub(crate) fn ranged(
        &mut self,
        place: Place,
        field: &str,
        value: i64,
        range: RangeInclusive<i64>,
    ) -> i64 {
        let (min, max) = range.into_inner();
        if value < min || value > max {
            self.add(place, field, format!("must be from {min} to {max}"));
        }
        value.clamp(min, max)
    }

    pub(crate) fn count(&mut self, place: Place, field: &str, value: i64) -> i32 {
        let value = self.ranged(place, field, value, 1..=COUNT_MAX);
        i32::try_from(value).unwrap_or(i32::MAX)
    }

    pub(crate) fn epoch(&mut self, place: Place, epoch: Option<u32>) -> Option<Epoch> {
        let epoch = self.ranged(place, "epoch", i64::from(epoch?), 1..=EPOCH_MAX);
        i32::try_from(epoch).ok().map(Epoch)
    }

    /// A payload, or a text, of this many bytes.
    pub(crate) fn size(&mut self, place: Place, field: &str, bytes: usize, max: usize) {
        if bytes > max {
            self.push(
                place,
                field,
                format!("holds {bytes} bytes, at most {max} are taken"),
            );
        }
    }

    pub(crate) fn labels<T>(
        &mut self,
        place: Place,
        field: &str,
        read: Result<T, BadLabels>,
    ) -> Option<T> {
        read.map_err(|bad| match bad.entry() {
            Some(entry) => {
                let entry = entry.replace('~', "~0").replace('/', "~1");
                let entry: String = entry.chars().take(64).collect();
                let why = match &bad {
                    BadLabels::Name(_, why) => why.to_string(),
                    BadLabels::TooMany
                    | BadLabels::Value(_)
                    | BadLabels::NotANumber(_)
                    | BadLabels::LongNumber(_)
                    | BadLabels::NoComparison(_) => bad.to_string(),
                };
                self.add(place, format_args!("{field}/{entry}"), why);
            }
            None => self.add(place, field, bad.to_string()),
        })
        .ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wrong.is_empty()
    }

    /// A problem if there was any fault.
    pub(crate) fn check(self) -> Result<(), Box<Problem>> {
        if self.is_empty() {
            return Ok(());
        }
        let code = if self.besides_size {
            Code::Invalid
        } else {
            Code::TooLarge
        };
        let first = &self.wrong[0];
        let others = match self.wrong.len() - 1 + self.untold {
            0 => String::new(),
            others => format!(" (and {others} more)"),
        };
        let mut problem = problem::new(code, format!("{first}{others}"));
        problem.errors = self.wrong;
        Err(problem)
    }
}
