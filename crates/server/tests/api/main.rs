//! Requests to the router around a real engine, and to a real socket. The files mirror the URLs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod answers;
mod bodies;
mod damaged;
mod description;
mod dialects;
mod front;
mod heads;
mod health;
mod hostile;
mod inbox;
mod logs;
mod metrics;
mod ops;
mod page;
mod problems;
mod queues;
mod serve;
mod tasks;
mod trouble;
mod unreadable;
mod wire;
mod workers;
mod yard;
