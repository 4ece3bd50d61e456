//! The faults, numbered as docs/reliability.md tells of them. A test's name begins with the number, so that
//! `make faults ONLY=F11` finds it; those that are ignored are of the whole set.

mod databases;
mod failover;
mod network;
mod patroni;
mod servers;
mod workers;

use std::time::Duration;

use crate::campaign::{Trial, is_whole, seeds};
use crate::load::Plan;
use crate::postgres::{self, Node};

/// How long a server may take no write because another one is paused, or cut off, in the middle of a transaction: as long
/// as the database leaves that open (`idle_in_transaction_session_timeout`, 5 s), and a little.
const STANDS_STILL_MAX: Duration = Duration::from_secs(7);

/// One of these for the whole set, the other for the short one.
fn whole_or_short<T>(whole: T, short: T) -> T {
    if is_whole() { whole } else { short }
}

/// Runs it once for each seed.
async fn rounds(fault: &'static str, variant: &'static str, one: impl AsyncFn(Trial)) {
    for seed in seeds() {
        one(Trial::new(fault, variant, seed)).await;
    }
}

/// The same where PostgreSQL is installed.
async fn rounds_on_postgres(fault: &'static str, variant: &'static str, one: impl AsyncFn(Trial)) {
    if postgres::is_installed() {
        rounds(fault, variant, one).await;
    }
}

/// A database server, and so many servers on it, each with a worker process beside it.
async fn on_postgres(trial: &mut Trial, servers: usize) {
    let node = Node::new(&trial.path("primary.log"), &[]);
    let url = node.url();
    trial.stage.nodes.push(node);
    served(trial, &url, servers).await;
}

async fn served(trial: &mut Trial, database: &str, servers: usize) {
    // Each reads the database's clock for itself, a moment after it was told.
    trial.judge.clocks_apart = Duration::from_secs(1);
    for _ in 0..servers {
        trial
            .stage
            .serve(database, &["--internal-workers", "0"])
            .await;
    }
    for server in 0..servers {
        trial
            .stage
            .work(server, &["--concurrency", "8", "--kinds", "echo,sleep"]);
    }
}

/// More callers than usual, for faults in which most of them wait in vain.
fn crowd() -> Plan {
    Plan {
        submitters: 16,
        ..Plan::default()
    }
}
