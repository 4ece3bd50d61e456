//! What a batch needs, one statement a table: locks first and in the order of their keys, then what is only read, and
//! the picks, which wait for nobody, last.

use taskyard_core::needs::{Due, Hold, Needs};

use super::found::Part;
use super::merge::Reach;
use super::params::{Columns, Params};
use super::question::Question;
use super::rows::{key, minute, operation, place, task};
use super::session::Session;
use super::sql::LANE_LOCK;
use super::trip::Trip;

/// Inputs up to this many bytes come along with a pick; larger ones are read once it is known that they go out.
pub(super) const INPUT_WITH_PICK_MAX: i64 = 4096;

/// The statements of one load, and whose answers they bring.
pub(super) struct Loads<'a> {
    pub(super) trip: Trip<'a>,
    pub(super) parts: Vec<Part>,
}

impl<'a> Loads<'a> {
    pub(super) fn of(session: &'a Session, needs: &'a Needs) -> Self {
        let mut trip = Trip::on(session);
        trip.begin();
        let parts = Vec::new();
        let mut loads = Self { trip, parts };
        loads.lock(needs);
        loads.read(needs);
        loads.pick(needs);
        loads
    }

    fn ask(&mut self, part: Part, statement: &'a Question, params: Params<'a>) {
        self.parts.push(part);
        self.trip.ask(statement, params);
    }

    fn ask_for<K>(
        &mut self,
        part: Part,
        keys: &'a [K],
        statement: &'a Question,
        params: impl FnOnce(&'a [K]) -> Params<'a>,
    ) {
        if !keys.is_empty() {
            self.ask(part, statement, params(keys));
        }
    }

    fn lock(&mut self, needs: &'a Needs) {
        let all = &self.trip.session.statements;
        if needs.servers {
            self.ask(Part::Servers, &all.server_lock, Params::default());
        }
        if !needs.lanes.is_empty() {
            self.parts.push(Part::LanesHeld);
            self.trip.say(LANE_LOCK);
            self.ask(Part::Lanes, &all.lane_load, key::lane_keys(&needs.lanes));
            self.ask(Part::LastLane, &all.lane_last, Params::default());
        }
        if needs.queues {
            self.ask(Part::Queues, &all.queue_lock, Params::default());
        }
        let (keys, statement) = (&needs.operations, &all.operation_lock);
        self.ask_for(Part::Operations, keys, statement, operation::operation_keys);
        self.workers(needs, Hold::Lock, &all.worker_lock);
        let (keys, statement) = (&needs.scheduled, &all.scheduled_lock);
        self.ask_for(Part::Scheduled, keys, statement, place::scheduled_keys);
        let (keys, statement) = (&needs.ready, &all.ready_lock);
        self.ask_for(Part::Ready, keys, statement, place::ready_keys);
        self.leases(needs, Hold::Lock, &all.lease_lock);
        let (keys, statement) = (&needs.uniques, &all.unique_lock);
        self.ask_for(Part::Uniques, keys, statement, key::unique_keys);
        let (keys, statement) = (&needs.idempotency, &all.idempotency_lock);
        self.ask_for(Part::Idempotency, keys, statement, key::idempotency_keys);
        let server = self.trip.session.server;
        let (keys, statement) = (&needs.minutes, &all.minute_lock);
        self.ask_for(Part::Minutes, keys, statement, |keys| {
            minute::minute_keys(server, keys)
        });
    }

    fn read(&mut self, needs: &'a Needs) {
        let all = &self.trip.session.statements;
        let (keys, statement) = (&needs.relics, &all.relic_lock);
        self.ask_for(Part::Relics, keys, statement, task::task_keys);
        if needs.paused {
            self.ask(Part::Paused, &all.queue_paused, Params::default());
        }
        self.workers(needs, Hold::Read, &all.worker_load);
        self.leases(needs, Hold::Read, &all.lease_load);
        self.ask_for(Part::Tasks, &needs.tasks, &all.task_load, task::task_keys);
        let (keys, statement) = (&needs.carries, &all.carry_load);
        self.ask_for(Part::Carries, keys, statement, place::slot_keys);
        let (keys, statement) = (&needs.outcomes, &all.outcome_load);
        self.ask_for(Part::Outcomes, keys, statement, task::task_keys);
        if needs.last_worker {
            self.ask(Part::LastWorker, &all.worker_last, Params::default());
        }
        if let Some(max) = needs.live_workers {
            let params = Params::default().and(limit(max));
            self.ask(Part::LiveWorkers, &all.worker_live, params);
        }
        if let Some(max) = needs.open_operations {
            let params = Params::default().and(limit(max));
            self.ask(Part::OpenOperations, &all.operation_open_count, params);
        }
        let (keys, statement) = (&needs.leases_of, &all.lease_of_worker);
        self.ask_for(Part::LeasesOf, keys, statement, |keys| {
            Columns::of(keys).column(|worker| worker.0).params()
        });
    }

    fn workers(&mut self, needs: &'a Needs, hold: Hold, statement: &'a Question) {
        let names = needs.workers.iter().filter(|(_, wanted)| *wanted == hold);
        let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
        if !names.is_empty() {
            self.ask(Part::Workers, statement, Params::default().and(names));
        }
    }

    fn leases(&mut self, needs: &'a Needs, hold: Hold, statement: &'a Question) {
        let slots = needs.leases.iter().filter(|(_, wanted)| *wanted == hold);
        let (ids, slots): (Vec<_>, Vec<_>) = slots
            .map(|(slot, _)| (slot.task.as_uuid(), slot.slot.0))
            .unzip();
        let held = hold == Hold::Lock;
        if !ids.is_empty() {
            let params = Params::default().and(ids).and(slots);
            self.ask(Part::Leases { held }, statement, params);
        }
    }

    fn pick(&mut self, needs: &'a Needs) {
        let all = &self.trip.session.statements;
        for (index, pick) in needs.picks.iter().enumerate() {
            match pick.lanes[..] {
                [] => {}
                [(lane, first)] => {
                    let params = Params::default().and(lane.0).and(first.order_key.0);
                    let params = params.and(limit(pick.rows)).and(INPUT_WITH_PICK_MAX);
                    self.ask(Part::Pick(index), &all.ready_pick, params);
                }
                _ => {
                    let params = Reach::of(pick).params(pick);
                    self.ask(Part::Seen(index), &all.ready_seen, params);
                }
            }
        }
        if let Some(due) = needs.due {
            self.ask(Part::Due, &all.scheduled_due, rows_due(due));
        }
        if let Some(due) = needs.old_keys {
            self.ask(Part::OldKeys, &all.idempotency_old, rows_due(due));
        }
    }
}

fn rows_due(due: Due) -> Params<'static> {
    let params = Params::default().and(due.until.as_micros());
    params.and(limit(due.rows)).and(limit(due.skip))
}

pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
