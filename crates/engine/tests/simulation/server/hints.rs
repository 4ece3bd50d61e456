//! What servers tell each other, as the store and the engine's service for it do: gathered for a moment, sent to all others,
//! and heard by whoever waits.

use taskyard_core::hints::{Hints, Ready, Which};
use taskyard_core::lane::Lane;
use taskyard_core::topic::Topic;
use taskyard_engine::hearing::hear;

use super::Server;
use crate::network::{Body, Node};
use crate::surroundings::Surroundings;

/// Of a thousand commits, with so many nothing is sent: what they changed is told with the next.
const KEPT: u64 = 200;
/// Of a thousand messages, so many find the connection broken: once that is made anew, it may have been anything.
const CUT_OFF: u64 = 20;

impl Server {
    pub(super) fn tell_others(&mut self, topics: &[Topic], around: &mut Surroundings) {
        self.unsaid.note_all(topics);
        if self.unsaid.is_empty() {
            return;
        }
        if around.happens(KEPT) {
            around.tally.count("hint_is_kept_for_the_next");
            return;
        }
        let hints = std::mem::take(&mut self.unsaid);
        for other in (0..around.servers).filter(|other| *other != self.number) {
            let hints = if around.happens(CUT_OFF) {
                around.tally.count("server_hears_again");
                Hints::everything()
            } else {
                hints.clone()
            };
            let ticket = around.ticket();
            around.send(self.node(), Node::Server(other), ticket, Body::Hint(hints));
        }
    }

    pub(super) fn hears_of_others(&mut self, hints: &Hints, around: &mut Surroundings) {
        around.tally.count("hint_is_heard");
        self.learn_of(&hints.ready, around);
        if matches!(&hints.told, Which::These(workers) if !workers.is_empty()) {
            around.tally.count("hint_tells_a_worker");
        }
        if self.listen_to(hints, around) {
            around.tally.count("hint_has_claims_look_again");
        }
    }

    /// Whatever others have done and nobody told here.
    pub(super) fn looks_again(&mut self, around: &mut Surroundings) {
        let anywhere = Hints {
            ready: Ready::Anywhere,
            ..Hints::default()
        };
        self.listen_to(&anywhere, around);
        self.turn_soon(around);
    }

    /// Whether claims that waited look again.
    fn listen_to(&mut self, hints: &Hints, around: &mut Surroundings) -> bool {
        let (waited, lanes) = (self.desk.parked(), self.mine.lanes());
        hear(hints, &mut self.desk, &lanes, |lane| self.mine.unsure(lane));
        if !self.desk.is_idle() {
            self.turn_soon(around);
        }
        self.desk.parked() < waited
    }

    /// A store asks the database for lanes that it does not know, which mostly answers.
    fn learn_of(&self, ready: &Ready, around: &mut Surroundings) {
        let Ready::In(ready) = ready else {
            return;
        };
        let known = self.mine.lanes();
        let ready = ready.keys().map(|lane| lane.plain());
        let unknown: Vec<Lane> = ready.filter(|lane| known.key(*lane).is_none()).collect();
        drop(known);
        if unknown.is_empty() {
            return;
        }
        if around.happens(800) {
            around.tally.count("hint_names_a_lane_that_is_asked_for");
            self.mine.learn(&unknown);
        } else {
            around.tally.count("hint_names_a_lane_that_stays_unknown");
        }
    }
}
