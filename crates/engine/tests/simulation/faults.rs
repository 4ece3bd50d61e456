//! What happens to servers, workers and connections. What happens to messages is in the network, what happens to
//! transactions in the weak model; every one of them is counted by its name.

use std::time::Duration;

use crate::server::State;
use crate::surroundings::{Event, Surroundings};
use crate::world::World;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    WorkerDiesAndComesBack,
    WorkerDiesAndIsAwayForLong,
    WorkerStopsPastItsLeaseThenReturns,
    /// Its name is taken while it still runs: the second process is the newest.
    AnotherProcessTakesTheWorkersName,
    WorkerHangsUp,
    ServerDiesAndComesBack,
    ServerStopsPastTheLeasesThenReturns,
    /// As one that waits for its disk: its transaction stays open.
    ServerStopsForAMoment,
    ClientHangsUp,
    EverythingStopsForLong,
}

impl Fault {
    pub(crate) const ALL: [Self; 10] = [
        Self::WorkerDiesAndComesBack,
        Self::WorkerDiesAndIsAwayForLong,
        Self::WorkerStopsPastItsLeaseThenReturns,
        Self::AnotherProcessTakesTheWorkersName,
        Self::WorkerHangsUp,
        Self::ServerDiesAndComesBack,
        Self::ServerStopsPastTheLeasesThenReturns,
        Self::ServerStopsForAMoment,
        Self::ClientHangsUp,
        Self::EverythingStopsForLong,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WorkerDiesAndComesBack => "worker_dies_and_comes_back",
            Self::WorkerDiesAndIsAwayForLong => "worker_dies_and_is_away_for_long",
            Self::WorkerStopsPastItsLeaseThenReturns => "worker_stops_past_its_lease_then_returns",
            Self::AnotherProcessTakesTheWorkersName => "another_process_takes_the_workers_name",
            Self::WorkerHangsUp => "worker_hangs_up",
            Self::ServerDiesAndComesBack => "server_dies_and_comes_back",
            Self::ServerStopsPastTheLeasesThenReturns => {
                "server_stops_past_the_leases_then_returns"
            }
            Self::ServerStopsForAMoment => "server_stops_for_a_moment",
            Self::ClientHangsUp => "client_hangs_up",
            Self::EverythingStopsForLong => "everything_stops_for_long",
        }
    }
}

/// Any of them, sooner or later.
pub(crate) fn plan_next(every: Duration, around: &mut Surroundings) {
    let most = u64::try_from(every.as_millis()).expect("seconds") * 2;
    let wait = around.millis(1, most);
    let fault = Fault::ALL[around.below(Fault::ALL.len())];
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
            Fault::ServerStopsPastTheLeasesThenReturns => self.server_stops(server, past_the_lease),
            Fault::ServerStopsForAMoment => {
                let away = self.around.millis(10, 1_500);
                self.server_stops(server, away)
            }
            Fault::ClientHangsUp => {
                let client = self.around.below(self.clients.len());
                self.hang_up(crate::network::Node::Client(client))
            }
            Fault::EverythingStopsForLong => {
                for server in 0..self.servers.len() {
                    self.server_stops(server, past_the_lease);
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
            self.servers[server].die();
            self.around.after(away, Event::ServerReturns(server));
        }
        happens
    }

    fn server_stops(&mut self, server: usize, pause: Duration) -> bool {
        let happens = self.servers[server].state == State::Up;
        if happens {
            self.servers[server].pause();
            self.around.after(pause, Event::ServerReturns(server));
        }
        happens
    }
}
