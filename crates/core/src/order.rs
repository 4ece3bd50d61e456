//! In which order due tasks are handed out: one static key gives priority *and* ageing.

use std::fmt;
use std::time::Duration;

use crate::id::{SlotKey, SlotNumber, TaskId};
use crate::time::Timestamp;

/// Lowest first: the time from which the task waits, moved back by its priority. A task that has waited one
/// `level` longer stands as high as one a priority above it, so nothing starves and no row is ever re-sorted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct OrderKey(pub i64);

impl OrderKey {
    pub const FIRST: Self = Self(i64::MIN);

    /// `level`: how much waiting is worth one level of priority.
    pub fn new(run_at: Timestamp, priority: Priority, level: Duration) -> Self {
        let level = i64::try_from(level.as_micros()).unwrap_or(i64::MAX);
        Self(
            run_at
                .as_micros()
                .saturating_sub(level.saturating_mul(i64::from(priority.get()))),
        )
    }
}

impl fmt::Debug for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrderKey({})", self.0)
    }
}

/// Where a slot stands in its lane and among all lanes: by its key, those with the same key by themselves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    pub order_key: OrderKey,
    pub slot: SlotKey,
}

impl Position {
    /// Before every slot.
    pub const FIRST: Self = Self {
        order_key: OrderKey::FIRST,
        slot: SlotKey {
            task: TaskId::NIL,
            slot: SlotNumber(0),
        },
    };
}

/// From -100 to 100, 0 unless said otherwise; high runs first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Priority(i16);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be from {} to {}", Priority::MIN, Priority::MAX)]
pub struct BadPriority;

impl Priority {
    pub const MIN: i16 = -100;
    pub const MAX: i16 = 100;

    pub fn new(value: i64) -> Result<Self, BadPriority> {
        match i16::try_from(value) {
            Ok(value) if (Self::MIN..=Self::MAX).contains(&value) => Ok(Self(value)),
            _ => Err(BadPriority),
        }
    }

    pub fn get(self) -> i16 {
        self.0
    }
}

/// The first position with this key.
#[cfg(test)]
pub(crate) fn at(key: i64) -> Position {
    Position {
        order_key: OrderKey(key),
        ..Position::FIRST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVEL: Duration = Duration::from_mins(10);

    fn key(minute: i64, priority: i64) -> OrderKey {
        OrderKey::new(
            Timestamp::from_micros(minute * 60_000_000),
            Priority::new(priority).unwrap(),
            LEVEL,
        )
    }

    #[test]
    fn high_priority_goes_first_until_the_other_has_waited_long_enough() {
        assert!(key(5, 1) < key(0, 0));
        assert_eq!(key(10, 1), key(0, 0));
        assert!(key(0, 0) < key(11, 1));
        assert!(key(0, -100) > key(0, 100));
    }

    #[test]
    fn priority_has_its_range() {
        assert_eq!(Priority::new(101), Err(BadPriority));
        assert_eq!(Priority::new(i64::MIN), Err(BadPriority));
        assert_eq!(Priority::new(-100).map(Priority::get), Ok(-100));
    }
}
