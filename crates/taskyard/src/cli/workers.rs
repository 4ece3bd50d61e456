//! What can be done with workers.

use clap::{Args, Subcommand};

use super::client::Connection;
use crate::settings::units::worker;

#[derive(Debug, Subcommand)]
pub(crate) enum WorkerVerb {
    /// Lists them, as `taskyard workers` alone does.
    #[command(after_help = "Example:\n  taskyard workers list --all")]
    List(ListWorkersArgs),
    /// Shows one with what it holds.
    #[command(after_help = "Example:\n  taskyard workers show worker-1")]
    Show(WorkerNameArgs),
    /// Gives it nothing more: it finishes what it holds and leaves.
    #[command(
        after_help = "A process that registers under its name works again. Of an internal \
                      worker the server wants one less from then on; `taskyard workers scale` brings it back.\n\nExample:\n  taskyard workers drain worker-3"
    )]
    Drain(WorkerNameArgs),
    /// Ends it at once; what it holds runs elsewhere, at no cost to the tasks.
    #[command(
        after_help = "Exclusive tasks wait until its leases of them end. Of an internal worker the server wants one less \
                      from then on; `taskyard workers scale` brings it back.\n\n\
                      Example:\n  taskyard workers kill worker-2"
    )]
    Kill(WorkerNameArgs),
    /// Takes it out of all lists, if it is offline, or drained and holds nothing.
    #[command(after_help = "Example:\n  taskyard workers delete worker-2")]
    Delete(WorkerNameArgs),
    /// Sets how many internal workers the server that answers has.
    #[command(
        after_help = "More begin at once; those that are too many finish what they hold and leave. While they are stopped it \
                      is what `start` brings.\n\nExample:\n  taskyard workers scale 5"
    )]
    Scale(ScaleArgs),
    /// Has the internal workers of the server that answers work again.
    #[command(after_help = "Example:\n  taskyard workers start")]
    Start(InsideArgs),
    /// Lets the internal workers of the server that answers finish what they hold and leave, until they are started.
    #[command(after_help = "Example:\n  taskyard workers stop")]
    Stop(InsideArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListWorkersArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Those too that have been silent for long.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WorkerNameArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Its name, as `taskyard workers` shows it.
    #[arg(value_name = "WORKER", value_parser = worker)]
    pub(crate) worker: String,
}

#[derive(Debug, Args)]
pub(crate) struct ScaleArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How many, 0 to 50.
    #[arg(value_name = "N", value_parser = workers_inside)]
    pub(crate) count: i64,
}

fn workers_inside(text: &str) -> Result<i64, String> {
    let count = text.parse().ok().filter(|count| (0..=50).contains(count));
    count.ok_or_else(|| "expected a whole number from 0 to 50".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct InsideArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
}
