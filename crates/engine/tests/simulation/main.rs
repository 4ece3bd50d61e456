//! The deterministic simulation: several servers, workers and clients in one thread and in virtual time, around the
//! weak model or SQLite in memory, with everything that can go wrong; the promises are checked after each commit, and
//! once faults have stopped everything must end.
//!
//! A history is its seed. One that fails is printed with the command that plays it again, exactly.
//! `TASKYARD_SIMULATE_SEEDS` and `TASKYARD_SIMULATE_STEPS` say how many histories of how many steps are played, and
//! `TASKYARD_SIMULATE_SEED` plays a single one.

mod answers;
mod breakdowns;
mod changes;
mod client;
mod coverage;
mod database;
mod faults;
mod invariants;
mod keeping;
mod known;
mod ledger;
mod losses;
mod minutes;
mod network;
mod operations;
mod options;
mod patches;
mod plays;
mod presence;
mod queues;
mod server;
mod staff;
mod surroundings;
mod tally;
mod unique;
mod wanted;
mod worker;
mod world;

use crate::options::Store;

#[test]
fn histories_of_several_servers() {
    plays::play_all(Store::Weak, "histories_of_several_servers");
}

#[test]
fn histories_of_one_server_on_sqlite() {
    plays::play_all(Store::Sqlite, "histories_of_one_server_on_sqlite");
}

#[test]
fn a_seed_replays_exactly() {
    for store in [Store::Weak, Store::Sqlite] {
        let traces = [0; 2].map(|_| plays::play(7, store, "a_seed_replays_exactly").1);

        assert_eq!(traces[0], traces[1], "two plays of one seed differ");
    }
}
