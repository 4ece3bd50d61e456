//! How many tasks of a lane there are, by status.

use std::ops::{Index, IndexMut};

use crate::status::Status;

/// Tasks by status; as a change, how many more of each, below zero for fewer.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counter([i64; Status::ALL.len()]);

impl Counter {
    /// Those that there are any of, in the order of the statuses.
    pub fn iter(&self) -> impl Iterator<Item = (Status, i64)> {
        let all = Status::ALL.into_iter().zip(self.0);
        all.filter(|(_, tasks)| *tasks != 0)
    }

    /// Of all statuses.
    pub fn total(&self) -> i64 {
        self.0.iter().sum()
    }

    /// How many have not ended.
    pub fn open(&self) -> i64 {
        let open = self.iter().filter(|(status, _)| !status.is_final());
        open.map(|(_, tasks)| tasks).sum()
    }

    pub fn add(&mut self, change: &Self) {
        for (status, tasks) in change.iter() {
            self[status] += tasks;
        }
    }
}

impl Index<Status> for Counter {
    type Output = i64;

    fn index(&self, status: Status) -> &i64 {
        &self.0[status as usize]
    }
}

impl IndexMut<Status> for Counter {
    fn index_mut(&mut self, status: Status) -> &mut i64 {
        &mut self.0[status as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_counted_on_its_own() {
        let mut counter = Counter::default();
        assert_eq!(counter.iter().count(), 0);
        for (tasks, status) in (1..).zip(Status::ALL) {
            counter[status] += tasks;
        }
        let each: Vec<_> = Status::ALL.into_iter().zip(1..).collect();
        assert_eq!(counter.iter().collect::<Vec<_>>(), each);
        assert_eq!(counter.open(), 1 + 2 + 3 + 4);
        assert_eq!(counter.total(), (1..=8).sum::<i64>());

        let mut change = Counter::default();
        change[Status::Pending] = -2;
        change[Status::Completed] = 2;
        counter.add(&change);

        assert_eq!(counter.open(), 1 + 3 + 4);
        assert_eq!(counter[Status::Completed], 5 + 2);
        assert!(counter.iter().all(|(status, _)| status != Status::Pending));
    }
}
