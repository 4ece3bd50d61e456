//! A server that stops in order, as the engine's loop does it: takes nothing more, ends what it has accepted, writes down
//! what it counted, and says as the last of all that it is up no more.

use taskyard_core::command::{Command, Done};
use taskyard_core::store::Ran;
use taskyard_core::verbs::leave::Leave;

use super::{Caller, Server, State, Who};
use crate::surroundings::{Event, Surroundings};

impl Server {
    pub(crate) fn leave(&mut self, around: &mut Surroundings) {
        self.state = State::Leaving;
        self.turn_soon(around);
    }

    /// Nobody is let in any more, and the services have ended.
    pub(super) fn takes_while_leaving(&self, life: Option<u32>, event: Event) -> Option<Event> {
        let goes_on = matches!(event, Event::ServerTurn { .. }) && life == Some(self.life);
        goes_on.then_some(event)
    }

    /// What a turn does besides once it leaves.
    pub(super) fn go_on_leaving(&mut self, around: &mut Surroundings) {
        if self.state != State::Leaving {
            return;
        }
        let over = self.desk.close();
        self.answer(over, 0, around);
        if !self.under_way.is_empty() || !self.desk.is_idle() || self.write_down(around) {
            return;
        }
        match self.joined.take() {
            Some(server) => {
                around.ledger.presence.leaves(server);
                self.command(Leave { server }, Caller::of(Who::Nobody), around);
            }
            None => {
                around.tally.count("server_has_stopped_in_order");
                self.die();
            }
        }
    }

    pub(crate) fn is_killed_while_leaving(&mut self, around: &mut Surroundings) {
        around.tally.count("server_is_killed_while_it_leaves");
        self.die();
    }
}

/// Servers that are up no more from this commit on.
pub(super) fn note_left(commands: &[Command], ran: &Ran, around: &mut Surroundings) {
    for (command, reply) in commands.iter().zip(&ran.replies) {
        if let (Command::Leave(leave), Ok(Ok(Done::Leave(left)))) = (command, reply) {
            around.tally.count(if left.was_up {
                "leave"
            } else {
                "server_was_taken_for_dead_before_it_left"
            });
            around.ledger.presence.left(leave.server, ran.now);
        }
    }
}
