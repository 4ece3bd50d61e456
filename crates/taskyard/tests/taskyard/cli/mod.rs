//! What people type, and what they read.

mod lost;
mod settings;
mod starting;
mod tasks;
