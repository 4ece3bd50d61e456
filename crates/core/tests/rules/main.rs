//! The rules from outside: tables, and random sequences against what must always hold.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops where it is"
)]

mod acts;
mod sequences;
mod tables;
mod task_states;
