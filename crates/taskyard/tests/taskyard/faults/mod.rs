//! Real processes, killed, paused and restarted in the middle of real work.

mod backups;
mod behind;
mod bench;
mod commands;
mod databases;
mod demo;
mod inboxes;
mod leaving;
mod logs;
mod operations;
mod pooled;
mod postgres;
mod refusing;
mod resets;
mod servers;
mod several;
mod telling;
mod unheard;
mod workers;
