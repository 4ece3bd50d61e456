//! What goes on in the background. Each service is a `run_once`, which says what it did, and a thin loop around it in
//! [`crate::upkeep`].
//!
//! None needs a leader: services read candidates and send ordinary commands, which judge again under the lock.

pub mod forget;
pub mod free;
pub mod operations;
pub mod orphans;
pub mod promote;
pub mod prune;
pub mod retain;
mod steps;
pub mod sweep;
pub mod tally;

pub use self::steps::Steps;

/// How many rows one step of a service touches at most.
pub const STEP_ROWS_MAX: usize = 500;
