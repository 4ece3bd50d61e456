//! The worker from outside: its executors with real processes.

mod executors;
mod processes;
