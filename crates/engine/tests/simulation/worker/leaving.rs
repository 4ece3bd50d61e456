//! How a worker goes: it drains, or another process has its name.

use super::Worker;
use crate::network::{Body, Call};
use crate::surroundings::Surroundings;

impl Worker {
    pub(crate) fn drain(&mut self, around: &mut Surroundings) {
        around.tally.count(if self.hand.is_empty() {
            "worker_drains_with_an_empty_hand"
        } else {
            "worker_drains_with_work_in_hand"
        });
        self.drains = true;
    }

    /// Its server's answer says so, perhaps once more.
    pub(super) fn is_told_to_drain(&mut self, told: bool, around: &mut Surroundings) {
        if told && !self.drains {
            around.tally.count("worker_is_told_to_drain");
            self.drain(around);
        }
    }

    pub(super) fn has_drained(&self) -> bool {
        let waits = |call: &Call| matches!(call, Call::Claim(_) | Call::Report(_));
        self.drains && self.hand.is_empty() && !self.has_open(waits)
    }

    /// Another process has its name: it is started again as the newest.
    pub(super) fn start_over(&mut self, around: &mut Surroundings) {
        around.tally.count("worker_was_replaced");
        let open = std::mem::take(&mut self.open);
        // Its reports are still true, and still wait for an answer.
        self.open.extend(
            open.into_iter()
                .filter(|(_, open)| matches!(open.call, Call::Report(_))),
        );
        self.hand.clear();
        self.epoch = None;
    }

    /// A second process registers under its name, works on with it, and forgets what the first one held.
    pub(crate) fn is_replaced(&mut self, around: &mut Surroundings) {
        let (to, ticket) = (around.any_server(), around.ticket());
        let call = Call::Register(self.registration());
        around.send(self.node(), to, ticket, Body::Call(call));
    }
}
