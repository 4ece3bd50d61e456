//! What `taskyard patch` takes.

use std::time::Duration;

use clap::Args;
use taskyard_api::time::Time;

use super::client::Connection;
use super::task_name::TaskName;
use crate::settings::units::{duration, whole};

#[derive(Debug, Args)]
#[command(
    after_help = "What is not named stays as it is. What a worker has, or what has ended, is not changed any more.\n\n\
                  Example:\n  taskyard patch 01890a5d-ac96-774b-bcce-b302099a8057 --now\n  \
                  taskyard patch 01890a5d-ac96-774b-bcce-b302099a8057 --in 10m --priority 50"
)]
pub(crate) struct PatchArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Its id, as `taskyard list` shows it, or the beginning of it.
    #[arg(value_name = "TASK")]
    pub(crate) task: TaskName,
    /// As soon as a worker is free, also what waits to run again.
    #[arg(long, conflicts_with_all = ["at", "delay"])]
    pub(crate) now: bool,
    /// Not before this time, such as 2026-12-24T18:00:00Z.
    #[arg(long, value_name = "TIME", conflicts_with = "delay")]
    pub(crate) at: Option<Time>,
    /// Not before so much time has passed, such as 90s.
    #[arg(long = "in", id = "delay", value_parser = duration, value_name = "TIME")]
    pub(crate) delay: Option<Duration>,
    /// High runs first; one level is worth ten minutes of waiting. -100 to 100.
    #[arg(long, value_name = "N", value_parser = whole)]
    pub(crate) priority: Option<i64>,
}
