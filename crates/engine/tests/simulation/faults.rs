//! What happens to servers, workers and connections. What happens to messages is in the network, what happens to
//! transactions in the weak model; every one of them is counted by its name.

use std::time::Duration;

use taskyard_store::model::weak::Trouble;

use crate::losses;
use crate::options::{DATABASE_CLOCK_ERROR_MS, Options, Store};
use crate::server::State;
use crate::surroundings::{Event, Surroundings};
use crate::world::World;

/// How long the database's clock is left alone once it was set: longer than servers take to read it and to sweep.
const BETWEEN_SETTINGS: Duration = Duration::from_secs(3);

taskyard_core::with_all! {
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) enum Fault {
        WorkerDiesAndComesBack,
        WorkerDiesAndIsAwayForLong,
        WorkerStopsPastItsLeaseThenReturns,
        /// Its name is taken while it still runs: the second process is the newest.
        AnotherProcessTakesTheWorkersName,
        WorkerHangsUp,
        ServerDiesAndComesBack,
        /// As at SIGTERM, with the workers inside of it first.
        ServerStopsInOrder,
        ServerStopsPastTheLeasesThenReturns,
        /// As one that waits for its disk: its transaction stays open.
        ServerStopsForAMoment,
        /// With its whole machine, whose count of the time stands still.
        ServerIsSuspended,
        ClientHangsUp,
        /// Takes nothing more, hands back what it holds, and goes.
        WorkerDrains,
        DatabaseIsAwayForAWhile,
        DiskIsFullForAWhile,
        /// The database's, or the machine's: it is off by so much from now on.
        ClockIsSetAhead,
        ClockIsSetBack,
        EverythingStopsForLong,
    }
}

impl Fault {
    /// Those that can happen to servers on this store.
    pub(crate) fn on(store: Store) -> impl Iterator<Item = Self> {
        let can_happen = move |fault: &Self| match fault {
            Self::ServerIsSuspended | Self::DatabaseIsAwayForAWhile => store == Store::Weak,
            _ => true,
        };
        Self::ALL.into_iter().filter(can_happen)
    }

    /// Somebody takes another time for the true one from then on.
    fn is_of_time(self) -> bool {
        matches!(
            self,
            Self::ServerIsSuspended | Self::ClockIsSetAhead | Self::ClockIsSetBack
        )
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WorkerDiesAndComesBack => "worker_dies_and_comes_back",
            Self::WorkerDiesAndIsAwayForLong => "worker_dies_and_is_away_for_long",
            Self::WorkerStopsPastItsLeaseThenReturns => "worker_stops_past_its_lease_then_returns",
            Self::AnotherProcessTakesTheWorkersName => "another_process_takes_the_workers_name",
            Self::WorkerHangsUp => "worker_hangs_up",
            Self::ServerDiesAndComesBack => "server_dies_and_comes_back",
            Self::ServerStopsInOrder => "server_stops_in_order",
            Self::ServerStopsPastTheLeasesThenReturns => {
                "server_stops_past_the_leases_then_returns"
            }
            Self::ServerStopsForAMoment => "server_stops_for_a_moment",
            Self::ServerIsSuspended => "server_is_suspended",
            Self::ClientHangsUp => "client_hangs_up",
            Self::WorkerDrains => "worker_drains",
            Self::DatabaseIsAwayForAWhile => "database_is_away_for_a_while",
            Self::DiskIsFullForAWhile => "disk_is_full_for_a_while",
            Self::ClockIsSetAhead => "clock_is_set_ahead",
            Self::ClockIsSetBack => "clock_is_set_back",
            Self::EverythingStopsForLong => "everything_stops_for_long",
        }
    }
}

/// Any of them, sooner or later.
pub(crate) fn plan_next(options: &Options, around: &mut Surroundings) {
    let most = u64::try_from(options.fault_every.as_millis()).expect("seconds") * 2;
    let wait = around.millis(1, most);
    let can_happen = |fault: &Fault| !(options.is_steady && fault.is_of_time());
    // As often as if they happened everywhere.
    let more = Fault::on(options.store).filter(|fault| fault.is_of_time());
    let all = Fault::on(options.store).chain(more);
    let faults: Vec<Fault> = all.filter(can_happen).collect();
    let fault = faults[around.below(faults.len())];
    around.after(wait, Event::Happens(fault));
    around.after(wait, Event::NextFault);
}

impl World {
    pub(crate) fn happens(&mut self, fault: Fault) {
        let worker = self.around.below(self.workers.len());
        let server = self.around.below(self.servers.len());
        let past_the_lease = self.around.policy.lease + self.around.millis(500, 4_000);
        let happened = match fault {
            Fault::WorkerDiesAndComesBack => {
                let away = self.around.millis(50, 2_000);
                self.worker_dies(worker, away)
            }
            Fault::WorkerDiesAndIsAwayForLong => self.worker_dies(worker, past_the_lease),
            Fault::WorkerStopsPastItsLeaseThenReturns => self.worker_stops(worker, past_the_lease),
            Fault::AnotherProcessTakesTheWorkersName => self.name_is_taken(worker),
            Fault::WorkerHangsUp => self.hang_up(self.workers[worker].node()),
            Fault::ServerDiesAndComesBack => {
                let away = self.around.millis(100, 5_000);
                self.server_dies(server, away)
            }
            Fault::ServerStopsInOrder => self.server_stops_in_order(server),
            Fault::ServerStopsPastTheLeasesThenReturns => {
                self.server_stops(server, past_the_lease, false)
            }
            Fault::ServerStopsForAMoment => {
                let away = self.around.millis(10, 1_500);
                self.server_stops(server, away, false)
            }
            Fault::ServerIsSuspended => self.server_stops(server, past_the_lease, true),
            Fault::ClientHangsUp => {
                let client = self.around.below(self.clients.len());
                self.hang_up(crate::network::Node::Client(client))
            }
            Fault::WorkerDrains => self.worker_drains(worker),
            Fault::DatabaseIsAwayForAWhile => self.database_is_in_trouble(Trouble::Away),
            Fault::DiskIsFullForAWhile => self.database_is_in_trouble(Trouble::Full),
            Fault::ClockIsSetAhead => self.clock_is_set(server, 1),
            Fault::ClockIsSetBack => self.clock_is_set(server, -1),
            Fault::EverythingStopsForLong => {
                for server in 0..self.servers.len() {
                    self.server_stops(server, past_the_lease, false);
                }
                for worker in 0..self.workers.len() {
                    self.worker_stops(worker, past_the_lease);
                }
                true
            }
        };
        if happened {
            self.around.tally.count(fault.name());
        }
    }

