//! Servers that say that they are up, say so again, and leave.

use taskyard_core::command::Command;
use taskyard_core::verbs::join::Join;
use taskyard_core::verbs::leave::Leave;

use super::Sequence;

/// So many words of servers are spoken of, the latest of all.
const LATEST: usize = 4;

impl Sequence {
    pub(super) fn server_says(&mut self) -> Option<Command> {
        if self.one_in(2) {
            self.leave()
        } else {
            Some(self.join())
        }
    }

    /// A server that starts, or one that perhaps has left meanwhile.
    fn join(&mut self) -> Command {
        let again = self.one_in(2);
        Command::Join(Join {
            held: self.any(|it| latest(&it.servers)).filter(|_| again),
            alone: self.one_in(8),
        })
    }

    /// Most often one that is up; also one whose time is up, or that has left before.
    fn leave(&mut self) -> Option<Command> {
        let last = self.servers.last().copied();
        let server = last.filter(|_| self.one_in(2));
        let server = server.or_else(|| self.any(|it| latest(&it.servers)))?;
        Some(Command::Leave(Leave { server }))
    }
}

fn latest<T>(all: &[T]) -> &[T] {
    &all[all.len().saturating_sub(LATEST)..]
}
