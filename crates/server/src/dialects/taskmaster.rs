//! `taskmaster`: commands that are run at a time, once, and the workers inside of the server that run them.

pub(crate) mod task;
pub(crate) mod tasks;
pub(crate) mod workers;

/// The kind of commands where the server was started to run none: its workers fail each, and say what to do about it. It is
/// not `command`, of which those that came another way wait for workers outside. A server that runs commands runs what is
/// left of these, too.
pub const REFUSED_KIND: &str = "command-refused";
