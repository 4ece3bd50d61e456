//! The stores from outside: one suite that each must pass, and random histories.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops where it is"
)]

mod books;
mod by_hand;
mod cluster;
mod conformance;
mod database;
mod histories;
mod interleaved;
mod lists;
#[path = "../../../../tests/support/pooler.rs"]
mod pooler;
mod postgres;
mod sequences;
mod together;
mod upgrading;
