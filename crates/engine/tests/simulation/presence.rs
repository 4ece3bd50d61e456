//! Who is up: a server that has left is not, whatever becomes of its number.

use std::collections::BTreeMap;

use taskyard_core::id::ServerNumber;
use taskyard_core::rows::Server;
use taskyard_core::time::Timestamp;

#[derive(Default)]
pub(crate) struct Presence {
    /// Those that said so, whether it was taken or not. Another that has the number since then started at another time.
    leaving: BTreeMap<(ServerNumber, Timestamp), Leaving>,
}

enum Leaving {
    /// No answer has come yet, and perhaps none will.
    Sent,
    /// By the clock of that commit.
    Left(Timestamp),
}

impl Presence {
    /// It will say nothing more after this.
    pub(crate) fn leaves(&mut self, server: Server) {
        let before = self.leaving.insert(key(&server), Leaving::Sent);
        assert!(before.is_none(), "a server leaves once: {server:?}");
    }

    pub(crate) fn left(&mut self, server: Server, at: Timestamp) {
        self.leaving.insert(key(&server), Leaving::Left(at));
    }

    pub(crate) fn check(&self, rows: &[Server]) {
        for row in rows {
            if let Some(Leaving::Left(at)) = self.leaving.get(&key(row)) {
                assert!(
                    row.expires_at <= *at,
                    "who left at {at} is up no more: {row:?}"
                );
            }
        }
    }
}

fn key(server: &Server) -> (ServerNumber, Timestamp) {
    (server.number, server.started_at)
}
