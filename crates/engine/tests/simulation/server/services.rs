//! A server's services: the steps that the engine's loops take, at their times.

use std::time::Duration;

use taskyard_core::command::Done;
use taskyard_core::query::{Answer, Query};
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::join::Join;
use taskyard_core::verbs::promote::Promote;
use taskyard_core::verbs::prune::Prune;
use taskyard_engine::desk;
use taskyard_engine::services::STEP_ROWS_MAX;
use taskyard_engine::services::sweep::{look_for_lost, take_away};

use super::{Caller, Server, Who};
use crate::surroundings::{Event, Surroundings};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Service {
    Sweep,
    Promote,
    Prune,
    Join,
    /// Looks again for what a lost hint would have told.
    Poll,
}

impl Service {
    const REGULAR: [Self; 4] = [Self::Sweep, Self::Prune, Self::Join, Self::Poll];

    fn every(self) -> Duration {
        match self {
            Self::Sweep | Self::Promote | Self::Join | Self::Poll => Duration::from_secs(1),
            Self::Prune => Duration::from_secs(10),
        }
    }
}

impl Server {
    pub(super) fn start_services(&mut self, around: &mut Surroundings) {
        for service in Service::REGULAR {
            let wait = around.millis(0, 1000);
            self.plan(service, wait, around);
        }
        self.promote_at(around.now, around);
    }

    fn plan(&self, service: Service, wait: Duration, around: &mut Surroundings) {
        let event = Event::Service {
            server: self.number,
            life: self.life,
            service,
        };
        around.after(wait, event);
    }

    /// Promotes then, unless it does so earlier anyway.
    pub(super) fn promote_at(&mut self, at: Timestamp, around: &mut Surroundings) {
        let is_planned = self
            .promotes_at
            .is_some_and(|planned| planned <= at && planned >= around.now);
        if !is_planned {
            self.promotes_at = Some(at);
            self.plan(Service::Promote, at.since(around.now), around);
        }
    }

    /// The service's time has come.
    pub(crate) fn serve(&mut self, service: Service, around: &mut Surroundings) {
        let caller = Caller::of(Who::Service(service));
        match service {
            Service::Sweep => {
                let now = self.time(around);
                // Also in grace as if it were none: the rules have to spare the silent by themselves.
                let query = look_for_lost(&around.policy, now, false, None);
                let candidates = self.mine.read(query);
                let grace = around.now < self.in_grace_until;
                if let Some(expire) = take_away(candidates, grace, None) {
                    around.tally.count("sweep_with_candidates");
                    self.command(expire, caller, around);
                }
            }
            Service::Promote => {
                if self.promotes_at.is_none_or(|at| at > around.now) {
                    return;
                }
                self.promotes_at = None;
                let limit = STEP_ROWS_MAX;
                self.command(Promote { limit }, caller, around);
            }
            Service::Prune => {
                let limit = STEP_ROWS_MAX;
                self.command(Prune { limit }, caller, around);
            }
            Service::Join => self.command(
                Join {
                    held: self.joined,
                    alone: false,
                },
                caller,
                around,
            ),
            Service::Poll => {
                self.mine.unsure(None);
                self.desk.look_again();
                self.turn_soon(around);
            }
        }
        if service != Service::Promote {
            self.plan(service, service.every(), around);
        }
    }

    /// A service's command is answered.
    pub(super) fn served(
        &mut self,
        service: Service,
        answer: &desk::Answer,
        around: &mut Surroundings,
    ) {
        match answer {
            Ok(Ok(Done::Join(joined))) => {
                self.joined = Some(joined.server);
                around.tally.count("join");
            }
            Ok(Ok(Done::Promote(promoted))) if promoted.count > 0 => around.tally.count("promote"),
            Ok(Ok(Done::Expire(expired))) if !expired.tasks.is_empty() => {
                around.tally.count("expire")
            }
            Ok(Ok(Done::Prune(pruned))) if pruned.count > 0 => around.tally.count("prune"),
            _ => {}
        }
        if service == Service::Promote {
            let poll = around.now + service.every();
            let next = match self.mine.read(Query::NextDue) {
                // By its own clock, which is behind.
                Answer::NextDue(Some(next)) => (next + self.lag).clamp(around.now, poll),
                _ => poll,
            };
            let next = if answer.is_ok() { next } else { poll };
            self.promote_at(next.max(around.now + Duration::from_millis(1)), around);
        }
    }
}
