//! What people type, and what they read.

mod settings;
mod starting;
mod tasks;
