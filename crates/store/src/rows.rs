//! Rows as values, read in the order of the columns, whichever database they stand in; how each writes them is in its
//! own `rows`. One file for each group of tables, and the views that are made of several.

pub(crate) mod history;
pub(crate) mod key;
pub(crate) mod log;
pub(crate) mod minute;
pub(crate) mod operation;
pub(crate) mod place;
pub(crate) mod presence;
pub(crate) mod queue;
pub(crate) mod relic;
pub(crate) mod task;
pub(crate) mod view;
