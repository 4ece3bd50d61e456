//! Rows on their way into PostgreSQL, and the keys they are loaded by, as one array a column. One file for each group of
//! tables.

pub(super) mod history;
pub(super) mod key;
pub(super) mod minute;
pub(super) mod operation;
pub(super) mod place;
pub(super) mod presence;
pub(super) mod queue;
pub(super) mod task;
