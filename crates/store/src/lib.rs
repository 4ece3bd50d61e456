//! Taskyard's stores: SQLite and PostgreSQL, and the model they are compared with. They load and commit rows and
//! hold no rule; how a batch runs is written once, in `run`, over what each of them can do.

pub mod model;
pub mod postgres;
pub mod sqlite;
pub mod stats;

mod columns;
mod fields;
mod filter;
mod findings;
mod logs;
mod migration;
mod page;
mod queues;
mod rows;
mod run;
mod sources;
mod tx;

/// What the statements of a list are made of, for tests that look at the way they go.
#[doc(hidden)]
pub use sources::Known;

/// A new one, for a database that is made, emptied or put back.
fn incarnation(random: &mut dyn taskyard_core::random::Random) -> [u8; 16] {
    let bits = (u128::from(random.bits()) << 64) | u128::from(random.bits());
    bits.to_be_bytes()
}

/// Where a store takes its time from. It may go back; the time of the batches does not.
pub type Clock = std::sync::Arc<dyn Fn() -> taskyard_core::time::Timestamp + Send + Sync>;
