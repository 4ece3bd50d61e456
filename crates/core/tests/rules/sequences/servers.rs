//! Servers that say that they are up, and leave; and what it promises.

use proptest::sample::Index;
use taskyard_core::command::{Command, Done};
use taskyard_core::rows::Server;
use taskyard_core::verbs::join::Join;
use taskyard_core::verbs::leave::{Leave, Left};

use super::{World, latest};
use crate::acts::Act;

impl World {
    /// None where no server has joined yet that could leave.
    pub(super) fn server_says(&self, act: &Act) -> Option<Command> {
        let servers = latest(&self.servers);
        Some(match act {
            Act::Join(held) => Join {
                held: (held.filter(|_| !servers.is_empty())).map(|held| *held.get(servers)),
                alone: false,
            }
            .into(),
            Act::Leave(server) if !servers.is_empty() => Leave {
                server: *server.get(servers),
            }
            .into(),
            _ => return None,
        })
    }

    /// With nothing beside it: the server is up no more, and nothing else has changed.
    pub(super) fn leave_alone(&mut self, server: &Index) {
        if self.servers.is_empty() {
            return;
        }
        let leaving: Server = *server.get(latest(&self.servers));
        let number = leaving.number;
        let before = self.tables.servers.clone();
        let was_up = before[&number].started_at == leaving.started_at
            && before[&number].expires_at > self.now;
        let held = (self.tables.leases.clone(), self.tables.counters.clone());

        let reply = self.run(&[Leave { server: leaving }.into()]).remove(0);

        assert_eq!(reply, Ok(Done::Leave(Left { was_up })));
        let mut expected = before;
        if was_up {
            let expires_at = self.now;
            let row = expected.get_mut(&number).expect("it was there");
            *row = Server { expires_at, ..*row };
        }
        assert_eq!(self.tables.servers, expected, "it alone is up no more");
        let still_held = (self.tables.leases.clone(), self.tables.counters.clone());
        assert!(held == still_held, "its workers' leases end by themselves");
    }
}
