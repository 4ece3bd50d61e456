//! Gathers commands into batches, lets claims and readers wait, and keeps the services going.
//!
//! No rule stands here: what a command means is decided in `taskyard-core`, over rows that a store loads. Nothing
//! here is durable either; a server that dies loses waiting callers and nothing else.

pub mod desk;
pub mod directory;
pub mod engine;
pub mod error;
pub mod gathered;
pub mod grace;
pub mod hearing;
pub mod metrics;
pub mod pool;
pub mod room;
pub mod services;
pub mod upkeep;

mod due;
mod follows;
mod outage;
mod waits;
