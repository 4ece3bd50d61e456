//! The Rust client: one method a route, typed both ways.
//!
//! A client is a cheap handle on a pool of connections. With several servers it speaks to one of them until that one
//! cannot be reached, then to the next; all of them serve the same tasks. It repeats nothing by itself that may have
//! been received: whether a call is worth repeating is the caller's to judge ([`Error::is_worth_repeating`]).

mod environment;
mod error;
mod follow;
mod logs;
mod operations;
mod ops;
mod queues;
mod tasks;
mod transport;
mod workers;

pub use error::Error;
pub use follow::Following;
pub use reqwest::Url;
pub use transport::Client;
