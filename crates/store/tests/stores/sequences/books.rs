//! What is asked of the whole: the books after each batch, and `db check` at the end.

use taskyard_core::command::{Answer, Command};
use taskyard_core::query::List;

use super::Sequence;
use crate::by_hand::Place;

/// More than there ever are.
const ALL: usize = 10_000;

impl Sequence {
    pub(super) async fn check_books(&mut self, batch: &[Command], answers: &[Answer]) {
        let all = List {
            limit: ALL,
            ..List::default()
        };
        let listed = self.yard.list(all).await;
        assert!(listed.next.is_none(), "one page has all tasks");
        self.books.check(batch, answers, &listed.items);
    }

    /// Of rows that somebody has damaged it would tell that.
    pub(super) async fn check_rows(&self) {
        let Place::Together(all) = &self.yard.place else {
            panic!("sequences run on several stores")
        };
        assert_eq!(all.findings().await, [""; 0]);
    }
}
