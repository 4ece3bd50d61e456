//! Real processes, killed, paused and restarted in the middle of real work.

mod servers;
mod workers;
