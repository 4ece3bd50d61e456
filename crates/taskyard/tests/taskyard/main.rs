//! The binary from outside: real processes, a real file, real signals.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cli;
mod deploy;
mod description;
mod examples;
mod exchanges;
mod faults;
mod pages;
#[path = "../../../../tests/support/pooler.rs"]
mod pooler;
mod scaling;
mod shop;
mod terminal;
mod way;
mod yard;
