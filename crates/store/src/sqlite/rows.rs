//! Rows on their way into SQLite, as the bound parameters of their statements. One file for each group of tables.

pub(super) mod history;
pub(super) mod key;
pub(super) mod minute;
pub(super) mod operation;
pub(super) mod place;
pub(super) mod presence;
pub(super) mod queue;
pub(super) mod task;
