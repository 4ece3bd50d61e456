//! The stores from outside: one suite that each must pass.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops where it is"
)]

mod conformance;
