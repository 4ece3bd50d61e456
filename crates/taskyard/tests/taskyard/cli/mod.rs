//! What people type, and what they read.

mod again;
mod bench;
mod bulk;
mod damage;
mod documents;
mod flags;
mod listing;
mod logs;
mod lost;
mod missing;
mod names;
mod nonsense;
mod open_files;
mod queues;
mod refused;
mod settings;
mod starting;
mod tasks;
mod terminals;
mod waiting;
mod workers;
