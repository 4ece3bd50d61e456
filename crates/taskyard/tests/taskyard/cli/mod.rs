//! What people type, and what they read.

mod flags;
mod lost;
mod settings;
mod starting;
mod tasks;
