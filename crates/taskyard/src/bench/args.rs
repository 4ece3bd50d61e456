//! What is to be measured, and with what.

use std::time::Duration;

use clap::{Args, ValueEnum as _};

use super::peer;
use crate::cli::TokenArgs;
use crate::failure::Failure;
use crate::settings::units;

/// Shorter, hardly anything ends while it counts; longer, runs and workers would need heartbeats that nothing here sends.
const SECONDS_LEAST: Duration = Duration::from_millis(100);
const SECONDS_MOST: Duration = Duration::from_mins(1);
/// Smaller, there are workloads for which nothing is left; larger, there are none who compared.
const SCALE_LEAST: f64 = 0.001;
const SCALE_MOST: f64 = 1.0;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  taskyard bench --only W1,W2 --repeat 5\n  taskyard bench --only start,idle,queued\n  taskyard bench --database postgres://postgres@localhost/postgres"
)]
pub(crate) struct BenchArgs {
    /// sqlite:DIRECTORY, or the address of a PostgreSQL server on which databases may be made and dropped.
    #[arg(
        long,
        default_value = "sqlite:.",
        value_name = "URL",
        hide_env_values = true
    )]
    pub(super) database: String,
    /// A server that runs already, in place of one for each workload, spoken to without TLS; what it holds is added to. Its
    /// own workers do not get these tasks, which ask for a label that is made up each time.
    #[arg(long, value_name = "URL", conflicts_with = "database", value_parser = peer::address)]
    pub(super) server: Option<reqwest::Url>,
    #[command(flatten)]
    pub(super) token: TokenArgs,
    /// Only these workloads. Unless given, all but W9 and W12, and on SQLite W10 and W11; with --server also without those
    /// that have server processes of their own: start, idle, queued, W10 and W11.
    #[arg(long, value_delimiter = ',', value_name = "W…")]
    pub(super) only: Vec<Workload>,
    /// How often each is measured, 1 to 100.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100), allow_negative_numbers = true)]
    pub(super) repeat: u32,
    /// How long the workloads run that end by time, 100ms to 1m; idle looks on for four times as long, and W8 prints for
    /// 10s at most.
    #[arg(long, default_value = "3s", value_parser = seconds, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) seconds: Duration,
    /// How many tasks W2 and W8 drain, how many finished and how many scheduled ones W6 has lying about, how many
    /// finished and waiting ones W9, W12 and start, how many workers W11 has, how many tasks idle has run before, and how
    /// many wait in queued, 0.001 to 1; the largest is what figures are to be compared at.
    #[arg(long, default_value_t = 1.0, value_parser = scale, value_name = "SHARE", allow_hyphen_values = true)]
    pub(super) scale: f64,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "verbatim")]
pub(super) enum Workload {
    /// The engine alone, in process: 256 callers, each submits, claims and completes.
    W0,
    /// The same over 1,000 lanes.
    #[value(name = "W0-lanes")]
    W0Lanes,
    /// One producer, one connection, one task a call.
    W1,
    /// One task a call over 64 connections.
    W1x64,
    /// Batches of 1,000 over 4 connections.
    #[value(name = "W1-bulk")]
    W1Bulk,
    /// One worker process drains 200,000 queued `noop` tasks.
    W2,
    /// From submit to the result being known, one at a time on an idle system; and to the start.
    W3,
    /// 64 connections, each submits, claims and completes.
    W5x64,
    W5x256,
    /// Claims beside a million finished and a million scheduled tasks, over 1,000 lanes, and beside 100,000 tasks that
    /// this worker cannot run.
    W6,
    /// Heartbeats of 1,000 workers with ten leases each.
    W7,
    /// Lines of logs, handed in by one worker for four runs at a time; and W2 without lines and beside 50,000 a second.
    W8,
    /// Reads beside ten million finished and a million waiting tasks, and these cancelled by filter, with claims beside
    /// it. Only where it is named: it takes a quarter of an hour and 10 GB.
    W9,
    /// Two servers on one database, against one: submits and whole lives over 64 connections, 200,000 tasks drained by two
    /// workers, and from a submit at the one to its start at the other. On PostgreSQL.
    W10,
    /// 10,000 workers with nothing to do at two servers: what each server has of memory and takes of a core. On PostgreSQL.
    W11,
    /// Claims in a fresh database, behind five million ended tasks, and with a snapshot that was held for a minute of
    /// whole lives since. On PostgreSQL, and only where it is named: it takes five minutes and 5 GB.
    W12,
    /// From the start of a server's process to its `/ready`, after an orderly end, over 100,000 finished and as many
    /// waiting tasks in 1,000 queues: the median of eleven, and the worst.
    #[value(name = "start")]
    Start,
    /// What a server with three internal workers has of memory while nothing is asked of it, before and after it ran
    /// 10,000 tasks and showed its pages; and what it then takes of one core.
    #[value(name = "idle")]
    Idle,
    /// What a server has of memory with a million waiting tasks, and what it had at most until then.
    #[value(name = "queued")]
    Queued,
}

impl Workload {
    /// On the command line.
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// It has server processes of its own.
    fn looks_at_a_process(self) -> bool {
        matches!(
            self,
            Self::Start | Self::Idle | Self::Queued | Self::W10 | Self::W11 | Self::W12
        )
    }

    /// Several servers share its database, or it looks at what PostgreSQL alone has.
    fn wants_postgres(self) -> bool {
        matches!(self, Self::W10 | Self::W11 | Self::W12)
    }

    /// Too long for whoever did not ask for it.
    fn is_long(self) -> bool {
        matches!(self, Self::W9 | Self::W12)
    }
}

impl BenchArgs {
    /// What is to be measured.
    pub(super) fn workloads(&self) -> Result<Vec<Workload>, Failure> {
        let shows_one = self.server.is_some();
        let shared = self.database.starts_with("postgres");
        let unfit = |workload: &Workload| {
            if shows_one && workload.looks_at_a_process() {
                return Some("which has server processes of its own; leave out --server");
            }
            let lacks = !shared && workload.wants_postgres();
            lacks.then_some(
                "which is over a PostgreSQL database; name a server with --database postgres://…",
            )
        };
        for workload in &self.only {
            if let Some(why) = unfit(workload) {
                let name = workload.name();
                return Err(Failure::usage(format!("--only names {name}, {why}")));
            }
        }
        if !self.only.is_empty() {
            return Ok(self.only.clone());
        }
        let mut all = Workload::value_variants().to_vec();
        all.retain(|workload| !workload.is_long() && unfit(workload).is_none());
        Ok(all)
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let time = units::duration(text)?;
    if (SECONDS_LEAST..=SECONDS_MOST).contains(&time) {
        return Ok(time);
    }
    let [least, most] = [SECONDS_LEAST, SECONDS_MOST].map(units::duration_text);
    Err(format!("must be from {least} to {most}"))
}

/// What is no number lies in no range.
fn scale(text: &str) -> Result<f64, String> {
    let share = text.trim().parse().ok();
    let share = share.filter(|share| (SCALE_LEAST..=SCALE_MOST).contains(share));
    share.ok_or_else(|| format!("expected a number from {SCALE_LEAST} to {SCALE_MOST}"))
}
