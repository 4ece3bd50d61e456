//! The wire types of `/api/v1`, and the Rust client that speaks them.
//!
//! The types say how requests and answers are written, and nothing of what they mean: rules and ranges are checked by
//! the server with the types of `taskyard-core`. Requests refuse fields they do not know; answers ignore them, so that
//! an older client reads a newer server.
//!
//! Types that carry a payload have a parameter for it: the owned [`Raw`] where answers are read, a borrowed
//! [`serde_json::value::RawValue`] where a server reads a body it holds, [`payload::Payload`] where it answers, or
//! anything that serializes where a program writes its own values. No payload is ever taken apart on the way.

pub mod payload;
pub mod pool;
pub mod time;

pub mod attempt;
pub mod change;
pub mod explain;
pub mod health;
pub mod logs;
pub mod operation;
pub mod page;
pub mod queue;
pub mod stats;
pub mod submit;
pub mod task;

pub mod answered;
pub mod report;
pub mod run;
pub mod worker;

pub mod problem;
pub mod request;

pub mod client;

#[cfg(feature = "openapi")]
mod schema;

pub use payload::Raw;
