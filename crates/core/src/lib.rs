//! The rules of Taskyard: what each command needs, and what it decides over the rows it was given.
//!
//! Nothing here does I/O, knows a clock, draws random numbers of its own or waits: time, ids and randomness come in
//! as arguments. So the rules cannot fail for outside reasons, and their tests need nothing. Stores move the rows
//! (`taskyard-store`); the engine gathers commands into batches and wakes who waits (`taskyard-engine`).

pub mod counter;
pub mod filter;
pub mod id;
pub mod json;
pub mod labels;
pub mod lane;
pub mod minute;
pub mod name;
pub mod operation;
pub mod order;
pub mod policy;
pub mod queue;
pub mod random;
pub mod retention;
pub mod retry;
pub mod shell;
pub mod status;
pub mod time;
mod variants;
pub mod worker;

pub mod slot;

pub mod diff;
pub mod needs;
pub mod rows;
pub mod view;

pub mod command;
pub mod hints;
pub mod refused;
pub mod topic;
pub mod verbs;

pub mod explain;
pub mod log;
mod moves;
pub mod query;
mod standing;
pub mod store;
