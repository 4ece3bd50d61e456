//! What a seed stands for: how many take part, how bad the network and the database are, and with which times.

use std::time::Duration;

use taskyard_core::policy::Policy;
use taskyard_core::random::Seeded;
use taskyard_core::retention::Retention;
use taskyard_core::retry::Retry;
use taskyard_store::model::weak::Weakness;

/// What the servers stand on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Store {
    /// The weak model, for several servers.
    Weak,
    /// SQLite in memory, for one.
    Sqlite,
}

/// How often, in a thousand messages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) late: u64,
    /// Of the hints between servers.
    pub(crate) hints_lost: u64,
    /// Of the answers: nobody waits for it any more.
    pub(crate) hung_up: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) store: Store,
    pub(crate) servers: usize,
    pub(crate) workers: usize,
    pub(crate) clients: usize,
    /// How many leases a worker holds at most.
    pub(crate) capacity: usize,
    pub(crate) network: Rates,
    pub(crate) weakness: Weakness,
    /// How long it takes on average until the next somebody dies, pauses or goes away.
    pub(crate) fault_every: Duration,
    /// How long a client waits on average between two requests.
    pub(crate) ask_every: Duration,
    /// How far behind the true time the servers' readings of the database's are at most.
    pub(crate) clock_lag: Duration,
    /// How far the clocks of workers and clients are off, either way, at most.
    pub(crate) clock_error: Duration,
    /// The first worker runs within the server's process.
    pub(crate) internal: bool,
    /// How many commands may wait for the database at each server.
    pub(crate) commands_max: usize,
    /// No clock is set, and no machine sleeps: some promises are of such times only.
    pub(crate) is_steady: bool,
    /// How long tasks are kept that have ended, of queues that do not say.
    pub(crate) retention: Retention,
    /// Commands that came by the `taskmaster` routes are run by nobody.
    pub(crate) refuses: bool,
}

impl Options {
    pub(crate) fn of(seed: u64, store: Store) -> Self {
        let mut random = Seeded::new(seed);
        let mut from = |low: u64, high: u64| low + random.below(high - low + 1);
        let servers = from(1, 4);
        let clients = from(1, 3);
        Self {
            seed,
            store,
            servers: match store {
                Store::Weak => usize::try_from(servers).expect("a few"),
                Store::Sqlite => 1,
            },
            workers: usize::try_from(from(2, 5)).expect("a few"),
            clients: usize::try_from(clients).expect("a few"),
            capacity: usize::try_from(from(1, 5)).expect("a few"),
            network: Rates {
                lost: from(0, 60),
                doubled: from(0, 60),
                late: from(0, 100),
                hints_lost: from(0, 500),
                hung_up: from(0, 30),
            },
            weakness: Weakness {
                pause: from(50, 500),
                stall: from(0, 10),
                tear: from(0, 500),
                missed_row: from(0, 100),
                unavailable: from(0, 5),
                conflict: from(0, 30),
                unknown_written: from(0, 30),
                unknown_not_written: from(0, 30),
                old_read: from(0, 300),
                refused: from(0, 40),
            },
            fault_every: Duration::from_millis(from(2_000, 10_000)),
            ask_every: Duration::from_millis(clients * from(700, 3_000)),
            clock_lag: match store {
                Store::Weak => Duration::from_millis(from(0, 50)),
                Store::Sqlite => Duration::ZERO,
            },
            clock_error: Duration::from_millis(from(0, 4_000)),
            internal: store == Store::Sqlite && from(0, 1) == 1,
            commands_max: usize::try_from(from(1, 16)).expect("a few"),
            is_steady: from(0, 2) == 0,
            retention: Retention {
                completed: Some(Duration::from_secs(from(0, 80))),
                cancelled: Some(Duration::from_secs(from(0, 80))),
                ..Retention::default()
            },
            refuses: from(0, 1) == 1,
        }
    }
}

/// Times a tenth of the usual ones and low limits, so that a short history meets all of them.
pub(crate) fn policy(options: &Options) -> Policy {
    Policy {
        commands_max: options.commands_max,
        heartbeat: Duration::from_secs(1),
        heartbeat_ttl: Duration::from_secs(3),
        lease: Duration::from_millis(7_500),
        lease_max: Duration::from_millis(7_500),
        timeout: Duration::from_secs(20),
        timeout_margin: Duration::from_secs(1),
        priority_level: Duration::from_secs(2),
        max_attempts: 3,
        max_losses: 3,
        retry: Retry {
            backoff: Duration::from_millis(200),
            max: Duration::from_secs(3),
            ..Retry::default()
        },
        suspect_patience: Duration::from_secs(1),
        commands_bytes_max: 1 << 20,
        lanes_max: 9,
        queues_max: 10,
        operations_max: 2,
        operation_life: Duration::from_secs(20),
        workers_max: 100,
        stats_lanes_max: 2,
        retention: options.retention,
        claim_bytes_max: 100,
        history_max: 3,
        log_bytes_max: 4 << 20,
        log_line_bytes_max: 16 << 10,
        key_life: Duration::from_secs(60),
        clock_skew: Duration::from_secs(5),
        server_ttl: Duration::from_secs(3),
        poll: Duration::from_secs(1),
        worker_life: Duration::from_secs(6),
        commands_refused: options.refuses.then_some("none may be run"),
    }
}

/// How far a database's clock is off at most, either way. Keys and ids are known long enough that none of them is
/// forgotten over it while somebody may still send it.
pub(crate) const DATABASE_CLOCK_ERROR_MS: u64 = 10_000;

/// How long nobody is declared lost after a server's start or pause.
pub(crate) const GRACE: Duration = Duration::from_secs(2);
