//! `taskyard bench`: measures this build on this machine, one JSON line a figure.
//!
//! Each workload has a server process of its own over a fresh database, with the default durable settings; load,
//! server and database share the machine. With each figure goes what tells a slow machine from slow code: a fixed
//! chain of SHA-256 on one thread, and how long the disk takes for one append.

mod calibrate;
mod database;
mod http;
mod load;
mod weight;

mod workloads;
mod yard;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum as _};
use serde::Serialize;
use taskyard_api::client::Client;

use self::calibrate::Calibration;
use self::database::Databases;
use crate::commands::Done;
use crate::failure::Failure;
use crate::output;

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
    database: String,
    /// A server that runs already, in place of one for each workload; what it holds is added to.
    #[arg(long, value_name = "URL", conflicts_with = "database", value_parser = crate::settings::units::url)]
    server: Option<reqwest::Url>,
    /// Only these workloads. Unless given, all but W9; with --server also without start, idle and queued, which look at a
    /// process of their own.
    #[arg(long, value_delimiter = ',', value_name = "W…")]
    only: Vec<Workload>,
    /// How often each is measured.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// How long the workloads run that end by time; idle looks on for four times as long.
    #[arg(long, default_value = "3s", value_parser = crate::settings::units::duration, value_name = "TIME")]
    seconds: Duration,
    /// How many tasks W2 and W8 drain, how many finished and how many scheduled ones W6 has lying about, how many
    /// finished and waiting ones W9 and start, how many idle has run before, and how many wait in queued; the largest is
    /// what figures are to be compared at.
    #[arg(long, default_value_t = 1.0, value_name = "SHARE")]
    scale: f64,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "verbatim")]
enum Workload {
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
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn looks_at_a_process(self) -> bool {
        matches!(self, Self::Start | Self::Idle | Self::Queued)
    }
}

impl BenchArgs {
    /// What is to be measured.
    fn workloads(&self) -> Result<Vec<Workload>, Failure> {
        let mut named = self.only.iter().copied();
        if let Some(workload) = named.find(|workload| workload.looks_at_a_process())
            && self.server.is_some()
        {
            return Err(Failure::usage(format!(
                "--only names {}, which looks at a server process of its own; leave out --server",
                workload.name()
            )));
        }
        if !self.only.is_empty() {
            return Ok(self.only.clone());
        }
        let mut all = Workload::value_variants().to_vec();
        all.retain(|workload| {
            *workload != Workload::W9 && !(self.server.is_some() && workload.looks_at_a_process())
        });
        Ok(all)
    }
}

/// One figure.
pub(super) struct Figure {
    workload: &'static str,
    value: f64,
    unit: &'static str,
    settings: serde_json::Value,
}

#[derive(Serialize)]
struct Line<'a> {
    system: &'static str,
    workload: &'a str,
    value: f64,
    unit: &'a str,
    settings: &'a serde_json::Value,
    calib_ms: f64,
    fsync_us: f64,
}

/// What the workloads run with.
pub(super) struct Run<'a> {
    databases: &'a Databases,
    server: Option<&'a str>,
    seconds: Duration,
    scale: f64,
}

/// On a runtime of one thread: the load is to cost little of what it measures.
pub(crate) fn run(args: &BenchArgs) -> Done {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(args))
}

async fn measure(args: &BenchArgs) -> Done {
    let wanted = args.workloads()?;
    if cfg!(debug_assertions) {
        output::note("This is a debug build; its figures mean nothing. Build with --release.");
    }
    if let Some(server) = &args.server {
        // What is not there is told as by every command, and before anything is measured.
        Client::new(std::slice::from_ref(server), None)?
            .health()
            .await?;
    }
    let databases = Databases::at(&args.database)?;
    let run = Run {
        databases: &databases,
        server: args.server.as_ref().map(reqwest::Url::as_str),
        seconds: args.seconds,
        scale: args.scale,
    };
    for workload in wanted {
        for _ in 0..args.repeat {
            let before = Calibration::take(databases.directory())?;
            let figures = workloads::measure(workload, &run)
                .await
                .map_err(|error| Failure::new(format!("{}: {error:#}", workload.name())))?;
            let calibration = before.and(Calibration::take(databases.directory())?);
            for figure in figures {
                print(&figure, calibration)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(figure: &Figure, calibration: Calibration) -> anyhow::Result<()> {
    let line = Line {
        system: concat!("taskyard ", env!("CARGO_PKG_VERSION")),
        workload: figure.workload,
        value: (figure.value * 1000.0).round() / 1000.0,
        unit: figure.unit,
        settings: &figure.settings,
        calib_ms: calibration.chain_ms,
        fsync_us: calibration.fsync_us,
    };
    output::line(&serde_json::to_string(&line)?)
}
