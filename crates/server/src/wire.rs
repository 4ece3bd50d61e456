//! Between the wire types and the commands: one file a subject, each way once.

pub(crate) mod faults;
pub(crate) mod filter;
pub(crate) mod mend;
pub mod payload;

pub(crate) mod attempts;
pub(crate) mod explain;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod new_task;
pub(crate) mod operation;
pub(crate) mod queue;
pub(crate) mod result;
pub(crate) mod stats;
pub(crate) mod task;
pub(crate) mod worker;
