//! `simple`: tasks with some data, claimed by name and completed by whoever has them.

pub(crate) mod task;
pub(crate) mod tasks;
pub(crate) mod workers;
