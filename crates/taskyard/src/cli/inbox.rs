//! Which inboxes there are, and how long refused rows are kept in them.

use std::time::Duration;

use clap::Args;
use taskyard_store::postgres::inbox::Keep;

use crate::settings::units::moment;

/// Where inboxes are.
#[derive(Debug, Args)]
#[command(next_help_heading = "Inboxes")]
pub(crate) struct InboxArgs {
    /// A PostgreSQL database with an inbox: postgres://USER:PASSWORD@HOST/NAME. Tasks that are submitted there, with a
    /// transaction of somebody's own (`select taskyard.submit('resize')`), are taken over once it commits. May be said
    /// several times; in the variable with spaces between them.
    #[arg(
        long,
        env = "TASKYARD_INBOX",
        value_name = "URL",
        value_delimiter = ' ',
        hide_env_values = true
    )]
    pub(crate) inbox: Vec<String>,
}

/// What a server does with them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Inboxes")]
pub(crate) struct ServeInboxArgs {
    #[command(flatten)]
    pub(crate) inboxes: InboxArgs,
    /// How long refused rows are kept in an inbox, with their errors.
    #[arg(long, env = "TASKYARD_INBOX_KEEP", default_value = "30d", value_parser = moment, value_name = "TIME")]
    pub(crate) inbox_keep: Duration,
    /// How many refused rows are kept in an inbox; of more the oldest go.
    #[arg(long, env = "TASKYARD_INBOX_REFUSED_MAX", default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10_000_000))]
    pub(crate) inbox_refused_max: u32,
}

impl ServeInboxArgs {
    pub(crate) fn keep(&self) -> Keep {
        Keep {
            time: self.inbox_keep,
            rows_max: self.inbox_refused_max,
        }
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Without --apply or --drop the statements are printed, for psql or for whatever migrates that database; they \
                  may be run again. What rights whoever submits, and a server, needs there is told by docs/inbox.md.\n\n\
                  Example:\n  taskyard db inbox >inbox.sql"
)]
pub(crate) struct DbInboxArgs {
    /// Runs the statements that make an inbox, or bring an older one up to date, in the databases of --inbox.
    #[arg(long, conflicts_with = "drop")]
    pub(crate) apply: bool,
    /// Takes the inboxes of --inbox away.
    #[arg(long)]
    pub(crate) drop: bool,
    /// With --drop: also where rows stand, whose tasks are never run then.
    #[arg(long, requires = "drop")]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) inboxes: InboxArgs,
}
