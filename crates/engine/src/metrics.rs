//! What the engine counts of what it does, for whoever watches it.
//!
//! It counts where a batch's answers and changed topics are at hand, so nothing is read for it, and on handles that it
//! keeps, one set a kind of tasks: a count is a look at a small table and an addition. The same counts, by minute and lane, are
//! what rates are read from ([`Gathered`]).

mod tally;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

pub(crate) use self::tally::{Noted, Tally};

/// How many kinds are told apart unless somebody says otherwise.
pub const KINDS_MAX: usize = 100;
/// What stands for all kinds beyond those.
pub const OTHER: &str = "other";

const TASK_SECONDS: [f64; 18] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 900.0, 3600.0,
];
const COMMIT_SECONDS: [f64; 14] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
const COMMANDS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfKind {
    kind: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfOutcome {
    kind: String,
    outcome: &'static str,
}

type Histograms = Family<OfKind, Histogram, fn() -> Histogram>;

/// The counters of one engine, shared with whoever shows them.
pub struct Metrics {
    kinds_max: AtomicUsize,
    submitted: Family<OfKind, Counter>,
    ended: Family<OfOutcome, Counter>,
    waited: Histograms,
    ran: Histograms,
    batch_commands: Histogram,
    batch_commit: Histogram,
    batches_failed: Counter,
    leases_lost: Counter,
    late_results: Counter,
    parked: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            kinds_max: AtomicUsize::new(KINDS_MAX),
            submitted: Family::default(),
            ended: Family::default(),
            waited: Family::new_with_constructor(task_seconds),
            ran: Family::new_with_constructor(task_seconds),
            batch_commands: Histogram::new(COMMANDS),
            batch_commit: Histogram::new(COMMIT_SECONDS),
            batches_failed: Counter::default(),
            leases_lost: Counter::default(),
            late_results: Counter::default(),
            parked: Gauge::default(),
        }
    }
}

fn task_seconds() -> Histogram {
    Histogram::new(TASK_SECONDS)
}

impl Metrics {
    /// Tells at most so many kinds apart, those that come first; the others are counted together, as `other`. Kinds that
    /// have been told apart before stay so.
    pub fn tell_apart(&self, kinds_max: usize) {
        self.kinds_max.store(kinds_max, Ordering::Relaxed);
    }

    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "taskyard_tasks_submitted",
            "Tasks that were submitted here",
            self.submitted.clone(),
        );
        registry.register(
            "taskyard_tasks_ended",
            "Tasks that ended here, by how",
            self.ended.clone(),
        );
        registry.register(
            "taskyard_task_wait_seconds",
            "From a task's submission until it was first given to a worker",
            self.waited.clone(),
        );
        registry.register(
            "taskyard_task_run_seconds",
            "The run that ended a task, from its start",
            self.ran.clone(),
        );
        registry.register(
            "taskyard_batch_commands",
            "Commands of a batch, which is one transaction",
            self.batch_commands.clone(),
        );
        registry.register(
            "taskyard_batch_commit_seconds",
            "From when a batch that wrote was handed to the database until it was durable",
            self.batch_commit.clone(),
        );
        registry.register(
            "taskyard_batches_failed",
            "Batches that the database did not take",
            self.batches_failed.clone(),
        );
        registry.register(
            "taskyard_leases_lost",
            "Leases that were taken away because their worker was silent, gone or too slow",
            self.leases_lost.clone(),
        );
        registry.register(
            "taskyard_late_results",
            "Results that were refused because their lease was no longer the newest",
            self.late_results.clone(),
        );
        registry.register(
            "taskyard_claims_parked",
            "Claims that wait for work",
            self.parked.clone(),
        );
    }

    pub(crate) fn parked(&self, claims: usize) {
        self.parked.set(i64::try_from(claims).unwrap_or(i64::MAX));
    }

    pub(crate) fn ran(&self, commands: usize, took: Duration, wrote: bool) {
        self.batch_commands.observe(commands as f64);
        if wrote {
            self.batch_commit.observe(took.as_secs_f64());
        }
    }

    pub(crate) fn failed(&self) {
        self.batches_failed.inc();
    }
}
