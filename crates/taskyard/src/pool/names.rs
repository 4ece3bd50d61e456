//! The numbers that the workers inside of a server bear in their names.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use taskyard_core::id::ServerNumber;
use taskyard_engine::pool::COUNT_MAX;

/// The names of one server's workers leave room for as many.
const SIZE_MAX: i32 = COUNT_MAX as i32;

/// The numbers of this server's workers: those that they bear, and those that others were found to have.
#[derive(Default)]
pub(super) struct Names(Mutex<BTreeSet<i32>>);

impl Names {
    /// The lowest that is free of those that a server of this number has.
    pub(super) fn take(&self, server: ServerNumber) -> Option<i32> {
        let first = (server.0 - 1) * SIZE_MAX + 1;
        let mut taken = self.0.lock();
        let number = (first..first + SIZE_MAX).find(|number| !taken.contains(number))?;
        taken.insert(number);
        Some(number)
    }

    pub(super) fn give_back(&self, number: i32) {
        self.0.lock().remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_borne_once_and_those_of_a_server_are_its_own() {
        let names = Names::default();
        let first = ServerNumber(1);
        let mut taken: Vec<_> = (0..3).map(|_| names.take(first)).collect();
        names.give_back(2);
        taken.extend([names.take(first), names.take(first)]);

        assert_eq!(taken, [1, 2, 3, 2, 4].map(Some));
        assert_eq!(names.take(ServerNumber(3)), Some(101));
        let left = std::iter::from_fn(|| names.take(first)).count();
        assert_eq!(left, 46);
    }
}
