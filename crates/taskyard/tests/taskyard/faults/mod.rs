//! Real processes, killed, paused and restarted in the middle of real work.

mod commands;
mod databases;
mod demo;
mod logs;
mod servers;
mod workers;
