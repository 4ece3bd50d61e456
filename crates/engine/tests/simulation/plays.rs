//! Plays histories, as many at once as there are processors; says what they were made of, and how to see one again that
//! ended badly.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::breakdowns;
use crate::coverage;
use crate::options::{Options, Store};
use crate::tally::Tally;
use crate::world::{Trace, World};

const SEEDS: u64 = 200;
const STEPS: u64 = 500;

/// Plays every seed that is asked for, and shows what happened. What never happened is a failure, unless the histories
/// were shorter than usual, or a single one.
pub(crate) fn play_all(store: Store, test: &'static str) {
    if let Some(seed) = setting("TASKYARD_SIMULATE_SEED") {
        let (tally, trace) = play(seed, store, test);
        eprintln!(
            "{test}: seed {seed}, {} steps, {trace}\n   {tally}",
            steps()
        );
        return;
    }
    let seeds = setting("TASKYARD_SIMULATE_SEEDS").unwrap_or(SEEDS);
    let tally = play_seeds(seeds, store, test);
    // Shown when the test fails, or with --nocapture.
    eprintln!(
        "{test}: {seeds} seeds of {} steps each\n   {tally}",
        steps()
    );
    if seeds >= SEEDS && steps() >= STEPS {
        coverage::check(&tally, store);
    }
}

fn play_seeds(seeds: u64, store: Store, test: &'static str) -> Tally {
    let next = AtomicU64::new(1);
    let failed = AtomicBool::new(false);
    let play_some = || {
        let mut tally = Tally::default();
        while !failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > seeds {
                break;
            }
            let alarm = Alarm(&failed);
            tally.add(play(seed, store, test).0.into_counts());
            drop(alarm);
        }
        tally
    };
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let many = thread::available_parallelism().map_or(1, usize::from);
        let players: Vec<_> = (0..many).map(|_| scope.spawn(play_some)).collect();
        for player in players {
            let played = player.join().unwrap_or_else(|panic| resume_unwind(panic));
            tally.add(played.into_counts());
        }
    });
    tally
}

/// Plays one history; answers what happened in it, and the trace by which it is known.
pub(crate) fn play(seed: u64, store: Store, test: &'static str) -> (Tally, Trace) {
    let options = Options::of(seed, store);
    let trace = Rc::default();
    let _replay = Replay {
        options: options.clone(),
        test,
        trace: Rc::clone(&trace),
    };
    breakdowns::watch();
    let mut world = World::new(options, Rc::clone(&trace));
    for _ in 0..steps() {
        world.step();
    }
    world.calm_down();
    (world.tally(), trace.get())
}

/// Ends the others when one has failed.
struct Alarm<'a>(&'a AtomicBool);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Says how to see a history again that ended badly.
struct Replay {
    options: Options,
    test: &'static str,
    trace: Rc<Cell<Trace>>,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if thread::panicking() {
            let Self { options, test, .. } = self;
            eprintln!(
                "{options:?}\nended badly at {}\nreplay with: TASKYARD_SIMULATE_SEED={} TASKYARD_SIMULATE_STEPS={} \
                 cargo test -p taskyard-engine --test simulation -- {test} --nocapture",
                self.trace.get(),
                options.seed,
                steps(),
            );
        }
    }
}

fn steps() -> u64 {
    setting("TASKYARD_SIMULATE_STEPS").unwrap_or(STEPS)
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")),
    )
}