    pub(crate) fn worker_dies(&mut self, worker: usize, away: Duration) -> bool {
        if !self.workers[worker].alive {
            return false;
        }
        // Sometimes the servers see the connections break, sometimes they hear nothing.
        if self.around.happens(500) {
            self.hang_up(self.workers[worker].node());
        }
        self.workers[worker].forget();
        self.around.after(away, Event::WorkerReturns(worker));
        true
    }

    fn worker_stops(&mut self, worker: usize, pause: Duration) -> bool {
        let until = self.around.now + pause;
        let worker = &mut self.workers[worker];
        let happens = worker.alive && worker.holds_anything();
        if happens {
            worker.paused_until = until;
        }
        happens
    }

    fn worker_drains(&mut self, worker: usize) -> bool {
        let worker = &mut self.workers[worker];
        let happens = worker.alive;
        if happens {
            worker.drain(&mut self.around);
        }
        happens
    }

    fn clock_is_set(&mut self, server: usize, sign: i64) -> bool {
        let most = match self.options.store {
            Store::Weak => DATABASE_CLOCK_ERROR_MS,
            Store::Sqlite => 15_000,
        };
        let by = self.around.millis(1, most);
        let error = sign * i64::try_from(by.as_micros()).expect("seconds");
        if self.options.store == Store::Sqlite {
            self.servers[server].set_clock(error);
            return true;
        }
        // Twice at once, or while a machine sleeps or has just slept, it may seem to a server as if nothing had happened.
        let clock = &mut self.around.database_clock;
        let since = self.around.now - BETWEEN_SETTINGS;
        let is_new = clock.set_at.is_some_and(|at| at > since);
        let mut servers = self.servers.iter();
        if is_new || servers.any(|server| server.has_slept_since(since)) {
            return false;
        }
        if Duration::from_micros(error.abs_diff(clock.error)) > losses::NOTICED {
            clock.set_at = Some(self.around.now);
        }
        clock.error = error;
        true
    }

    fn database_is_in_trouble(&mut self, trouble: Trouble) -> bool {
        self.database.set_trouble(Some(trouble));
        let away = self.around.millis(100, 6_000);
        self.around.after(away, Event::DatabaseRecovers);
        true
    }

    /// The older process is told at its next call, and registers again in turn.
    fn name_is_taken(&mut self, worker: usize) -> bool {
        let happens = self.workers[worker].alive;
        if happens {
            self.workers[worker].is_replaced(&mut self.around);
        }
        happens
    }

    fn hang_up(&mut self, node: crate::network::Node) -> bool {
        for server in &mut self.servers {
            server.hang_up(node, &mut self.around);
        }
        true
    }

    fn server_dies(&mut self, server: usize, away: Duration) -> bool {
        let happens = self.servers[server].state == State::Up;
        if happens {
            if self.around.ledger.operations.running().next().is_some() {
                let what = "server_dies_in_the_midst_of_an_operation";
                self.around.tally.count(what);
            }
            self.servers[server].die();
            self.around.after(away, Event::ServerReturns(server));
            self.workers_inside_die(away);
        }
        happens
    }

    fn workers_inside_die(&mut self, away: Duration) {
        if self.workers[0].internal {
            // Its pool may be smaller when it comes back, and grow later.
            let later = self.around.millis(0, 8_000);
            self.worker_dies(0, away + later);
        }
    }

    /// The workers inside have a while to hand back what they hold.
    fn server_stops_in_order(&mut self, server: usize) -> bool {
        let happens = self.servers[server].state == State::Up;
        if happens {
            let has_inside = self.workers[0].internal && self.worker_drains(0);
            let most = if has_inside { 2_000 } else { 0 };
            let wait = self.around.millis(0, most);
            let life = self.servers[server].life;
            self.around
                .after(wait, Event::ServerLeaves { server, life });
        }
        happens
    }

    /// It has some time for it, and is killed when that is over.
    pub(crate) fn server_leaves(&mut self, server: usize) {
        if self.workers[0].internal && self.workers[0].alive {
            self.around
                .tally
                .count(if self.workers[0].holds_anything() {
                    "worker_inside_goes_with_work_in_hand"
                } else {
                    "worker_inside_goes_with_an_empty_hand"
                });
        }
        self.servers[server].leave(&mut self.around);
        let away = self.around.millis(500, 5_000);
        self.around.after(away, Event::ServerReturns(server));
        self.workers_inside_die(away);
    }

    fn server_stops(&mut self, server: usize, pause: Duration, suspended: bool) -> bool {
        let happens = self.servers[server].state == State::Up;
        if happens {
            self.servers[server].pause(suspended, &self.around);
            self.around.after(pause, Event::ServerReturns(server));
        }
        happens
    }
}
