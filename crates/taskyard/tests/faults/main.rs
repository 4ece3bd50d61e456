//! Faults on purpose: real servers, workers and databases under load, one thing broken, healed, and a history that is
//! checked. `make faults` runs all of it, `make test` the short ones; docs/reliability.md tells what came of them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod campaign;
mod checker;
mod history;
mod load;
mod patroni;
mod postgres;
mod proxy;
mod scenarios;
mod stage;
#[allow(
    dead_code,
    reason = "of the other tests' words only some are needed here"
)]
#[path = "../taskyard/yard.rs"]
mod yard;
