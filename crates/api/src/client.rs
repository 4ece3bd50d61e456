//! The Rust client: one method a route, typed both ways.
//!
//! A client is a cheap handle on a pool of connections. With several servers it speaks to the one that served last, until
//! that one cannot be reached, does not answer in time, breaks off, or says that it cannot serve now (503) or stops; then to
//! the next; all of them serve the same tasks. Each is asked once for one call, then the call fails
//! ([`Error::Several`]). What the one before may have done it says to the next only where said twice it means the same: for
//! a submit without an id, or a retry, it makes a key of its own then. Anything else is the caller's to repeat, or not
//! ([`Error::is_worth_repeating`], [`Error::may_be_done`]). Its token goes to these servers alone.

mod answer;
mod environment;
mod error;
mod follow;
mod logs;
mod operations;
mod ops;
mod queues;
mod servers;
mod tasks;
mod transport;
mod workers;

pub use error::{Error, Tried};
pub use follow::Following;
pub use reqwest::Url;
pub use transport::Client;
