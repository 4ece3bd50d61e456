//! What `taskyard queues` takes.

use std::time::Duration;

use clap::{Args, Subcommand};
use taskyard_core::retention::Retention;

use super::backoff::BackoffArgs;
use super::client::{Connection, narrow};
use crate::commands::queues;
use crate::settings::units::{duration, queue, retention, whole};

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = format!("OLDEST is how long the task has been due that is next in turn.\n\n{}Example:\n  taskyard queues\n  \
                          taskyard queues pause images", narrow(&queues::COLUMNS))
)]
pub(crate) struct QueuesArgs {
    #[command(flatten)]
    pub(crate) list: ListQueuesArgs,
    #[command(subcommand)]
    pub(crate) verb: Option<QueueVerb>,
}

#[derive(Debug, Args)]
pub(crate) struct ListQueuesArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueVerb {
    /// Lists them, as `taskyard queues` alone does.
    #[command(after_help = "Example:\n  taskyard queues list")]
    List(ListQueuesArgs),
    /// Shows one: what waits in it and for how long, what is set of it, and what happened in it lately.
    #[command(
        after_help = "OLDEST is how long the task has been due that is next in turn. Rates are per second, and up to a second \
                      late; they are missing where nothing happened in the last hour, or more elsewhere than the server tells \
                      apart (--stats-lanes-max).\n\nExample:\n  taskyard queues show images"
    )]
    Show(QueueArgs),
    /// Gives nothing of it to workers; what they have goes on.
    #[command(after_help = "Example:\n  taskyard queues pause images")]
    Pause(QueueArgs),
    /// Gives its tasks to workers again.
    #[command(after_help = "Example:\n  taskyard queues resume images")]
    Resume(QueueArgs),
    /// Sets what its tasks take that do not say themselves, from now on.
    Set(SetQueueArgs),
}

#[derive(Debug, Args)]
pub(crate) struct QueueArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Its name, as tasks give it.
    #[arg(value_name = "QUEUE", value_parser = queue)]
    pub(crate) queue: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  taskyard queues set images --max-attempts 3 --timeout 5m\n  taskyard queues set images \
                  --timeout default\n  taskyard queues set images --backoff 5s --backoff-factor 3\n  taskyard queues set images --retain completed=7d"
)]
pub(crate) struct SetQueueArgs {
    #[command(flatten)]
    pub(crate) queue: QueueArgs,
    /// How many failed or timed out runs end a task; `default`: what the server says.
    #[arg(long, value_name = "N|default", value_parser = whole_or_default)]
    pub(crate) max_attempts: Option<OrDefault<i64>>,
    /// How long one run may take, such as 5m; `default`: what the server says.
    #[arg(long, value_name = "TIME|default", value_parser = time_or_default)]
    pub(crate) timeout: Option<OrDefault<Duration>>,
    /// How long a task waits after its first failure before it runs again, such as 5s, and at most --backoff-max; `default`:
    /// what the server says. These four are set as a whole: with one, the others have their own defaults. Default there: 1s.
    #[arg(long, value_name = "TIME|default", value_parser = time_or_default)]
    pub(crate) backoff: Option<OrDefault<Duration>>,
    #[command(flatten)]
    pub(crate) backoff_more: BackoffArgs,
    /// How long its tasks are kept once they have ended, such as 30d, forever, or completed=7d,failed=30d, with which those
    /// that are not named are kept for good; `default`: as the server says.
    #[arg(long, value_name = "TIMES|default", value_parser = retention_or_default)]
    pub(crate) retain: Option<OrDefault<Retention>>,
}

/// A value, or what the server says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrDefault<T>(pub(crate) Option<T>);

fn whole_or_default(text: &str) -> Result<OrDefault<i64>, String> {
    if text == "default" {
        return Ok(OrDefault(None));
    }
    whole(text).map(|value| OrDefault(Some(value)))
}

fn retention_or_default(text: &str) -> Result<OrDefault<Retention>, String> {
    if text == "default" {
        return Ok(OrDefault(None));
    }
    retention(text).map(|value| OrDefault(Some(value)))
}

fn time_or_default(text: &str) -> Result<OrDefault<Duration>, String> {
    if text == "default" {
        return Ok(OrDefault(None));
    }
    duration(text).map(|value| OrDefault(Some(value)))
}
