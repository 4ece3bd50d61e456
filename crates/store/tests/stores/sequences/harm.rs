//! Harm that is done behind the stores' backs.

use taskyard_core::command::Command;

use super::Sequence;
use crate::conformance::yard::Yard;

const RUNS: usize = 40;

impl Sequence {
    /// It begins with runs that can be reported, or lost.
    pub(super) async fn with_harm(yard: Yard, seed: u64) -> Self {
        let mut sequence = Self::new(yard, seed).await;
        for _ in 0..RUNS {
            let task = sequence.yard.new_task().await;
            sequence.books.made(task);
        }
        sequence.runs = sequence.yard.claim(&sequence.workers[0], RUNS).await;
        sequence.harm = true;
        sequence
    }

    pub(super) async fn do_harm(&mut self, batch: &[Command]) {
        if self.one_in(8) {
            let run = self.any(|it| &it.runs).expect("it began with some");
            self.yard.place.lose(run.slot.task).await;
            self.books.lost(run.slot.task);
        }
        for command in batch {
            if let Command::Submit(submit) = command
                && !submit.again
                && self.one_in(8)
            {
                self.yard.place.refuse(submit.tasks[0].id).await;
            }
        }
    }
}
