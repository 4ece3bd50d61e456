//! The deterministic simulation: several servers, workers and clients in one thread and in virtual time, around the
//! weak model or SQLite in memory, with everything that can go wrong; the promises are checked after each commit, and
//! once faults have stopped everything must end.
//!
//! A history is its seed. One that fails is printed with the command that plays it again, exactly.
//! `TASKYARD_SIMULATE_SEEDS` and `TASKYARD_SIMULATE_STEPS` say how many histories of how many steps are played, and
//! `TASKYARD_SIMULATE_SEED` plays a single one.

mod client;
mod database;
mod faults;
mod invariants;
mod known;
mod ledger;
mod network;
mod options;
mod server;
mod surroundings;
mod tally;
mod worker;
mod world;

use crate::faults::Fault;
use crate::options::{Options, Store};
use crate::tally::Tally;
use crate::world::World;

const SEEDS: u64 = 200;
const STEPS: u64 = 500;
/// Tests run beside each other; each takes every so many-th seed, enough of them to meet what is rare.
const SHARES: u64 = 2;

/// Says how to see a history again that ended badly.
struct Replay {
    seed: u64,
    steps: u64,
    test: &'static str,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, steps, test } = self;
            eprintln!(
                "replay with: TASKYARD_SIMULATE_SEED={seed} TASKYARD_SIMULATE_STEPS={steps} \
                 cargo test -p taskyard-engine --test simulation -- {test} --nocapture"
            );
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")),
    )
}

fn steps() -> u64 {
    setting("TASKYARD_SIMULATE_STEPS").unwrap_or(STEPS)
}

/// Plays one history; answers what happened in it, and the trace by which it is known.
fn play(seed: u64, store: Store, test: &'static str) -> (Tally, u64) {
    let steps = steps();
    let _replay = Replay { seed, steps, test };
    let options = Options::of(seed, store);
    // Shown when the test fails, or with --nocapture.
    eprintln!("{options:?}");
    let mut world = World::new(options);
    for _ in 0..steps {
        world.step();
    }
    world.calm_down();
    (world.tally(), world.trace())
}

/// Plays this share of the seeds and shows what happened.
fn play_share(share: u64, of: u64, every: u64, store: Store, test: &'static str) -> Tally {
    let single = setting("TASKYARD_SIMULATE_SEED");
    let last = setting("TASKYARD_SIMULATE_SEEDS").unwrap_or(SEEDS) / every;
    let seeds = match single {
        Some(seed) => seed..=seed,
        None => 1..=last.max(of),
    };
    let mut tally = Tally::default();
    for seed in seeds.filter(|seed| single.is_some() || seed % of == share) {
        tally.add(play(seed, store, test).0.into_counts());
    }
    eprintln!("{test}:\n   {tally}");
    if single.is_none() && steps() >= STEPS {
        check_nothing_is_idle(&tally, store);
    }
    tally
}

/// Every verb, every ending, every fault and every weakness must have happened, or the histories show nothing.
fn check_nothing_is_idle(tally: &Tally, store: Store) {
    let faults = Fault::ALL.map(Fault::name);
    let everywhere = EVERYWHERE.iter().chain(&faults);
    let weak = WITH_SEVERAL_SERVERS.iter().filter(|_| store == Store::Weak);
    let missing: Vec<_> = everywhere
        .chain(weak)
        .filter(|what| tally.of(what) == 0)
        .collect();
    assert!(missing.is_empty(), "these never happened: {missing:?}");
}

const EVERYWHERE: [&str; 31] = [
    "submit",
    "cancel",
    "read",
    "register",
    "claim",
    "start",
    "heartbeat",
    "report",
    "join",
    "promote",
    "expire",
    "prune",
    "run",
    "ended_completed",
    "ended_failed",
    "ended_timeout",
    "ended_cancelled",
    "question_is_lost",
    "answer_is_lost",
    "message_is_doubled",
    "message_is_late",
    "answer_comes_too_late_or_twice",
    "claim_is_sent_again",
    "report_is_sent_again",
    "request_is_sent_again",
    "waiting_claim_is_repeated",
    "stale_result_is_refused",
    "key_with_another_body",
    "id_with_another_body",
    "id_of_another_day",
    "task_kills_its_worker",
];

const WITH_SEVERAL_SERVERS: [&str; 13] = [
    "hint_is_lost",
    "worker_is_looked_up_again",
    "unknown_submit_is_sent_again",
    "pick_misses_a_free_row",
    "pick_passes_over_a_locked_row",
    "lock_is_waited_for",
    "row_goes_while_it_is_waited_for",
    "deadlock_is_broken",
    "commit_meets_an_insert",
    "commit_conflicts",
    "commit_is_unknown_and_was_written",
    "commit_is_unknown_and_was_not_written",
    "read_is_old",
];

macro_rules! shares {
    ($($test:ident => $share:literal),*) => {
        $(#[test]
        fn $test() {
            play_share($share, SHARES, 1, Store::Weak, stringify!($test));
        })*
    };
}

shares! {
    histories_of_several_servers_1 => 0,
    histories_of_several_servers_2 => 1
}

/// Fewer, for each statement takes its time.
#[test]
fn histories_of_one_server_on_sqlite() {
    play_share(0, 1, 10, Store::Sqlite, "histories_of_one_server_on_sqlite");
}

#[test]
fn a_seed_replays_exactly() {
    for store in [Store::Weak, Store::Sqlite] {
        let traces = [0; 2].map(|_| play(7, store, "a_seed_replays_exactly").1);

        assert_eq!(traces[0], traces[1], "two plays of one seed differ");
    }
}
