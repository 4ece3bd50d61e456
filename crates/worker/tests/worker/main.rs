//! The worker from outside: its executors with real processes, its runtime with a server that does as the test says.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod executors;
mod processes;
mod runtime;
