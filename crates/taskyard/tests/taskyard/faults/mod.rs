//! Real processes, killed, paused and restarted in the middle of real work.

mod commands;
mod databases;
mod servers;
mod workers;
