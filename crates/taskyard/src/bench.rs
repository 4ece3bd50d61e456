//! `taskyard bench`: measures this build on this machine, one JSON line a figure.
//!
//! Each workload has a server process of its own over a fresh database, with the default durable settings whatever is set
//! where the command stands; load, server and database share the machine. With each figure goes what tells a slow machine
//! from slow code: a fixed chain of SHA-256 on one thread, and how long the disk takes for one append.
//!
//! However it ends, but for being killed, what it started and made is gone: a signal drops what is being measured, which
//! ends its processes and removes its files, and then the databases are dropped that are left on a PostgreSQL server.

mod args;

mod apart;
mod calibrate;
mod database;
mod http;
mod load;
mod mark;
mod peer;
mod weight;

mod workloads;
mod yard;

use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use taskyard_api::client::Client;
use taskyard_api::page::PageQuery;

pub(crate) use self::args::BenchArgs;
use self::args::Workload;
use self::calibrate::Calibration;
use self::database::Databases;
use self::peer::Peer;
use crate::commands::Done;
use crate::failure::Failure;
use crate::output::{self, Read};
use crate::signals::{self, Signals};

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
    server: Option<&'a Peer>,
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
    let databases = Databases::at(&args.database)?;
    let server = named_server(args).await?;
    if cfg!(debug_assertions) {
        output::note("This is a debug build; its figures mean nothing. Build with --release.");
    }
    let run = Run {
        databases: &databases,
        server: server.as_ref(),
        seconds: args.seconds,
        scale: args.scale,
    };
    let mut signals = Signals::listen()?;
    let measured = tokio::select! {
        biased;
        signal = signals.next() => Ok(signals::exit_code(signal)),
        measured = each(&wanted, args.repeat, &run) => measured,
    };
    signals.end_at_next();
    let removed = databases.remove_left().await;
    match (measured, removed) {
        (Err(failure), Err(left)) => Err(failure.and(Some(&format!("{left:#}")))),
        (measured, removed) => removed.map_err(Failure::from).and(measured),
    }
}

/// The server that is to be measured, if one is named. What is not there, or does not let this command in, is told as by
/// every command, and before anything is measured.
async fn named_server(args: &BenchArgs) -> Result<Option<Peer>, Failure> {
    let Some(server) = &args.server else {
        return Ok(None);
    };
    let token = args.token.sent()?;
    let look = PageQuery {
        limit: Some(1),
        cursor: None,
    };
    Client::new(std::slice::from_ref(server), token)?
        .workers(&look)
        .await?;
    Ok(Some(Peer::named(server, token)?))
}

async fn each(wanted: &[Workload], repeat: u32, run: &Run<'_>) -> Done {
    let directory = run.databases.directory();
    for workload in wanted {
        for _ in 0..repeat {
            let before = Calibration::take(directory)?;
            let figures = workloads::measure(*workload, run)
                .await
                .map_err(|error| Failure::new(format!("{}: {error:#}", workload.name())))?;
            let calibration = before.and(Calibration::take(directory)?);
            for figure in figures {
                if let Read::Enough = print(&figure, calibration)? {
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(figure: &Figure, calibration: Calibration) -> anyhow::Result<Read> {
    let line = Line {
        system: concat!("taskyard ", env!("CARGO_PKG_VERSION")),
        workload: figure.workload,
        value: (figure.value * 1000.0).round() / 1000.0,
        unit: figure.unit,
        settings: &figure.settings,
        calib_ms: calibration.chain_ms,
        fsync_us: calibration.fsync_us,
    };
    output::line_of_many(&serde_json::to_string(&line)?)
}
