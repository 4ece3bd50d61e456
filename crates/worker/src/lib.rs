//! The worker: claims tasks, runs them with an executor and reports what came of them.

pub mod runtime;
pub mod transport;

pub mod executor;
pub mod executors;
pub mod guardian;

mod line;
