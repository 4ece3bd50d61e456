//! What is true of PostgreSQL alone. The rules are tried by the conformance suite.

mod plans;
