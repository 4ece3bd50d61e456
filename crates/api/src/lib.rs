//! The wire types of the HTTP API and the Rust client for it.
