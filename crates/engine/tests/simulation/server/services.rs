//! A server's services: the steps that the engine's loops take, at their times.

use std::time::Duration;

use taskyard_core::command::{self, Done};
use taskyard_core::query::Query;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::expire::{Expire, Sight};
use taskyard_core::verbs::join::Join;
use taskyard_core::verbs::promote::Promote;
use taskyard_core::verbs::prune::Prune;
use taskyard_engine::services::STEP_ROWS_MAX;
use taskyard_engine::services::forget::{forget, look_for_gone};
use taskyard_engine::services::sweep::{look_for_lost, take_away};

use super::{About, Caller, Server, Who};
use crate::surroundings::{Event, Surroundings};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Service {
    Sweep,
    Promote,
    Prune,
    Join,
    /// Writes down what happened.
    Tally,
    /// Works off operations.
    Operate,
    /// The same, at once behind a piece.
    OperateOn,
    /// Takes away what was kept long enough.
    Retain,
    /// Looks again for what a lost hint would have told.
    Poll,
}

impl Service {
    /// A server that has its database for itself hears of everything, and never polls.
    fn regular(is_alone: bool) -> impl Iterator<Item = Self> {
        let regular = [
            Self::Sweep,
            Self::Prune,
            Self::Join,
            Self::Tally,
            Self::Operate,
            Self::Retain,
            Self::Poll,
        ];
        let is_run = move |service: &Self| *service != Self::Poll || !is_alone;
        regular.into_iter().filter(is_run)
    }

    fn every(self) -> Duration {
        match self {
            Self::Sweep | Self::Promote | Self::Join | Self::Poll | Self::Tally => {
                Duration::from_secs(1)
            }
            Self::Operate | Self::OperateOn => Self::WORKS_EVERY,
            Self::Retain => Duration::from_secs(2),
            Self::Prune => Duration::from_secs(10),
        }
    }
}

impl Server {
    pub(super) fn start_services(&mut self, around: &mut Surroundings) {
        for service in Service::regular(self.mine.is_alone()) {
            let wait = around.millis(0, 1000);
            self.plan(service, wait, around);
        }
        self.promote_at(around.now, around);
    }

    pub(super) fn plan(&self, service: Service, wait: Duration, around: &mut Surroundings) {
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
                let now = self.clock.now(around.now);
                let moment = self.moment(around);
                let looked_before = std::mem::replace(&mut self.looked_at, moment);
                if self.unheard.is_some_and(|at| at >= looked_before) {
                    self.grace.doubt(moment);
                }
                let counts = self.grace.counts(moment, now, service.every());
                if !counts {
                    around.tally.count("sweep_in_grace");
                }
                let alone_since = self.joined.filter(|_| self.mine.is_alone());
                let alone_since = alone_since.map(|server| server.started_at);
                // Also in grace as if it were none: the rules have to spare the silent by themselves.
                let seeing = Sight {
                    at: now,
                    grace: false,
                    alone_since,
                    steps: self.grace.steps(),
                };
                let query = look_for_lost(&around.policy, seeing);
                let candidates = self.mine.read(query);
                let sight = Sight {
                    grace: !counts,
                    ..seeing
                };
                if let Some(expire) = take_away(candidates, sight) {
                    around.tally.count("sweep_with_candidates");
                    self.seen_at.insert(now, around.now);
                    let caller = Caller {
                        about: About::Sweep(moment),
                        ..Caller::of(Who::Sweep(expire.clone()))
                    };
                    self.command(expire, caller, around);
                }
            }
            Service::Promote => {
                if self.promotes_at.is_none_or(|at| at > around.now) {
                    return;
                }
                self.promotes_at = None;
                let limit = STEP_ROWS_MAX;
                self.command(Promote { limit, skip: 0 }, caller, around);
            }
            Service::Prune => {
                let limit = STEP_ROWS_MAX;
                self.command(Prune { limit, skip: 0 }, caller, around);
                let before = self
                    .moment(around)
                    .saturating_sub(around.policy.worker_life);
                self.directory.drop_silent(before);
                let now = self.clock.now(around.now);
                let gone = self.mine.read(look_for_gone(&around.policy, now));
                if let Some(forget) = forget(gone) {
                    let caller = Caller::of(Who::Service(service));
                    self.command(forget, caller, around);
                }
                self.tidy(around);
            }
            Service::Tally => {
                self.write_down(around);
            }
            Service::Operate | Service::OperateOn => self.operate(around),
            Service::Retain => self.retain(around),
            Service::Join => self.command(
                Join {
                    held: self.joined,
                    alone: self.mine.is_alone(),
                },
                caller,
                around,
            ),
            Service::Poll => self.looks_again(around),
        }
        if !matches!(service, Service::Promote | Service::OperateOn) {
            self.plan(service, service.every(), around);
        }
    }

    /// The sweep is answered.
    pub(super) fn swept(
        &mut self,
        expire: &Expire,
        answer: &command::Answer,
        around: &mut Surroundings,
    ) {
        match answer {
            Ok(Ok(Done::Expire(expired))) if !expired.tasks.is_empty() => {
                around.tally.count("expire");
                let runs = expire.runs.iter().map(|(run, _)| *run);
                let taken =
                    runs.filter(|run| expire.sight.grace && expired.tasks.contains(&run.slot.task));
                around.ledger.losses.in_grace.extend(taken);
            }
            Err(_) => self.grace.doubt(self.moment(around)),
            _ => {}
        }
    }

    /// Another service's command is answered.
    pub(super) fn served(
        &mut self,
        service: Service,
        answer: &command::Answer,
        around: &mut Surroundings,
    ) {
        match answer {
            Ok(Ok(Done::Join(joined))) => {
                self.joined = Some(joined.server);
                around.tally.count("join");
            }
            Ok(Ok(Done::Promote(promoted))) if promoted.count > 0 => around.tally.count("promote"),
            Ok(Ok(Done::Forget(forgotten))) if forgotten.count > 0 => {
                around.tally.count("forget");
            }
            Ok(Ok(Done::Prune(pruned))) if pruned.count > 0 => around.tally.count("prune"),
            Ok(Ok(Done::Discard(discarded))) if discarded.count > 0 => {
                around.tally.count("discard");
            }
            Ok(Ok(Done::Free(freed))) if freed.count > 0 => around.tally.count("free"),
            Ok(Ok(Done::Clear(cleared))) if cleared.count > 0 => around.tally.count("clear"),
            Ok(Ok(Done::Proceed(after))) => self.proceeded(after.operation.as_ref(), around),
            _ => {}
        }
        if service == Service::Promote {
            let next = self.mine.read(Query::NextDue { skip: 0 }).next_due();
            let wait = next
                .filter(|_| answer.is_ok())
                .map_or(service.every(), |next| {
                    next.since(self.clock.now(around.now)).min(service.every())
                });
            self.promote_at(around.now + wait.max(Duration::from_millis(1)), around);
        }
    }
}
