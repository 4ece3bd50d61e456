//! `taskmaster`: commands that are run at a time, once, and the workers inside of the server that run them.

pub(crate) mod task;
pub(crate) mod tasks;
pub(crate) mod workers;
