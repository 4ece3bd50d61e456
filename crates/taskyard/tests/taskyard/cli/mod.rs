//! What people type, and what they read.

mod again;
mod bench;
mod bulk;
mod damage;
mod documents;
mod flags;
mod health;
mod listing;
mod logs;
mod lost;
mod missing;
mod names;
mod nonsense;
mod offered;
mod open_files;
mod queues;
mod refused;
mod settings;
mod several;
mod starting;
mod tasks;
mod terminals;
mod waiting;
mod workers;

use crate::yard::{Printed, Server, Yard, run};

/// What is typed at this server.
fn ask(yard: &Yard, server: &Server, arguments: &[&str]) -> Printed {
    run(
        yard.directory.path(),
        arguments,
        &[("TASKYARD_URL", &server.url)],
    )
}
