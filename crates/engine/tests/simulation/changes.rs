//! What a commit may have changed, so that no more than that is looked at.

use std::collections::BTreeSet;

use taskyard_core::command::{Command, Done};
use taskyard_core::id::TaskId;
use taskyard_core::store::Ran;
use taskyard_core::verbs::proceed::Piece;

#[derive(Clone, Default)]
pub(crate) struct Changes {
    pub(crate) tasks: BTreeSet<TaskId>,
    /// Any of those that wait for a time.
    pub(crate) scheduled: bool,
    pub(crate) queues: bool,
    pub(crate) operations: bool,
    pub(crate) workers: bool,
}

impl Changes {
    /// In these tasks, and in whatever else there is.
    pub(crate) fn of_tasks(tasks: BTreeSet<TaskId>) -> Self {
        Self {
            tasks,
            scheduled: false,
            queues: true,
            operations: true,
            workers: true,
        }
    }

    /// Adds what these commands may have changed.
    pub(crate) fn ran(&mut self, commands: &[Command], ran: &Ran) {
        for (command, reply) in commands.iter().zip(&ran.replies) {
            self.asked(command);
            if let Ok(Ok(done)) = reply {
                self.done(done);
            }
        }
    }

    fn asked(&mut self, command: &Command) {
        match command {
            Command::Start(start) => {
                self.tasks.insert(start.token.slot.task);
            }
            Command::Heartbeat(beat) => {
                let held = beat.held.iter();
                self.tasks.extend(held.map(|held| held.token.slot.task));
            }
            Command::Report(report) => {
                let results = report.results.iter();
                self.tasks
                    .extend(results.map(|result| result.token.slot.task));
            }
            Command::Cancel(cancel) => {
                self.tasks.insert(cancel.task);
            }
            Command::Patch(patch) => {
                self.tasks.insert(patch.task);
            }
            Command::Expire(expire) => {
                let runs = expire.runs.iter();
                self.tasks.extend(runs.map(|(run, _)| run.slot.task));
            }
            Command::Discard(discard) => self.tasks.extend(&discard.tasks),
            Command::Proceed(proceed) => {
                self.operations = true;
                match &proceed.piece {
                    Piece::Cancel(tasks) => self.tasks.extend(tasks),
                    Piece::Retry(tasks) => self.tasks.extend(tasks.iter().map(|task| task.id)),
                    Piece::PassOver(_) => {}
                }
            }
            Command::Promote(_) => self.scheduled = true,
            Command::SetQueue(_) => self.queues = true,
            Command::Operate(_) | Command::CancelOperation(_) | Command::Clear(_) => {
                self.operations = true;
            }
            Command::Register(_) | Command::Drain(_) | Command::Kill(_) | Command::Forget(_) => {
                self.workers = true;
            }
            Command::Submit(_)
            | Command::Claims(_)
            | Command::Join(_)
            | Command::Leave(_)
            | Command::Tally(_)
            | Command::Prune(_)
            | Command::Free(_) => {}
        }
    }

    fn done(&mut self, done: &Done) {
        match done {
            Done::Submit(submitted) => self.tasks.extend(submitted.ids.iter()),
            Done::Claims(dealt) => {
                let hands = dealt.hands.iter().flatten().flatten();
                let runs = hands.flat_map(|hand| &hand.runs);
                self.tasks.extend(runs.map(|run| run.slot.task));
            }
            Done::Kill(killed) => self.tasks.extend(&killed.tasks),
            _ => {}
        }
    }
}
