//! The `taskyard` binary: server, worker and command line in one.
fn main() {}
