//! The verbs: one a file, what it needs and what it decides side by side.
//!
//! `needs` says what can be said beforehand, `more` what the loaded rows ask for besides, `decide` changes the view
//! or refuses. A verb knows nothing of SQL, HTTP or other servers.

pub mod cancel;
pub mod cancel_operation;
pub mod claim;
pub mod clear;
pub mod discard;
pub mod drain;
pub mod expire;
pub mod forget;
pub mod free;
pub mod heartbeat;
pub mod join;
pub mod kill;
pub mod leave;
pub mod operate;
pub mod patch;
pub mod proceed;
pub mod promote;
pub mod prune;
pub mod register;
pub mod report;
pub mod set_queue;
pub mod start;
pub mod submit;
pub mod tally;

pub mod held;

mod caller;
mod once;
mod unique;
