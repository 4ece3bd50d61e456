//! Taskyard over HTTP: routes, limits and problem details around an engine.
//!
//! Every request goes through the [`front::Front`], which knows nothing of tasks: who may come in, a name for the
//! request, a line in the log, problems rendered alike. Behind it `router` lists the routes, and a handler parses,
//! sends one command and renders. No rule stands here and no state: what a request means is decided in
//! `taskyard-core`.

pub mod app;
pub mod front;
pub mod inbox;
pub mod serve;
pub mod settings;

pub mod openapi;
pub mod problem;

pub mod v1;

mod access;
mod body;
mod budget;
mod dialects;
mod docs;
mod health;
mod kept;
mod metrics;
mod page;
mod query;
mod request;
mod request_id;
mod response;
mod router;
mod token;
mod trouble;
mod watch;
mod wire;
mod worker_ids;

pub use access::Secret;
pub use trouble::logged;
pub use worker_ids::WorkerIds;
